// SPDX-License-Identifier: Apache-2.0
//
// Every loss of a strategy against a slow, obvious one in double precision.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "codec/head_growth.h"
#include "learning/continual/strategies/cls_er.h"
#include "learning/continual/strategies/derpp.h"
#include "learning/continual/strategies/er_ace.h"
#include "learning/continual/strategies/lwf.h"
#include "learning/continual/strategies/replay.h"
#include "learning/continual/strategies/weight_alignment.h"
#include "tests/expect_error.h"
#include "tests/learning/one_step.h"

namespace hemafed::learning {
namespace {

using testing_support::kNear;
using testing_support::LargestDifference;
using testing_support::LogSumExp;
using testing_support::OneStep;
using testing_support::RecipeModel;
using testing_support::Rows;
using testing_support::RowsOf;
using testing_support::SlowCrossEntropy;
using testing_support::Softmax;
using testing_support::Uniform;

double SlowSoftmaxDistillation(const Rows& student, const Rows& teacher, double temperature) {
  double sum = 0;
  for (std::size_t n = 0; n < student.size(); ++n) {
    const std::vector<double> q = Softmax(teacher[n], teacher[n].size(), temperature);
    const std::vector<double> p = Softmax(student[n], teacher[n].size(), temperature);
    for (std::size_t j = 0; j < q.size(); ++j) sum -= q[j] * std::log(p[j]);
  }
  return sum / static_cast<double>(student.size());
}

TEST_F(OneStep, LwfIsCrossEntropyPlusSoftenedDistillationOnOldClasses) {
  settings_.lwf_weight = 1.5;
  settings_.temperature = 2;
  Lwf lwf(settings_);
  const Rows teacher = RowsOf(teacher_.Forward(Uniform(5, {6, 3, 16, 16}, -1, 1)));
  const double distillation = SlowSoftmaxDistillation(NewLogits(), teacher, 2);
  const LossTerms loss = LossOf(lwf);
  EXPECT_NEAR(loss.extra.item<double>(), distillation, kNear);
  EXPECT_NEAR(loss.total.item<double>(), SlowCrossEntropy(NewLogits(), labels_) + 1.5 * distillation, kNear);
  context_.teacher = nullptr;
  EXPECT_NEAR(LossOf(lwf).total.item<double>(), SlowCrossEntropy(NewLogits(), labels_), kNear);
}

TEST(SoftmaxDistillation, IsTheEntropyOfTheTeacherWhereBothAgreeAndSmallestThere) {
  const at::Tensor z = Uniform(3, {4, 3}, -2, 2, at::kDouble);
  const at::Tensor q = (z / 2).softmax(1);
  const double floor = SoftmaxDistillation(z, z, 2).item<double>();
  EXPECT_NEAR(floor, -(q * q.log()).sum(1).mean().item<double>(), 1e-12);
  EXPECT_GT(SoftmaxDistillation(z + Uniform(4, {4, 3}, -1, 1, at::kDouble), z, 2).item<double>(), floor);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "C_old <= C", (void)SoftmaxDistillation(z, at::zeros({4, 4}), 2));
}

TEST_F(OneStep, WeightAlignmentMixesByTheShareOfOldClasses) {
  WeightAlignment wa(settings_);
  const Rows teacher = RowsOf(teacher_.Forward(Uniform(5, {6, 3, 16, 16}, -1, 1)));
  const double want =
      SlowCrossEntropy(NewLogits(), labels_) / 3 + 2.0 / 3 * SlowSoftmaxDistillation(NewLogits(), teacher, 2);
  EXPECT_NEAR(LossOf(wa).total.item<double>(), want, kNear);
  EXPECT_EQ(DistillationShare(5, 5), 0.5);
}

TEST(WeightAlignmentRows, GetTheMeanLengthOfTheOldOnesAndOldRowsStay) {
  at::Tensor weight = at::tensor({3.0, 4.0, 0.0, 1.0, 6.0, 8.0, 0.0, 2.0}).reshape({4, 2});  // lengths 5 1 | 10 2
  const at::Tensor before = weight.clone();
  EXPECT_NEAR(AlignNewRows(weight, 2), 3.0 / 6.0, 1e-12);
  EXPECT_TRUE(at::equal(weight.narrow(0, 0, 2), before.narrow(0, 0, 2)));
  EXPECT_LT(LargestDifference(weight.narrow(0, 2, 2), before.narrow(0, 2, 2) / 2), 1e-7);
  EXPECT_EQ(AlignNewRows(weight, 4), 1.0);
  EXPECT_EQ(AlignNewRows(weight, 0), 1.0);
}

TEST_F(OneStep, WeightAlignmentClipsOnlyWhenAsked) {
  WeightAlignment off(settings_);
  settings_.wa_clip = true;
  WeightAlignment on(settings_);
  const auto lowest = [&] {
    for (const NamedTensor& tensor : model_.tensors()) {
      if (tensor.name == kHeadWeight) return tensor.value.min().item<double>();
    }
    return 1.0;
  };
  off.AfterStep(context_, 0);
  EXPECT_LT(lowest(), 0.0);
  on.AfterStep(context_, 0);
  EXPECT_EQ(lowest(), 0.0);
}

TEST_F(OneStep, ReplayIsTheMeanOverBatchAndExemplars) {
  Replay replay(settings_);
  const double want =
      (6 * SlowCrossEntropy(NewLogits(), labels_) + 3 * SlowCrossEntropy(MemoryLogits(model_, 1), MemoryLabels(1))) / 9;
  EXPECT_NEAR(LossOf(replay).total.item<double>(), want, kNear);
  has_memory_ = false;
  EXPECT_NEAR(LossOf(replay).total.item<double>(), SlowCrossEntropy(NewLogits(), labels_), kNear);
}

// Cross-entropy with every class but `rows` taken out of the sum.
double SlowCrossEntropyOver(const Rows& logits, const std::vector<std::int64_t>& labels,
                            const std::set<std::size_t>& rows) {
  double sum = 0;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    std::vector<double> open;
    for (const std::size_t row : rows) open.push_back(logits[n][row]);
    sum += LogSumExp(open) - logits[n][static_cast<std::size_t>(labels[n])];
  }
  return sum / static_cast<double>(logits.size());
}

