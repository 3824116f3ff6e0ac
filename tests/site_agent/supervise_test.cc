// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <map>

#include "common/error.h"
#include "site_agent/launcher/line_splitter.h"
#include "tests/expect_error.h"
#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

// The set of signals that a line of /proc/PID/status shows in hexadecimal; all of them when the line is missing.
std::uint64_t SignalSet(const std::string& status, std::string_view label) {
  std::uint64_t set = ~std::uint64_t{0};
  const auto at = status.find(label);
  if (at == std::string::npos) return set;
  const char* digits = status.data() + at + label.size();
  std::from_chars(digits, status.data() + status.size(), set, 16);
  return set;
}

// The agent and the trainer of a lab, each doing what the test program does for these words.
class Siblings : public testing::Test {
 protected:
  [[nodiscard]] std::vector<ProgramSpec> Specs(std::vector<std::string> agent, std::vector<std::string> trainer) const {
    agent.insert(agent.begin(), TestProgram().string());
    trainer.insert(trainer.begin(), TestProgram().string());
    return {{"agent", agent, {}, lab.folders.jobs, lab.Agent()},
            {"trainer", trainer, {}, lab.folders.jobs, lab.Trainer()}};
  }
  // Collects all lines; when `stop_when` lines that start with "ready" have come, the launcher is asked to stop.
  LineSink Collect(int stop_when = 0) {
    return [this, stop_when](std::string_view program, bool, std::string_view line) {
      lines[std::string(program)].emplace_back(line);
      if (line.starts_with("ready") && ++ready == stop_when) ::kill(::getpid(), SIGTERM);
    };
  }
  [[nodiscard]] std::string All(const std::string& program) {
    std::string text;
    for (const std::string& line : lines[program]) text += line + "\n";
    return text;
  }
  void SetUp() override { SKIP_UNLESS_POSSIBLE(lab.Agent()); }

  Lab lab;
  SystemClock clock;
  RestartLimits quick{.first_delay_ms = 1,
                      .longest_delay_ms = 4,
                      .stable_after_ms = 60'000,
                      .most_restarts_in_a_row = 5,
                      .stop_grace_ms = kPatienceMs};
  std::map<std::string, std::vector<std::string>> lines;
  int ready = 0;
};

TEST_F(Siblings, EndTogetherWhenAskedToStop) {
  const auto result = SuperviseSiblings(Specs({"wait", "18"}, {"wait", "0"}), quick, clock, Collect(2));
  EXPECT_TRUE(result.asked_to_stop);
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(lines["agent"].back(), "asked to stop");
  EXPECT_EQ(lines["trainer"].back(), "asked to stop");
  EXPECT_NE(All("launcher").find("the agent runs; files: "), std::string::npos) << All("launcher");
}

TEST_F(Siblings, StartWithNoSignalBlockedOrIgnored) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  auto specs = Specs({"wait", "0"}, {});
  specs[1].arguments = {"/bin/cat", "/proc/self/status"};
  const auto result = SuperviseSiblings(specs, quick, clock, Collect());
  ::signal(SIGPIPE, before);
  EXPECT_EQ(result.exit_status, 0) << result.reason;
  // 32 and 33 belong to glibc's threads: no program can set them through glibc, so what the machine's own parent
  // process left there stays.
  constexpr std::uint64_t kOfGlibc = (std::uint64_t{1} << 31) | (std::uint64_t{1} << 32);
  EXPECT_EQ(SignalSet(All("trainer"), "SigBlk:\t") & ~kOfGlibc, 0u) << All("trainer");
  EXPECT_EQ(SignalSet(All("trainer"), "SigIgn:\t") & ~kOfGlibc, 0u) << All("trainer");
}

