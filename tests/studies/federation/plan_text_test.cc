// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/plan_text.h"

#include <gtest/gtest.h>

#include "codec/plan.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed::studies {
namespace {

const std::string& Text() {
  static const std::string text = testing_support::SmallPlanText(Sha256Of("weights"));
  return text;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(PlanWithSeed, ChangesNothingButTheNumber) {
  EXPECT_EQ(PlanWithSeed(Text(), 12345, "plan"), Replaced(Text(), "seed = 7", "seed = 12345"));
  EXPECT_EQ(PlanWithSeed(Text(), 7, "plan"), Text());
  EXPECT_EQ(ParsePlan(PlanWithSeed(Text(), 0, "plan"), "plan").seed, 0u);
}

TEST(PlanWithSeed, FindsTheSeedHoweverItIsWritten) {
  for (const std::string written :
       {"seed=7", "seed   =\t7   # seed = 8", "\"seed\" = 0x7", "seed = +7 # ä seed", "'seed' = 0b111"}) {
    const std::string text = Replaced(Text(), "seed = 7", written);
    const std::string changed = PlanWithSeed(text, 987654321, "plan");
    EXPECT_EQ(ParsePlan(changed, "plan").seed, 987654321u) << written;
    const std::string comment = written.substr(std::min(written.find(" #"), written.size()));
    EXPECT_NE(changed.find(comment + "\n"), std::string::npos) << changed;
    EXPECT_EQ(changed.substr(changed.find("[model]")), text.substr(text.find("[model]")));
  }
}

TEST(PlanWithSeed, IsNotMisledByCommentsOrTextsBeforeTheSeed) {
  const std::string text = Replaced(Text(), "name = \"test\"", "# seed = 1, für später: seed = 2\nname = \"test\"");
  EXPECT_EQ(PlanWithSeed(text, 55, "plan"), Replaced(text, "\nseed = 7", "\nseed = 55"));
}

TEST(PlanWithSeed, RefusesASeedThatARecordCannotHold) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too large", (void)PlanWithSeed(Text(), std::uint64_t{1} << 53, "plan"));
}

TEST(PlanAsJson, HasEverySettingOfTheText) {
  const nlohmann::json plan = PlanAsJson(Text(), "plan");
  EXPECT_EQ(plan.at("seed"), 7);
  EXPECT_EQ(plan.at("rehearsal").at("policy"), "federated");
  EXPECT_EQ(plan.at("task").size(), 2u);
  EXPECT_DOUBLE_EQ(plan.at("training").at("learning_rate").get<double>(), 0.01);
}

}  // namespace
}  // namespace hemafed::studies
