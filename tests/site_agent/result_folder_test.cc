// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/result_folder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::agent {
namespace {

using testing_support::Scratch;

// Ends a helper process however the test ends.
struct Killer {
  pid_t process;
  ~Killer() {
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
};

class Results : public testing::Test {
 protected:
  Results() {
    std::filesystem::create_directories(root / "done/job");
    std::filesystem::create_directories(scratch / "outside");
    Write(root / "done/job/report.json", "a report");
    Write(scratch / "outside/secret", "a secret");
  }
  static void Write(const Path& path, const std::string& text) { std::ofstream(path) << text; }

  Scratch scratch;
  Path root = scratch / "jobs";
};

TEST_F(Results, ArePlainFilesReadWhole) {
  const ResultFolder folder(root);
  EXPECT_EQ(folder.Read("done/job/report.json", 8), "a report");
  const auto file = folder.Open("done/job/report.json", 100);
  EXPECT_EQ(file->Size(), 8u);
  std::array<std::uint8_t, 100> out{};
  EXPECT_EQ(file->ReadAt(2, out), 6u);
  EXPECT_EQ(file->ReadAt(8, out), 0u);
}

TEST_F(Results, AreListedInOrder) {
  Write(root / "done/b", "");
  Write(root / "done/a", "");
  const ResultFolder folder(root);
  EXPECT_EQ(folder.List("done"), (std::vector<std::string>{"a", "b", "job"}));
  EXPECT_EQ(folder.List("."), std::vector<std::string>{"done"});
  EXPECT_ERROR(ErrorCode::kNotFound, "absent", (void)folder.List("absent"));
  EXPECT_ERROR(ErrorCode::kRefused, "done/a", (void)folder.List("done/a"));
}

TEST_F(Results, AreNotReachedThroughSymbolicLinks) {
  std::filesystem::create_symlink(scratch / "outside/secret", root / "done/link");
  std::filesystem::create_symlink("job/report.json", root / "done/inner-link");
  std::filesystem::create_directory_symlink(scratch / "outside", root / "done/folder");
  std::filesystem::create_symlink("/proc/self/root", root / "done/magic");
  const ResultFolder folder(root);
  for (const char* name : {"done/link", "done/inner-link", "done/folder/secret", "done/magic/etc/passwd"}) {
    EXPECT_ERROR(ErrorCode::kRefused, name, (void)folder.Open(name, 100));
  }
  EXPECT_ERROR(ErrorCode::kRefused, "folder", (void)folder.List("done/folder"));
}

TEST_F(Results, AreNotReachedOutsideTheFolder) {
  const ResultFolder folder(root);
  for (const std::string& name : {std::string("../outside/secret"), std::string("done/../../outside/secret"),
                                  (scratch / "outside/secret").string()}) {
    EXPECT_ERROR(ErrorCode::kRefused, "outside/secret", (void)folder.Open(name, 100));
  }
}

TEST_F(Results, AreNotSecondNamesOfOtherFiles) {
  std::filesystem::create_hard_link(scratch / "outside/secret", root / "done/hard");
  EXPECT_ERROR(ErrorCode::kRefused, "has 2 names", (void)ResultFolder(root).Open("done/hard", 100));
}

TEST_F(Results, AreNotPipesAndOpeningOneDoesNotWait) {
  ASSERT_EQ(::mkfifo((root / "done/pipe").c_str(), 0600), 0);
  EXPECT_ERROR(ErrorCode::kRefused, "not a regular file", (void)ResultFolder(root).Open("done/pipe", 100));
  EXPECT_ERROR(ErrorCode::kRefused, "not a regular file", (void)ResultFolder(root).Open("done", 100));
}

TEST_F(Results, AreNotLargerThanAllowed) {
  const ResultFolder folder(root);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8 bytes, more than the 7", (void)folder.Open("done/job/report.json", 7));
  EXPECT_EQ(folder.Open("done/job/report.json", 8)->Size(), 8u);
}

TEST_F(Results, DoNotGrowAfterTheyWereOpened) {
  const auto file = ResultFolder(root).Open("done/job/report.json", 8);
  std::ofstream(root / "done/job/report.json", std::ios::app) << " and much more";
  EXPECT_EQ(file->Size(), 8u);
  std::array<std::uint8_t, 100> out{};
  EXPECT_EQ(file->ReadAt(0, out), 8u);
}

TEST_F(Results, MayBeReplacedByRenameWhileTheyAreRead) {
  const ResultFolder folder(root);
  const auto before = folder.Open("done/job/report.json", 100);
  Write(root / "next", "another report");
  std::filesystem::rename(root / "next", root / "done/job/report.json");
  EXPECT_EQ(before->Size(), 8u);
  EXPECT_EQ(folder.Read("done/job/report.json", 100), "another report");
}

TEST_F(Results, AreNeverExchangedBetweenCheckAndUse) {
  // Another process exchanges the report with a link to a secret, and the job's folder with a link to a folder outside,
  // as fast as it can. Every answer must be the report or a refusal.
  std::filesystem::create_symlink(scratch / "outside/secret", root / "done/job/other");
  std::filesystem::create_directory_symlink(scratch / "outside", root / "done/decoy");
  Write(scratch / "outside/report.json", "a secret");
  const pid_t exchanger = ::fork();
  ASSERT_GE(exchanger, 0);
  if (exchanger == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Path job = root / "done/job", decoy = root / "done/decoy", report = job / "report.json",
               other = job / "other";
    for (;;) {
      ::renameat2(AT_FDCWD, report.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
      ::renameat2(AT_FDCWD, job.c_str(), AT_FDCWD, decoy.c_str(), RENAME_EXCHANGE);
    }
  }
  const Killer killer{exchanger};
  const ResultFolder folder(root);
  int reports = 0, refusals = 0;
  // Until both outcomes were seen often; the bound only keeps a broken build from running for ever.
  for (int i = 0; i < 2'000'000 && (reports < 500 || refusals < 500); ++i) {
    try {
      ASSERT_EQ(folder.Read("done/job/report.json", 100), "a report");
      ++reports;
    } catch (const Error& error) {
      ASSERT_TRUE(error.code() == ErrorCode::kRefused || error.code() == ErrorCode::kUnavailable ||
                  error.code() == ErrorCode::kNotFound)
          << error.what();
      ++refusals;
    }
  }
  EXPECT_GE(reports, 500);
  EXPECT_GE(refusals, 500);
}

TEST(ResultFolder, NamesAMissingFolder) { EXPECT_ERROR(ErrorCode::kNotFound, "/absent", ResultFolder("/absent")); }

}  // namespace
}  // namespace hemafed::agent
