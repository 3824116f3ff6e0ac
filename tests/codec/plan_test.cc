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

INSTANTIATE_TEST_SUITE_P(
    Table, ParsePlanRefuses,
    testing::ValuesIn(std::vector<BadPlan>{
        {"UnknownKey", "steps = 2", "steps = 2\nstpes = 3", "stpes"},
        {"MissingKey", "steps = 2\n", "", "steps"},
        {"WrongType", "steps = 2", "steps = \"two\"", "steps"},
        {"OutOfRange", "dropout = 0.2", "dropout = 1.5", "dropout"},
        {"NotANumber", "learning_rate = 0.01", "learning_rate = nan", "learning_rate"},
        {"ForeignNormalisation", "group_ws", "batch_frozen", "does not go with small_cnn"},
        {"UnknownRule", "rule = \"mean\"", "rule = \"mode\"", "rule"},
        {"MedianOfOne", "rule = \"mean\"", "rule = \"median\"", "cannot run in task 2"},
        {"TrimmedMeanWithoutTrim", "rule = \"mean\"", "rule = \"trimmed_mean\"", "trim"},
        {"TrimOfAMean", "rule = \"mean\"", "rule = \"mean\"\ntrim = 1", "trim"},
        {"EndlessMomentum", "max_share", "server_momentum = 1.0\nmax_share", "server_momentum"},
        {"TrimmedMeanInOneTask", "rounds = 2", "rounds = 2\nrule = \"trimmed_mean\"", "as the plan's rule"},
        {"UnknownEncoding", "update = \"int32\"", "update = \"int4\"", "update"},
        {"UnknownPolicy", "policy = \"federated\"", "policy = \"posted\"", "policy"},
        {"UnknownStrategy", "name = \"uacl\"", "name = \"luck\"", "strategy.name"},
        {"UaclWithoutRehearsal", "policy = \"federated\"", "policy = \"none\"", "the strategy rehearses"},
        {"FineTuningThatRehearses", "name = \"uacl\"\ngamma = 1.0\nprobe = 16", "name = \"finetuning\"",
         "keeps no exemplars"},
        {"ProbeOfFewPictures", "probe = 16", "probe = 9", "fewer pictures than min_pictures"},
        {"NoDistillation", "gamma = 1.0", "gamma = 0.0", "gamma"},
        {"PassesForReplay", "name = \"uacl\"\ngamma = 1.0\nprobe = 16", "name = \"replay\"", "passes"},
        {"NoRoom", "exemplars = 4\n", "", "exemplars"},
        {"TwoRooms", "exemplars = 4", "exemplars = 4\nbudget = 100", "not both"},
        {"BudgetTooSmall", "exemplars = 4", "budget = 7", "fewer than 2 pictures"},
        {"ClassThatNoTaskBrings", "rounds = 2\n[[task]]\nsite = \"second\"\nrounds = 2",
         "rounds = 2\nclasses = [\"basophil\"]", "monocyte, which no task brings"},
        {"ClassesOutOfOrder", "rounds = 2", "rounds = 2\nclasses = [\"monocyte\"]", "monocyte before basophil"},
        {"UnknownClass", "rounds = 2", "rounds = 2\nclasses = [\"blast\"]", "names blast"},
        {"ClassTwiceInATask", "rounds = 2", "rounds = 2\nclasses = [\"basophil\", \"basophil\"]", "twice"},
        {"ObserverThatLearns", "seed = 7", "seed = 7\nobservers = [\"first\"]", "scores anyway"},
        {"Lite0WithoutItsNorm", "small_cnn", "efficientnet_lite0", "use batch_frozen"},
        {"OneExemplar", "exemplars = 4", "exemplars = 1", "exemplars"},
        {"ClassTwiceAtAHospital", "site = \"second\"", "site = \"first\"", "brings basophil to first a second time"},
        {"ClassTwice", "\"monocyte\"]", "\"basophil\"]", "twice"},
        {"PathAsSite", "site = \"second\"", "site = \"../second\"", "site"},
        {"EarlierFormat", "format = 2", "format = 1", "format"},
        {"LaterFormat", "format = 2", "format = 3", "format"},
        {"NotADigest", "weights = \"", "weights = \"x", "weights"},
        {"NotToml", "seed = 7", "seed = = 7", ""}}),
    [](const auto& row) { return row.param.name; });

