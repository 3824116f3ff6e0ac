// SPDX-License-Identifier: Apache-2.0
#include "codec/plan.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed {
namespace {

std::string Good() { return testing_support::SmallPlanText(Sha256Of("weights")); }

std::string With(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("the good plan has no " + from);
  return text.replace(at, from.size(), to);
}

TEST(ParsePlan, ReadsEveryValueOfAGoodPlan) {
  const Plan plan = ParsePlan(Good(), "plan.toml");
  EXPECT_EQ(plan.name, "test");
  EXPECT_EQ(plan.seed, 7u);
  EXPECT_EQ(plan.classes, (std::vector<std::string>{"basophil", "monocyte"}));
  EXPECT_EQ(plan.model.architecture, "small_cnn");
  EXPECT_EQ(plan.model.weights, Sha256Of("weights"));
  EXPECT_EQ(plan.training.steps, 2u);
  EXPECT_EQ(plan.training.learning_rate, 0.01);
  EXPECT_EQ(plan.rehearsal.policy, RehearsalPolicy::kFederated);
  EXPECT_EQ(plan.rehearsal.exemplars, 4u);
  EXPECT_EQ(plan.min_pictures, 10u);
  EXPECT_EQ(plan.Sites(), (std::vector<std::string>{"first", "second"}));
}

struct BadPlan {
  const char* name;
  const char* from;
  const char* to;
  const char* words;
};

class ParsePlanRefuses : public testing::TestWithParam<BadPlan> {};

TEST_P(ParsePlanRefuses, WithThePlaceAndTheReason) {
  const std::string text = With(Good(), GetParam().from, GetParam().to);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)ParsePlan(text, "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:", (void)ParsePlan(text, "plan.toml"));
}

INSTANTIATE_TEST_SUITE_P(Table, ParsePlanRefuses,
                         testing::ValuesIn(std::vector<BadPlan>{
                             {"UnknownKey", "steps = 2", "steps = 2\nstpes = 3", "stpes"},
                             {"MissingKey", "steps = 2\n", "", "steps"},
                             {"WrongType", "steps = 2", "steps = \"two\"", "steps"},
                             {"OutOfRange", "dropout = 0.2", "dropout = 1.5", "dropout"},
                             {"NotANumber", "learning_rate = 0.01", "learning_rate = nan", "learning_rate"},
                             {"ForeignNormalisation", "group_ws", "batch_frozen", "does not go with small_cnn"},
                             {"UnknownRule", "rule = \"mean\"", "rule = \"median\"", "rule"},
                             {"UnknownPolicy", "policy = \"federated\"", "policy = \"sealed\"", "policy"},
                             {"OneExemplar", "exemplars = 4", "exemplars = 1", "exemplars"},
                             {"HospitalTwice", "site = \"second\"", "site = \"first\"", "has a task already"},
                             {"ClassTwice", "\"monocyte\"]", "\"basophil\"]", "twice"},
                             {"PathAsSite", "site = \"second\"", "site = \"../second\"", "site"},
                             {"LaterFormat", "format = 1", "format = 2", "format"},
                             {"NotADigest", "weights = \"", "weights = \"x", "weights"},
                             {"NotToml", "seed = 7", "seed = = 7", ""}}),
                         [](const auto& row) { return row.param.name; });

TEST(ParsePlan, WithoutRehearsalDistillationIsRefused) {
  const std::string text = testing_support::SmallPlanText(Sha256Of("weights"), "none");
  EXPECT_NO_THROW((void)ParsePlan(text, "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be 0 without rehearsal",
               (void)ParsePlan(With(text, "gamma = 0.0", "gamma = 1.0"), "plan.toml"));
}

TEST(ParsePlan, TheShippedPlansAreGood) {
  for (const char* name : {"demo_real", "demo_real_sequential", "demo_synthetic"}) {
    const std::string file = std::string(HEMAFED_SOURCE_DIR "/configs/plans/") + name + ".toml";
    EXPECT_NO_THROW((void)ParsePlan(ReadFile(RealFileSystem(), file, kMaxPlanBytes), file)) << file;
  }
}

TEST(IsPlainName, KeepsToWhatPathsAndTablesCanHold) {
  for (const char* good : {"a", "raabin", "acevedo20_c128", "matek-19", "1"}) EXPECT_TRUE(IsPlainName(good)) << good;
  for (const std::string bad : {"", "-a", "A", "a b", "../a", "a/b", "ä"}) EXPECT_FALSE(IsPlainName(bad)) << bad;
  EXPECT_FALSE(IsPlainName(std::string(49, 'a')));
}

}  // namespace
}  // namespace hemafed