TEST_F(Siblings, AreKilledWhenTheyDoNotStopInTime) {
  quick.stop_grace_ms = 1;
  const auto result = SuperviseSiblings(Specs({"stubborn"}, {"stubborn"}), quick, clock, Collect(2));
  EXPECT_TRUE(result.asked_to_stop);
  EXPECT_NE(All("launcher").find("the agent did not stop within 1 ms and is killed"), std::string::npos);
  EXPECT_NE(All("launcher").find("the trainer was ended by signal 9"), std::string::npos);
}

TEST_F(Siblings, AreStartedAgainAfterACrashWithGrowingDelay) {
  const std::string count = (lab.folders.jobs / "count").string();
  const auto result = SuperviseSiblings(Specs({"wait", "0"}, {"fail", count, "3", "0"}), quick, clock, Collect());
  EXPECT_FALSE(result.asked_to_stop);
  EXPECT_EQ(result.exit_status, 0) << result.reason;
  EXPECT_EQ(All("trainer"), "run 1\nrun 2\nrun 3\nrun 4\n");
  for (const char* words : {"signal 9 (Killed); starting it again in 1 ms (1 of at most 5 in a row)",
                            "again in 2 ms (2 of", "again in 4 ms (3 of", "the trainer ended with status 0"}) {
    EXPECT_NE(All("launcher").find(words), std::string::npos) << words << " not in\n" << All("launcher");
  }
}

TEST_F(Siblings, AreGivenUpAfterTooManyCrashesInARow) {
  const std::string count = (lab.folders.jobs / "count").string();
  const auto result = SuperviseSiblings(Specs({"wait", "0"}, {"fail", count, "1000", "19"}), quick, clock, Collect());
  EXPECT_EQ(result.exit_status, ExitStatus(ErrorCode::kInternal));
  EXPECT_EQ(lines["trainer"].size(), 6u) << "the first run and five restarts";
  EXPECT_NE(result.reason.find("5 restarts in a row did not help"), std::string::npos) << result.reason;
  EXPECT_EQ(lines["agent"].back(), "asked to stop");
}

TEST_F(Siblings, AreCountedAnewAfterAHealthyRun) {
  quick.stable_after_ms = 0;  // Every run counts as healthy.
  const std::string count = (lab.folders.jobs / "count").string();
  const auto result = SuperviseSiblings(Specs({"wait", "0"}, {"fail", count, "12", "19"}), quick, clock, Collect());
  EXPECT_EQ(result.exit_status, 0) << result.reason;
  EXPECT_EQ(lines["trainer"].size(), 13u);
}

TEST_F(Siblings, AreNotStartedAgainWhenRepeatingCannotHelp) {
  for (const int status : {2, ExitStatus(ErrorCode::kInvalidInput), ExitStatus(ErrorCode::kRefused)}) {
    lines.clear();
    const auto result =
        SuperviseSiblings(Specs({"exit", std::to_string(status)}, {"wait", "0"}), quick, clock, Collect());
    EXPECT_EQ(result.exit_status, status);
    EXPECT_NE(result.reason.find("trying again would not help"), std::string::npos) << result.reason;
    EXPECT_EQ(All("launcher").find("starting it again"), std::string::npos);
  }
}