TEST(ParsePlan, RehearsingSitesAreBoundedAsAllAreOrTighter) {
  EXPECT_EQ(ParsePlan(Good(), "plan.toml").aggregation.rehearsal_norm_bound, 100.0);
  const std::string tight = With(Good(), "max_share", "rehearsal_norm_bound = 0.25\nmax_share");
  EXPECT_EQ(ParsePlan(tight, "plan.toml").aggregation.rehearsal_norm_bound, 0.25);
  EXPECT_EQ(ParsePlan(tight, "plan.toml").aggregation.norm_bound, 100.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rehearsal_norm_bound",
               (void)ParsePlan(With(tight, "0.25", "100.5"), "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs the policy federated",
               (void)ParsePlan(With(tight, "\"federated\"", "\"local\""), "plan.toml"));
}

TEST(ParsePlan, SaysHowMuchARehearsingSiteMayTakeBack) {
  EXPECT_EQ(ParsePlan(Good(), "plan.toml").aggregation.max_retreat_millionths, 0u);
  const std::string text = With(Good(), "max_share", "max_retreat = 0.25\nmax_share");
  EXPECT_EQ(ParsePlan(text, "plan.toml").aggregation.max_retreat_millionths, 250'000u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "max_retreat", (void)ParsePlan(With(text, "0.25", "1.5"), "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "max_retreat", (void)ParsePlan(With(text, "0.25", "0"), "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs the policy federated",
               (void)ParsePlan(With(text, "\"federated\"", "\"local\""), "plan.toml"));
}

TEST(ParsePlan, APlanOverLatentsNamesItsExtractorAndChangesNoPictures) {
  const ExtractorPlan extractor{.detector = Sha256Of("detector"), .autoencoder = Sha256Of("autoencoder")};
  const std::string good = testing_support::LatentPlanText(Good(), extractor);
  const Plan plan = ParsePlan(good, "plan.toml");
  EXPECT_EQ(plan.model.architecture, kLatentArchitecture);
  EXPECT_EQ(plan.model.extractor, extractor);
  EXPECT_FALSE(plan.augmentation.flips);
  EXPECT_FALSE(ParsePlan(Good(), "plan.toml").model.extractor);

  const auto refused = [](const char* words, const std::string& text) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParsePlan(text, "plan.toml"));
  };
  refused("detector", With(good, "detector = \"" + extractor.detector.Hex() + "\"\n", ""));
  refused("autoencoder", With(good, "autoencoder", "decoder"));
  refused("detector", With(Good(), "dropout", "detector = \"" + extractor.detector.Hex() + "\"\ndropout"));
  refused("does not go with ae_cfe", With(good, "group_ws", "batch_frozen"));
  refused("computes each picture's latent once", good + "[augmentation]\nflips = true\n");
  refused("exemplars are latents",
          testing_support::LatentPlanText(testing_support::SmallPlanText(Sha256Of("weights"), "sealed"), extractor));
}

std::string GoodAnalytic() { return testing_support::AnalyticPlanText(Sha256Of("weights")); }

TEST(ParsePlan, AnAnalyticPlanSaysHowToSumAndSolveAndNothingAboutTraining) {
  const Plan plan = ParsePlan(GoodAnalytic(), "plan.toml");
  EXPECT_TRUE(plan.SolvesHead());
  EXPECT_EQ(plan.strategy.features, 12u);
  EXPECT_EQ(plan.strategy.ridge, 0.5);
  EXPECT_EQ(plan.training.threads, 1u);
  EXPECT_EQ(plan.tasks[1].rounds, 1u);
  EXPECT_EQ(plan.Participants(1), (std::vector<std::string>{"second"}));
  EXPECT_TRUE(plan.Judges(1).empty());
  EXPECT_FALSE(plan.KeepsExemplars());
  EXPECT_FALSE(ParsePlan(Good(), "plan.toml").SolvesHead());
}

class ParseAnalyticPlanRefuses : public testing::TestWithParam<BadPlan> {};