TEST_F(OneStep, ErAceClosesTheSoftmaxOfNewPicturesToOtherClasses) {
  ErAce ace(settings_);
  const double rehearsed = SlowCrossEntropy(MemoryLogits(model_, 1), MemoryLabels(1));
  EXPECT_NEAR(LossOf(ace).total.item<double>(), SlowCrossEntropyOver(NewLogits(), labels_, {0, 1, 2}) + rehearsed,
              kNear);
  // Only rows 1 and 2 in the batch.
  const at::Tensor images = Uniform(5, {6, 3, 16, 16}, -1, 1);
  const at::Tensor logits = model_.Forward(images.narrow(0, 1, 4));
  EXPECT_NEAR(
      CrossEntropyOver(logits, at::tensor({1, 2, 2, 1}, at::kLong), at::tensor({1, 2}, at::kLong)).item<double>(),
      SlowCrossEntropyOver(RowsOf(logits), {1, 2, 2, 1}, {1, 2}), kNear);
  context_.task = 0;
  EXPECT_NEAR(LossOf(ace).total.item<double>(), SlowCrossEntropy(NewLogits(), labels_), kNear);
}

TEST_F(OneStep, ErAceOverTheTasksClassesShutsTheOthers) {
  settings_.ace_classes = AceClasses::kTask;
  ErAce ace(settings_);
  context_.rows = {0, 1, 2};
  const double all = LossOf(ace).cross_entropy.item<double>();
  EXPECT_NEAR(all, SlowCrossEntropy(NewLogits(), labels_), kNear);
}