TEST_F(Siblings, AreNotLeftAloneWhenTheOtherCannotStart) {
  auto specs = Specs({"wait", "0"}, {"wait", "0"});
  specs[1].arguments[0] = (lab.folders.jobs / "absent").string();
  EXPECT_ERROR(ErrorCode::kNotFound, "the trainer is not started: cannot execute",
               (void)SuperviseSiblings(specs, quick, clock, Collect()));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST_F(Siblings, HaveTheirLastLinesPassedOn) {
  const std::string long_line(100'000, 'x');  // More than a pipe holds.
  const auto result =
      SuperviseSiblings(Specs({"wait", "0"}, {"say", long_line + "\nlast \x1b[31m"}), quick, clock, Collect());
  EXPECT_EQ(result.exit_status, 0);
  std::string joined;
  for (std::size_t i = 0; i + 1 < lines["trainer"].size(); ++i) joined += lines["trainer"][i];
  EXPECT_EQ(joined, long_line);
  EXPECT_EQ(lines["trainer"].back(), "last ?[31m");
}

TEST_F(Siblings, DieWithALauncherThatIsKilled) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  const pid_t launcher = ::fork();
  ASSERT_GE(launcher, 0);
  if (launcher == 0) {
    const LineSink tell = [&](std::string_view program, bool, std::string_view line) {
      if (program != "launcher") (void)!::write(writer.number(), (std::string(line) + "\n").data(), line.size() + 1);
    };
    (void)SuperviseSiblings(Specs({"stubborn"}, {"stubborn"}), quick, clock, tell);
    ::_exit(0);
  }
  writer.Reset();
  std::string told;
  char byte = 0;
  while (std::count(told.begin(), told.end(), '\n') < 2 && ::read(reader.number(), &byte, 1) == 1) told += byte;
  std::istringstream words(told);
  std::vector<Descriptor> siblings;
  std::string word;
  for (pid_t process = 0; words >> word >> process;)
    siblings.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  ASSERT_EQ(siblings.size(), 2u) << told;
  for (const Descriptor& sibling : siblings) {
    pollfd ended{sibling.number(), POLLIN, 0};
    ASSERT_TRUE(sibling.valid());
    ASSERT_EQ(::poll(&ended, 1, 0), 0) << "still running";
  }
  ::kill(launcher, SIGKILL);
  ::waitpid(launcher, nullptr, 0);
  for (const Descriptor& sibling : siblings) {
    pollfd ended{sibling.number(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, kPatienceMs), 1) << "outlived the launcher";
  }
}

TEST(JudgeEnd, FollowsTheTableOfExitCodes) {
  EXPECT_EQ(JudgeEnd({false, 0}), AfterEnd::kFinished);
  EXPECT_EQ(JudgeEnd({true, SIGKILL}), AfterEnd::kStartAgain);
  EXPECT_EQ(JudgeEnd({true, SIGSEGV}), AfterEnd::kStartAgain);
  EXPECT_EQ(JudgeEnd({false, 2}), AfterEnd::kGiveUp);
  EXPECT_EQ(JudgeEnd({false, 134}), AfterEnd::kStartAgain);
  for (const ErrorCode code : {ErrorCode::kInvalidInput, ErrorCode::kNotFound, ErrorCode::kConflict,
                               ErrorCode::kRefused, ErrorCode::kCorrupt, ErrorCode::kNoSpace}) {
    EXPECT_EQ(JudgeEnd({false, ExitStatus(code)}), AfterEnd::kGiveUp) << ErrorCodeName(code);
  }
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kInterrupted, ErrorCode::kInternal}) {
    EXPECT_EQ(JudgeEnd({false, ExitStatus(code)}), AfterEnd::kStartAgain) << ErrorCodeName(code);
  }
}

TEST(RestartDelay, DoublesUpToItsLimit) {
  const RestartLimits limits;
  EXPECT_EQ(RestartDelayMs(limits, 1), 500);
  EXPECT_EQ(RestartDelayMs(limits, 2), 1000);
  EXPECT_EQ(RestartDelayMs(limits, 7), 32'000);
  EXPECT_EQ(RestartDelayMs(limits, 8), 60'000);
  EXPECT_EQ(RestartDelayMs(limits, 1'000'000), 60'000);
}

TEST(LineSplitter, CutsAndCleansLines) {
  std::vector<std::string> lines;
  LineSplitter splitter(4, [&](std::string_view line) { lines.emplace_back(line); });
  splitter.Add("a\n\nb\tc\x1b");
  splitter.Add("longer\r1%\r\n2%");
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "", "b\tc?", "long", "er", "1%"}));
  splitter.Finish();
  EXPECT_EQ(lines.back(), "2%");
}

}  // namespace
}  // namespace hemafed