TEST_P(ParseAnalyticPlanRefuses, WithThePlaceAndTheReason) {
  const std::string text = With(GoodAnalytic(), GetParam().from, GetParam().to);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)ParsePlan(text, "plan.toml"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plan.toml:", (void)ParsePlan(text, "plan.toml"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParseAnalyticPlanRefuses,
    testing::ValuesIn(std::vector<BadPlan>{
        {"Rounds", "site = \"first\"", "site = \"first\"\nrounds = 2", "rounds' means nothing"},
        {"Gamma", "features = 12", "features = 12\ngamma = 1.0", "'strategy.gamma' means nothing"},
        {"Probe", "features = 12", "features = 12\nprobe = 16", "'strategy.probe' means nothing"},
        {"Rule", "site = \"second\"", "site = \"second\"\nrule = \"mean\"", "rule' means nothing"},
        {"LearningRate", "threads = 1", "threads = 1\nlearning_rate = 0.1", "'training.learning_rate' means nothing"},
        {"Aggregation", "[privacy]", "[aggregation]\nupdate = \"int8\"\n[privacy]", "'aggregation' means nothing"},
        {"Augmentation", "[privacy]", "[augmentation]\nflips = true\n[privacy]", "'augmentation' means nothing"},
        {"Retention", "[privacy]", "[retention]\npictures = 25\n[privacy]", "'retention' means nothing"},
        {"Rehearsal", "policy = \"none\"", "policy = \"federated\"", "keeps no exemplars"},
        {"Dropout", "dropout = 0.0", "dropout = 0.2", "must be 0 with strategy analytic"},
        {"NoRidge", "ridge = 0.5\n", "", "strategy.ridge"},
        {"RidgeBelowTheGrid", "ridge = 0.5", "ridge = 1e-7", "strategy.ridge"},
        {"TooManyFeatures", "features = 12", "features = 2049", "strategy.features"},
        {"NoFeatures", "features = 12", "features = 0", "strategy.features"}}),
    [](const auto& row) { return row.param.name; });

TEST(ParsePlan, OnlyAnalyticPlansHaveFeaturesAndARidge) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "ridge",
               (void)ParsePlan(With(Good(), "gamma = 1.0", "gamma = 1.0\nridge = 1.0"), "plan.toml"));
}

TEST(ParsePlan, ATaskMaySayWhatThePlanSaysOtherwise) {
  const Plan plan = ParsePlan(
      With(Good(), "rounds = 2", "rounds = 3\nsteps = 9\nbatch = 7\nlearning_rate = 0.5\ngamma = 0.25"), "plan.toml");
  EXPECT_EQ(plan.tasks[0].rounds, 3u);
  EXPECT_EQ(plan.tasks[0].training.steps, 9u);
  EXPECT_EQ(plan.tasks[0].training.batch, 7u);
  EXPECT_EQ(plan.tasks[0].training.learning_rate, 0.5);
  EXPECT_EQ(plan.tasks[0].training.momentum, 0.9);
  EXPECT_EQ(plan.tasks[0].gamma, 0.25);
  EXPECT_EQ(plan.tasks[1].training.steps, 2u);
  EXPECT_EQ(plan.tasks[1].gamma, 1.0);
}

TEST(ParsePlan, RobustRulesRunInTasksWithThreeRehearsingHospitalsOnly) {
  std::string tasks;
  for (const char* site : {"first", "second", "third", "fourth"}) {
    tasks += "[[task]]\nsite = \"" + std::string(site) + "\"\nrounds = 1\n";
    if (site == std::string("second") || site == std::string("third")) tasks += "rule = \"mean\"\n";
  }
  const std::string text = testing_support::SmallPlanText(Sha256Of("weights"), "federated", tasks);
  const Plan plan =
      ParsePlan(With(text, "rule = \"mean\"", "rule = \"trimmed_mean\"\ntrim = 1\nserver_momentum = 0.5"), "p");
  EXPECT_EQ(plan.tasks[2].rule, AggregationRule::kMean);
  EXPECT_EQ(plan.tasks[3].rule, AggregationRule::kTrimmedMean);
  EXPECT_EQ(plan.aggregation.server_momentum, 1u << 14);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot run in task 4",
               (void)ParsePlan(With(text, "rule = \"mean\"", "rule = \"trimmed_mean\"\ntrim = 2"), "p"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs a strategy that distils",
               (void)ParsePlan(With(With(With(text, "name = \"uacl\"\ngamma = 1.0\nprobe = 16", "name = \"replay\""),
                                         "passes = 10\n", ""),
                                    "rule = \"mean\"", "rule = \"distillation\""),
                               "p"));
}

