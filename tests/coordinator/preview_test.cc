// SPDX-License-Identifier: Apache-2.0
#include "coordinator/preview.h"

#include <gtest/gtest.h>

#include "tests/protocol/federation/consortium_fixture.h"

namespace hemafed::coordinator {
namespace {

using testing_support::SmallPlanText;

bool Says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST(PreviewPlan, SaysWhoTrainsWhatAndWhatIsKept) {
  const Plan plan = ParsePlan(SmallPlanText(Sha256Of("weights"), "federated",
                                            std::string(testing_support::kMixedTasks) +
                                                testing_support::kRetentionGate + testing_support::kAbsence,
                                            "observers = [\"watcher\"]"),
                              "plan");
  const std::string text = PreviewPlan(plan);
  EXPECT_TRUE(Says(text, "2 classes, 4 tasks, 3 sites")) << text;
  EXPECT_TRUE(Says(text, "strategy uacl with gamma 1; updates as int32, merged by mean")) << text;
  EXPECT_TRUE(Says(text, "task 2: 1 round, first learns monocyte; then 4 exemplars of each class are kept")) << text;
  EXPECT_TRUE(Says(text, "task 3: 1 round, second learns basophil; rehearsing: first;")) << text;
  EXPECT_TRUE(Says(text, "judge the merged model on 25 pictures each; a drop of agreement by more than 0.2")) << text;
  EXPECT_TRUE(Says(text, "do not answer in 20 s are left out")) << text;
  // Rounds 2 + 1 of one site, 1 + 2 of two; two steps each.
  EXPECT_TRUE(Says(text, "in all 9 local trainings with 18 steps")) << text;
  EXPECT_TRUE(Says(text, "scoring only: watcher")) << text;
}

TEST(PreviewPlan, SaysThatAnAnalyticPlanTrainsNothing) {
  const Plan plan =
      ParsePlan(testing_support::AnalyticPlanText(Sha256Of("weights"), testing_support::kMixedTasks), "plan");
  const std::string text = PreviewPlan(plan);
  EXPECT_TRUE(Says(text, "2 classes, 4 tasks, 2 sites")) << text;
  EXPECT_TRUE(Says(text, "sums of 12 random features of all pictures so far, with ridge 0.5")) << text;
  EXPECT_TRUE(Says(text, "task 2: first sums its pictures of monocyte\n")) << text;
  EXPECT_TRUE(Says(text, "in all 4 files of sums")) << text;
  EXPECT_TRUE(Says(text, "a head has 152 bytes")) << text;
  EXPECT_FALSE(Says(text, "local trainings")) << text;
}

TEST(PreviewPlan, SaysWhatEachStrategySendsBesideUpdates) {
  const auto preview = [](const char* strategy, const char* policy) {
    return PreviewPlan(
        ParsePlan(testing_support::WithStrategy(SmallPlanText(Sha256Of("w")), strategy, policy), "plan"));
  };
  EXPECT_TRUE(Says(preview(testing_support::kIcarl, "federated"), "answers by the nearest of them"));
  EXPECT_TRUE(Says(preview(testing_support::kEwc, "none"), "Fisher information of at most 20 pictures"));
  EXPECT_TRUE(Says(preview(testing_support::kDerpp, "local"), "the models that its own tasks ended with"));
  EXPECT_TRUE(Says(preview(testing_support::kWa, "federated"), "the old ones' mean length"));
  EXPECT_TRUE(Says(preview(testing_support::kSlowFast, "federated"), "follows by 0.25 of the way in each round"));
  std::string guarded = SmallPlanText(Sha256Of("w"));
  guarded.replace(guarded.find("max_share"), 0, "max_rise = 0.75\nmax_retreat = 0.5\n");
  EXPECT_TRUE(Says(PreviewPlan(ParsePlan(guarded, "plan")), "has risen by more than 0.75 since"));
  EXPECT_TRUE(Says(PreviewPlan(ParsePlan(guarded, "plan")), "take back more than 0.5 of what the task has taught"));
}

TEST(PreviewPlan, SaysPlainlyThatPicturesMoveAndBetweenWhom) {
  const std::string sealed =
      PreviewPlan(ParsePlan(SmallPlanText(Sha256Of("weights"), "sealed", testing_support::kMixedTasks), "plan"));
  EXPECT_TRUE(Says(sealed, "PICTURES MOVE")) << sealed;
  // One class with four exemplars: 216 + 4 (44 + 100,000) + 16 bytes.
  EXPECT_TRUE(Says(sealed,
                   "after task 2 first gives second at most 4 training pictures of at most 100000 bytes each, "
                   "400408 bytes in all"))
      << sealed;
  EXPECT_FALSE(Says(sealed, "second gives")) << sealed;
  EXPECT_TRUE(Says(sealed, "have agreed (hemafed-site agree): first second\n")) << sealed;
  const std::string federated = PreviewPlan(ParsePlan(SmallPlanText(Sha256Of("weights")), "plan"));
  EXPECT_FALSE(Says(federated, "PICTURES MOVE")) << federated;
}

TEST(PreviewPlan, SaysWhoTrainsAnAutoencoderTogetherAndWhatTheySend) {
  const auto preview = [](const char* alignment, const char* more) {
    return PreviewPlan(ParsePlan(
        testing_support::AutoencoderPlanText(Sha256Of("w"), Sha256Of("d"), alignment, more, "\"second\", \"third\""),
        "plan"));
  };
  const std::string text = preview(testing_support::kAligned, testing_support::kAbsence);
  EXPECT_TRUE(Says(text, "model cell_autoencoder at 64 x 64 px")) << text;
  EXPECT_TRUE(Says(text, "the frozen detector " + Sha256Of("d").Hex().substr(0, 12))) << text;
  EXPECT_TRUE(Says(text, "task 1: 2 rounds, first, second and third train at the same time; 2 steps of 4 cells each"))
      << text;
  EXPECT_TRUE(Says(text, "240 bytes; the others' latents are drawn to those of first, with beta 5")) << text;
  EXPECT_TRUE(Says(text, "in all 6 local trainings with 12 steps")) << text;
  EXPECT_TRUE(Says(text, "nobody scores the model")) << text;
  EXPECT_TRUE(Says(text, "beside the task's own and the source that do not answer in 20 s are left out")) << text;
  EXPECT_FALSE(Says(text, "test pictures")) << text;
  EXPECT_TRUE(Says(preview(testing_support::kUnaligned, ""), "no moments are sent"));
}

TEST(PreviewPlan, SaysWhatHospitalsAreAskedBeforeTheyTrain) {
  const std::string text = testing_support::LatentPlanText(SmallPlanText(Sha256Of("weights")),
                                                           {.detector = Sha256Of("d"), .autoencoder = Sha256Of("a")});
  const std::string preview = PreviewPlan(ParsePlan(text + testing_support::kDriftCheck, "plan"));
  EXPECT_TRUE(Says(preview, "mean and covariance of its training pictures' latents as integers, 10624 bytes"))
      << preview;
  EXPECT_TRUE(Says(preview, "(99 permutations, at most 40 pictures); nothing is stopped by it\n")) << preview;
  EXPECT_FALSE(Says(PreviewPlan(ParsePlan(text, "plan")), "drift"));
}

}  // namespace
}  // namespace hemafed::coordinator