TEST_F(OneStep, DerPpPullsStoredLogitsAndRehearsesLabels) {
  DerPp der(settings_);
  // Logits are stored when a task ends, by the model of then, over the classes of then.
  TaskContext earlier = context_;
  earlier.model = &teacher_;
  der.AfterTask(earlier);
  ASSERT_EQ(der.logits().size(), 4u);
  const Rows now = MemoryLogits(model_, 1);
  const Rows then = MemoryLogits(teacher_, 1);
  double squares = 0;
  for (std::size_t n = 0; n < 3; ++n) {
    for (std::size_t j = 0; j < 2; ++j) squares += (now[n][j] - then[n][j]) * (now[n][j] - then[n][j]);
  }
  const double rest =
      SlowCrossEntropy(NewLogits(), labels_) + 0.5 * SlowCrossEntropy(MemoryLogits(model_, 2), MemoryLabels(2));
  EXPECT_NEAR(LossOf(der).total.item<double>(), rest + 0.5 * squares / (3 * 2), kNear);
  settings_.der_sum_over_classes = true;
  DerPp printed(settings_);
  printed.AfterTask(earlier);
  EXPECT_NEAR(LossOf(printed).total.item<double>(), rest + 0.5 * squares / 3, kNear);
}

TEST(LogitDistance, AveragesEachPictureOverTheClassesItKnewAndSkipsThoseWithoutLogits) {
  const at::Tensor logits = at::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0}, at::kDouble).reshape({3, 3});
  const std::vector<std::vector<float>> stored = {{0, 0}, {}, {7, 8, 6}};
  EXPECT_NEAR(LogitDistance(logits, stored, false).item<double>(), ((1.0 + 4.0) / 2 + 9.0 / 3) / 2, 1e-6);
  EXPECT_NEAR(LogitDistance(logits, stored, true).item<double>(), ((1.0 + 4.0) + 9.0) / 2, 1e-6);
  EXPECT_EQ(LogitDistance(logits, {{}, {}, {}}, false).item<double>(), 0.0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more classes", (void)LogitDistance(logits, {{1, 2, 3, 4}, {}, {}}, false));
}

TEST_F(OneStep, DerPpForgetsWhatIsNoLongerStored) {
  DerPp der(settings_);
  der.AfterTask(context_);
  const ExemplarKey gone = memory_.keys[1];
  memory_.keys.erase(memory_.keys.begin() + 1);
  memory_.view = PictureView({&old_}, {{0, 0, 0}, {0, 2, 0}, {0, 3, 1}});
  const std::vector<float> kept = der.logits().at(memory_.keys[0]);
  context_.model = &teacher_;
  der.AfterTask(context_);
  EXPECT_FALSE(der.logits().contains(gone));
  EXPECT_EQ(der.logits().at(memory_.keys[0]), kept);  // Stored once, not refreshed.
}

TEST_F(OneStep, ClsErPullsTowardsTheSlowModelThatKnowsBetter) {
  ClsEr cls(settings_);
  cls.BeforeTask(context_);  // Both slow models start as copies, ...
  Classifier& stable = const_cast<Classifier&>(*cls.stable());
  const Classifier other = RecipeModel(Architecture::kSmallCnn, 3, 99);
  for (std::size_t i = 0; i < stable.tensors().size(); ++i) {  // ... here one is made different.
    at::Tensor value = stable.tensors()[i].value;
    value.copy_(other.tensors()[i].value);
  }
  const Rows now = MemoryLogits(model_, 1);
  const Rows plastic = MemoryLogits(*cls.plastic(), 1);
  const Rows slow = MemoryLogits(other, 1);
  double squares = 0;
  for (std::size_t n = 0; n < 3; ++n) {
    const auto y = static_cast<std::size_t>(MemoryLabels(1)[n]);
    const Rows& better = Softmax(plastic[n], 3, 1)[y] > Softmax(slow[n], 3, 1)[y] ? plastic : slow;
    for (std::size_t j = 0; j < 3; ++j) squares += (now[n][j] - better[n][j]) * (now[n][j] - better[n][j]);
  }
  const double both =
      (6 * SlowCrossEntropy(NewLogits(), labels_) + 3 * SlowCrossEntropy(MemoryLogits(model_, 1), MemoryLabels(1))) / 9;
  EXPECT_NEAR(LossOf(cls).total.item<double>(), both + 0.15 * squares / 9, kNear);
}