TEST(ParsePlan, AGateMustBeAbleToTellALossFromChance) {
  const auto text = [](const std::string& gate) {
    return testing_support::SmallPlanText(Sha256Of("weights"), "federated",
                                          std::string(testing_support::kSmallTasks) + gate);
  };
  const Plan plan = ParsePlan(text(testing_support::kRetentionGate), "p");
  EXPECT_EQ(plan.retention.max_drop_millionths, 200'000u);
  EXPECT_EQ(plan.Judges(0), std::vector<std::string>{});
  EXPECT_EQ(plan.Judges(1), std::vector<std::string>{"first"});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two standard errors",
               (void)ParsePlan(text("[retention]\npictures = 24\nmax_drop = 0.2\nhalvings = 2\n"), "p"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "fewer than min_pictures",
               (void)ParsePlan(text("[retention]\npictures = 9\nmax_drop = 0.9\nhalvings = 2\n"), "p"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "keeps no exemplars",
               (void)ParsePlan(testing_support::SmallPlanText(
                                   Sha256Of("weights"), "none",
                                   std::string(testing_support::kSmallTasks) + testing_support::kRetentionGate),
                               "p"));
}

TEST(ParsePlan, MixesHospitalsAndClasses) {
  const Plan plan = ParsePlan(testing_support::SmallPlanText(Sha256Of("weights"), "federated",
                                                             testing_support::kMixedTasks, "observers = [\"watcher\"]"),
                              "plan.toml");
  EXPECT_EQ(plan.Sites(), (std::vector<std::string>{"first", "second", "watcher"}));
  EXPECT_EQ(plan.Participants(1), (std::vector<std::string>{"first"}));
  EXPECT_EQ(plan.Participants(3), (std::vector<std::string>{"second", "first"}));
  EXPECT_EQ(plan.KnownClasses(0), 1u);
  EXPECT_EQ(plan.KnownClasses(3), 2u);
  EXPECT_EQ(plan.PoolsOf("second"), (std::vector<ClassSet>{{0}, {1}}));
  EXPECT_EQ(plan.PoolsOf("watcher"), (std::vector<ClassSet>{{0, 1}}));
  std::string columns;
  for (const Column& column : plan.Columns()) columns += column.title + "/" + std::to_string(column.pool) + " ";
  EXPECT_EQ(columns, "first 1/0 first 2/1 second 1/0 second 2/1 watcher/0 ");
}

TEST(ParsePlan, ABudgetIsSharedByAllListsSoFar) {
  // Published-systems 2.3: K = 1000 over 13, 26 and 36 lists gives 76, 38 and 27; here 100 over 2, 4 and 6.
  std::string tasks;
  for (const char* site : {"first", "second", "third"})
    tasks += "[[task]]\nsite = \"" + std::string(site) + "\"\nrounds = 1\n";
  const Plan plan = ParsePlan(
      With(testing_support::SmallPlanText(Sha256Of("weights"), "local", tasks), "exemplars = 4", "budget = 100"),
      "plan.toml");
  EXPECT_EQ(plan.ExemplarsPerList(1), 50u);
  EXPECT_EQ(plan.ExemplarsPerList(2), 25u);
  EXPECT_EQ(plan.ExemplarsPerList(3), 16u);
}

TEST(ParsePlan, TheShippedPlansAreGood) {
  const Path folder = HEMAFED_SOURCE_DIR "/configs/plans";
  const std::vector<std::string> names = RealFileSystem().List(folder);
  EXPECT_GE(names.size(), 20u);
  for (const std::string& name : names) {
    const Path file = folder / name;
    EXPECT_NO_THROW((void)ParsePlan(ReadFile(RealFileSystem(), file, kMaxPlanBytes), file.string())) << file;
  }
}

TEST(IsPlainName, KeepsToWhatPathsAndTablesCanHold) {
  for (const char* good : {"a", "raabin", "acevedo20_c128", "matek-19", "1"}) EXPECT_TRUE(IsPlainName(good)) << good;
  for (const std::string bad : {"", "-a", "A", "a b", "../a", "a/b", "ä"}) EXPECT_FALSE(IsPlainName(bad)) << bad;
  EXPECT_FALSE(IsPlainName(std::string(49, 'a')));
}

std::string Strategic(const std::string& strategy, const std::string& policy) {
  return testing_support::WithStrategy(Good(), strategy, policy);
}

TEST(PlanStrategies, ReadTheirNumbersAndSayWhatTheyNeed) {
  const Plan icarl = ParsePlan(Strategic(testing_support::kIcarl, "sealed"), "plan");
  EXPECT_TRUE(icarl.CollectsMeans() && icarl.Distils() && icarl.KeepsExemplars());
  EXPECT_EQ(icarl.tasks[0].gamma, 1.0);
  EXPECT_EQ(icarl.Holders(1), (std::vector<std::string>{"second", "first"})) << "whatever the policy";
  const Plan ewc = ParsePlan(Strategic(testing_support::kEwc, "none"), "plan");
  EXPECT_EQ(ewc.strategy.penalty_share, 0.9);
  EXPECT_EQ(ewc.strategy.importance, 3000.0);
  EXPECT_EQ(ewc.strategy.fisher_pictures, 20u);
  EXPECT_TRUE(ewc.MeasuresFisher(0));
  EXPECT_FALSE(ewc.MeasuresFisher(1)) << "nothing follows the last task";
  EXPECT_FALSE(ewc.Distils());
  const Plan derpp = ParsePlan(Strategic(testing_support::kDerpp, "local"), "plan");
  EXPECT_EQ(derpp.strategy.alpha, 0.5);
  EXPECT_EQ(derpp.strategy.beta, 0.5);
  const Plan slow = ParsePlan(Strategic(testing_support::kSlowFast, "federated"), "plan");
  EXPECT_EQ(slow.strategy.slow_rate, 1u << 13);
  EXPECT_TRUE(slow.KeepsSlowModel());
  std::string mixed = testing_support::SmallPlanText(Sha256Of("weights"), "federated", testing_support::kMixedTasks);
  const Plan wa = ParsePlan(testing_support::WithStrategy(mixed, testing_support::kWa, "federated"), "plan");
  EXPECT_EQ(wa.strategy.temperature, 2.0);
  EXPECT_TRUE(wa.Distils());
  EXPECT_FALSE(wa.AlignsHead(0)) << "no row is old";
  EXPECT_TRUE(wa.AlignsHead(1));
  EXPECT_FALSE(wa.AlignsHead(2)) << "no row is new";
  for (const Plan* plan : {&icarl, &ewc, &derpp, &slow, &wa}) {
    EXPECT_EQ(StrategyName(plan->strategy.kind), plan == &icarl   ? "icarl"
                                                 : plan == &ewc   ? "ewc"
                                                 : plan == &derpp ? "derpp"
                                                 : plan == &slow  ? "slow_fast"
                                                                  : "wa");
  }
}

TEST(PlanStrategies, RefuseWhatCannotRunOrWouldSayNothing) {
  const auto refused = [](const std::string& text, const char* words) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParsePlan(text, "plan"));
  };
  refused(Strategic(testing_support::kEwc, "federated"), "the strategy keeps no exemplars");
  refused(Strategic(testing_support::kIcarl, "none"), "the strategy rehearses");
  refused(With(Strategic(testing_support::kIcarl, "federated"), "exemplars = 12", "exemplars = 9"),
          "leaves fewer than min_pictures for each list");
  refused(Strategic(testing_support::kDerpp, "sealed"), "sealed does not go with strategy derpp");
  refused(Strategic(testing_support::kSlowFast, "sealed"), "sealed does not go with strategy slow_fast");
  refused(Strategic("name = \"derpp\"\nalpha = 0.0\nbeta = 0.0\n", "local"), "nothing is rehearsed");
  refused(Strategic(With(testing_support::kEwc, "fisher_pictures = 20", "fisher_pictures = 9"), "none"),
          "fewer than min_pictures");
  refused(Strategic(With(testing_support::kEwc, "lambda = 0.9", "lambda = 1.0"), "none"), "lambda");
  refused(Strategic(With(testing_support::kSlowFast, "rate = 0.25", "rate = 0.00001"), "local"), "rate");
  refused(Strategic(With(testing_support::kWa, "probe = 16", "probe = 16\ngamma = 1.0"), "local"), "gamma");
  refused(With(Strategic(testing_support::kWa, "federated"), "rule = \"mean\"", "rule = \"distillation\""),
          "uacl or icarl");
  refused(Strategic(With(testing_support::kIcarl, "gamma = 1.0\n", ""), "local"), "gamma");
  refused(With(Strategic(testing_support::kIcarl, "federated"), "exemplars = 12", "exemplars = 12\npasses = 10"),
          "passes");
  const std::string rise = "max_share = 0.5\nmax_rise = 0.5";
  EXPECT_EQ(ParsePlan(With(Good(), "max_share = 0.5", rise), "plan").aggregation.max_rise_millionths, 500'000u);
  refused(With(Strategic(testing_support::kDerpp, "federated"), "max_share = 0.5", rise), "needs strategy uacl");
  refused(With(Strategic(testing_support::kIcarl, "local"), "max_share = 0.5", rise), "the policy federated");
  refused(With(Good(), "max_share = 0.5", "max_share = 0.5\nmax_rise = 0.0"), "max_rise");
}

std::string Autoencoder(const std::string& alignment = testing_support::kAligned) {
  return testing_support::AutoencoderPlanText(Sha256Of("weights"), Sha256Of("detector"), alignment);
}

TEST(ParsePlan, AnAutoencoderIsTrainedByEqualsAndScoredByNobody) {
  const Plan plan = ParsePlan(Autoencoder(), "plan.toml");
  EXPECT_EQ(plan.model.architecture, kAutoencoderArchitecture);
  EXPECT_EQ(plan.model.latent, 6u);
  EXPECT_EQ(plan.model.Files(), (std::vector<Digest>{Sha256Of("weights"), Sha256Of("detector")}));
  EXPECT_EQ(plan.model.FrozenFiles(), std::vector<Digest>{Sha256Of("detector")});
  EXPECT_TRUE(plan.TrainsAutoencoder());
  EXPECT_TRUE(plan.AlignsLatents());
  EXPECT_FALSE(plan.GrowsHead());
  EXPECT_EQ(plan.strategy.beta, 5.0);
  EXPECT_EQ(plan.strategy.source, "first");
  EXPECT_EQ(plan.strategy.window, 10u);
  EXPECT_EQ(plan.training.batch, 4u);
  EXPECT_EQ(plan.Participants(0), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(plan.Sites(), (std::vector<std::string>{"first", "second"}));
  EXPECT_TRUE(plan.Scorers().empty());
  EXPECT_TRUE(plan.Columns().empty());
  EXPECT_FALSE(ParsePlan(Autoencoder(testing_support::kUnaligned), "plan.toml").AlignsLatents());
  // Plans as before.
  EXPECT_TRUE(ParsePlan(Good(), "plan.toml").GrowsHead());
  EXPECT_EQ(ParsePlan(Good(), "plan.toml").Scorers(), ParsePlan(Good(), "plan.toml").Sites());
}

TEST(ParsePlan, WhatAnAutoencoderHasNoUseForIsRefusedWithTheReason) {
  const auto refused = [](const char* words, const std::string& text) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParsePlan(text, "plan.toml"));
  };
  const std::string good = Autoencoder();
  refused("means nothing with an autoencoder of cells", With(good, "latent", "dropout = 0.1\nlatent"));
  refused("model.normalisation", With(good, "latent", "normalisation = \"group\"\nlatent"));
  refused("model.autoencoder", With(good, "latent", "autoencoder = \"" + Sha256Of("a").Hex() + "\"\nlatent"));
  refused("model.latent", With(good, "latent = 6", "latent = 4"));
  refused("model.latent", With(good, "latent = 6", "latent = 1001"));
  refused("training.momentum", With(good, "threads", "momentum = 0.9\nthreads"));
  refused("classes", With(good, "rounds = 2", "classes = [\"basophil\"]\nrounds = 2"));
  refused("observers", With(good, "seed = 7", "seed = 7\nobservers = [\"watcher\"]"));
  refused("retention", good + "[retention]\npictures = 25\n");
  refused("augmentation", good + "[augmentation]\nflips = true\n");
  const auto absence = [&](const std::string& evaluating, const std::string& joining) {
    return good + "[absence]\nrehearsing = \"skip\"\nevaluating = \"" + evaluating + "\"\njoining = \"" + joining +
           "\"\nafter_s = 20\n";
  };
  EXPECT_NO_THROW((void)ParsePlan(absence("wait", "first_task"), "plan.toml"));
  refused("absence.evaluating", absence("skip", "first_task"));
  refused("absence.joining", absence("wait", "own_task"));
  refused("keeps no exemplars", With(good, "policy = \"none\"", "policy = \"federated\""));
  refused("are equals: use mean", With(good, "rule = \"mean\"", "rule = \"median\""));
  refused("names a hospital twice", With(good, "[\"second\"]", "[\"second\", \"first\"]"));
  refused("there once where an autoencoder is trained", good + "[[task]]\nsite = \"third\"\nrounds = 1\n");
  refused("needs the architecture cell_autoencoder",
          With(With(Good(), "name = \"uacl\"\ngamma = 1.0\nprobe = 16", "name = \"alignment\"\nbeta = 0\nwindow = 10"),
               "policy = \"federated\"\nexemplars = 4\npasses = 10\nherding = \"normalised\"", "policy = \"none\""));
  refused("use alignment",
          With(good, "name = \"alignment\"\nwindow = 10\nbeta = 5.0\nsource = \"first\"", "name = \"finetuning\""));
}

