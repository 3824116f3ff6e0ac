// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/isolation_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "site_agent/launcher/landlock.h"
#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

const CheckRow* Find(const std::vector<CheckRow>& rows, const std::string& words) {
  for (const CheckRow& row : rows) {
    if (row.check.find(words) != std::string::npos) return &row;
  }
  return nullptr;
}

TEST(IsolationReport, TellsWhatThisMachineSupports) {
  const auto rows = CheckMachine();
  std::cout << FormatChecks(rows);
  const CheckRow* landlock = Find(rows, "Landlock");
  ASSERT_NE(landlock, nullptr);
  EXPECT_EQ(landlock->found, LandlockAbi() == 0 ? "absent" : "ABI " + std::to_string(LandlockAbi()));
  for (const char* check : {"openat2", "mount namespace", "network namespace", "system call filter"}) {
    EXPECT_NE(Find(rows, check), nullptr) << check;
  }
}

TEST(IsolationReport, HoldsForTheUsualFoldersInBothDirections) {
  const Lab lab;
  SKIP_UNLESS_POSSIBLE(lab.Agent());
  const auto agent = CheckAgent(lab.Agent()), trainer = CheckTrainer(lab.Trainer());
  std::cout << FormatChecks(agent) << FormatChecks(trainer);
  EXPECT_TRUE(AllHold(agent)) << FormatChecks(agent);
  EXPECT_TRUE(AllHold(trainer)) << FormatChecks(trainer);
  EXPECT_EQ(Find(agent, "agent opens a file in " + lab.folders.pictures[0].string())->result, CheckResult::kHolds);
  EXPECT_EQ(Find(agent, "agent makes a TCP socket")->found, "works");
  EXPECT_EQ(Find(trainer, "trainer lists " + lab.folders.pictures[0].string())->found, "works");
  EXPECT_EQ(Find(trainer, "trainer makes a socket: IPv4")->result, CheckResult::kHolds);
  EXPECT_FALSE(std::filesystem::exists(lab.folders.keys / ".hemafed-check"));
}

TEST(IsolationReport, FailsWhereAnAgentReallyReachesPictures) {
  const Lab lab;
  Restrictions agent = lab.Agent();
  agent.file_mechanism = FileMechanism::kNone;
  const auto rows = CheckAgent(agent);
  EXPECT_FALSE(AllHold(rows));
  const CheckRow* open = Find(rows, "agent opens a file in " + lab.folders.pictures[0].string());
  ASSERT_NE(open, nullptr);
  EXPECT_EQ(open->result, CheckResult::kFails);
  EXPECT_EQ(open->found, "works");
  EXPECT_NE(open->advice, "");
  EXPECT_NE(FormatChecks(rows).find("FAILS works"), std::string::npos) << FormatChecks(rows);
}

TEST(IsolationReport, FailsWhereATrainerReallyHasSockets) {
  const Lab lab;
  Restrictions trainer = lab.Trainer();
  trainer.network = NetworkPolicy::kOutbound;
  const auto rows = CheckTrainer(trainer);
  EXPECT_EQ(Find(rows, "trainer makes a socket: IPv4")->result, CheckResult::kFails);
}

TEST(IsolationReport, FailsWithTheReasonWhereRestrictionsCannotBePutOn) {
  Lab lab;
  lab.folders.pictures = {lab.folders.jobs};
  const auto rows = CheckAgent(lab.Agent());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].result, CheckResult::kFails);
  EXPECT_NE(rows[0].advice.find("must stay out of reach"), std::string::npos) << rows[0].advice;
}

TEST(IsolationReport, DoesNotAskOfATrainerWhatThisMachineCannotGive) {
  const Lab lab;
  Restrictions trainer = lab.Trainer();
  trainer.file_mechanism = FileMechanism::kNone;
  const auto rows = CheckTrainer(trainer);
  EXPECT_TRUE(AllHold(rows)) << FormatChecks(rows);
  EXPECT_EQ(Find(rows, "trainer opens a file in " + lab.folders.keys.string()), nullptr);
}

TEST(IsolationReport, NamesAFolderThatItsProgramCannotWrite) {
  const Lab lab;
  SKIP_UNLESS_POSSIBLE(lab.Agent());
  std::filesystem::permissions(lab.folders.keys,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const auto rows = CheckAgent(lab.Agent());
  EXPECT_EQ(Find(rows, "agent writes in " + lab.folders.keys.string())->result, CheckResult::kFails);
  std::filesystem::permissions(lab.folders.keys, std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace hemafed