TEST(ClsErAnswers, AreTheRowsThatGiveTheLabelMore) {
  const at::Tensor plastic = at::tensor({2.0, 0.0, 0.0, 0.0}).reshape({2, 2});
  const at::Tensor stable = at::tensor({1.0, 0.0, -5.0, 1.0}).reshape({2, 2});
  const at::Tensor better = BetterAnswers(plastic, stable, at::tensor({0, 1}, at::kLong));
  EXPECT_TRUE(at::equal(better[0], plastic[0]));
  EXPECT_TRUE(at::equal(better[1], stable[1]));
}

TEST_F(OneStep, ClsErMovesItsSlowModelsByTheFormulaAtTheirRates) {
  settings_.cls_plastic_rate = 1;
  settings_.cls_stable_rate = 0;
  settings_.cls_plastic_decay = 0.9;
  ClsEr cls(settings_);
  cls.BeforeTask(context_);
  const Classifier start = model_.Clone();
  std::vector<at::Tensor> want;
  for (const NamedTensor& tensor : start.tensors()) want.push_back(tensor.value.to(at::kDouble));
  for (std::uint32_t t = 0; t < 15; ++t) {
    at::Tensor moved = model_.tensors()[0].value;
    moved.add_(0.1);
    cls.AfterStep(context_, t);
    const double decay = std::min(1.0 - 1.0 / (t + 1), 0.9);
    want[0] = decay * want[0] + (1 - decay) * model_.tensors()[0].value.to(at::kDouble);
  }
  EXPECT_LT(LargestDifference(cls.plastic()->tensors()[0].value, want[0]), 1e-6);
  EXPECT_TRUE(at::equal(cls.stable()->tensors()[0].value, start.tensors()[0].value));
}

TEST_F(OneStep, ClsErUpdatesAsOftenAsItsRateSaysAndPredictsWithTheStableModel) {
  settings_.cls_stable_rate = 0.25;
  settings_.cls_plastic_rate = 0;
  settings_.cls_stable_decay = 0;  // Every update copies the model, so it can be seen.
  ClsEr cls(settings_);
  cls.BeforeTask(context_);
  int updates = 0;
  for (std::uint32_t t = 0; t < 200; ++t) {
    at::Tensor moved = model_.tensors()[0].value;
    moved.add_(0.01);
    cls.AfterStep(context_, t);
    updates += at::equal(cls.stable()->tensors()[0].value, moved);
  }
  EXPECT_NEAR(updates, 50, 20);  // More than three standard deviations.
  const at::Tensor images = Uniform(5, {2, 3, 16, 16}, -1, 1);
  EXPECT_TRUE(at::equal(cls.Scores(model_, images), cls.stable()->Forward(images).to(at::kDouble).softmax(1)));
}

TEST_F(OneStep, ClsErGivesItsSlowModelsTheNewRowsAndKeepsTheirOldOnes) {
  ClsEr cls(settings_);
  context_.model = &teacher_;
  cls.BeforeTask(context_);
  context_.model = &model_;
  cls.BeforeTask(context_);
  for (std::size_t i = 0; i < model_.tensors().size(); ++i) {
    const at::Tensor& got = cls.stable()->tensors()[i].value;
    const at::Tensor& slow = teacher_.tensors()[i].value;
    const at::Tensor& now = model_.tensors()[i].value;
    ASSERT_EQ(got.sizes(), now.sizes());
    EXPECT_TRUE(at::equal(got.narrow(0, 0, slow.size(0)), slow));
    if (got.size(0) > slow.size(0)) {
      EXPECT_TRUE(at::equal(got.narrow(0, 2, 1), now.narrow(0, 2, 1)));
    }
  }
}

TEST(StrategyFactory, MakesEveryNameAndListsThemForOthers) {
  for (const std::string_view name : StrategyNames()) EXPECT_NE(MakeStrategy(name, {}), nullptr);
  EXPECT_EQ(StrategyNames().size(), 12u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "derpp, er_ace, wa, cls_er, analytic", (void)MakeStrategy("gdumb", {}));
  StrategySettings settings;
  settings.analytic_features = 2049;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "analytic_features", (void)MakeStrategy("analytic", settings));
}

}  // namespace
}  // namespace hemafed::learning