TEST(ParsePlan, TheSourceIsAHospitalOfTheTaskWhereHospitalsAreAligned) {
  const auto refused = [](const char* words, const std::string& text) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParsePlan(text, "plan.toml"));
  };
  EXPECT_EQ(ParsePlan(With(Autoencoder(), "source = \"first\"", "source = \"second\""), "plan.toml").strategy.source,
            "second");
  refused("is not a hospital of the task", With(Autoencoder(), "source = \"first\"", "source = \"third\""));
  refused("source", With(Autoencoder(), "source = \"first\"\n", ""));
  refused("means nothing with beta 0", With(Autoencoder(), "beta = 5.0", "beta = 0"));
  refused("one cell has no covariance", With(Autoencoder(), "batch = 4", "batch = 1"));
  refused("there is none to align with", With(Autoencoder(), "with = [\"second\"]\n", ""));
  // Alone, and not aligned, a hospital may train.
  EXPECT_EQ(ParsePlan(With(Autoencoder(testing_support::kUnaligned), "with = [\"second\"]\n", ""), "p").Sites().size(),
            1u);
}

TEST(ParsePlan, OnlyAnAutoencodersTaskHasEquals) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a hospital that learns classes has a task of its own",
               (void)ParsePlan(With(Good(), "rounds = 2", "with = [\"third\"]\nrounds = 2"), "plan.toml"));
}

TEST(ParsePlan, HospitalsAreComparedOnlyWherePlansSeeLatents) {
  const ExtractorPlan extractor{.detector = Sha256Of("d"), .autoencoder = Sha256Of("a")};
  const std::string good = testing_support::LatentPlanText(Good(), extractor) + testing_support::kDriftCheck;
  const Plan plan = ParsePlan(good, "plan.toml");
  ASSERT_TRUE(plan.drift.has_value());
  EXPECT_EQ(plan.drift->permutations, 99u);
  EXPECT_EQ(plan.drift->rows, 40u);
  EXPECT_TRUE(plan.StatesMoments());
  EXPECT_FALSE(plan.AlignsLatents());
  EXPECT_EQ(plan.model.LatentWidth(), 50u);
  EXPECT_FALSE(ParsePlan(testing_support::LatentPlanText(Good(), extractor), "plan.toml").StatesMoments());
  EXPECT_EQ(ParsePlan(Autoencoder(), "plan.toml").model.LatentWidth(), 6u);

  const auto refused = [](const char* words, const std::string& text) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ParsePlan(text, "plan.toml"));
  };
  refused("drift.permutations", With(good, "permutations = 99", "permutations = 98"));
  refused("drift.permutations", With(good, "permutations = 99", "permutations = 10000"));
  refused("drift.permutations", With(good, "permutations = 99\n", ""));
  refused("drift.rows", With(good, "rows = 40", "rows = 9"));
  refused("drift.rows", With(good, "rows = 40", "rows = 2001"));
  refused("drift.seed", With(good, "rows = 40", "rows = 40\nseed = 1"));
  refused("only the architecture ae_cfe has", Good() + testing_support::kDriftCheck);
  refused("only the architecture ae_cfe has", Autoencoder() + testing_support::kDriftCheck);
}

}  // namespace
}  // namespace hemafed
