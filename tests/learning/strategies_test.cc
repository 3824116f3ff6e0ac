// SPDX-License-Identifier: Apache-2.0
//
// Every loss and every end-of-task computation of a strategy against a slow, obvious one in double precision.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "codec/update.h"
#include "learning/continual/strategies/analytic.h"
#include "learning/continual/strategies/cls_er.h"
#include "learning/continual/strategies/derpp.h"
#include "learning/continual/strategies/er_ace.h"
#include "learning/continual/strategies/ewc.h"
#include "learning/continual/strategies/lwf.h"
#include "learning/continual/strategies/replay.h"
#include "learning/continual/strategies/weight_alignment.h"
#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::LargestDifference;
using testing_support::MemorySource;
using testing_support::RecipeModel;
using testing_support::Uniform;

using Rows = std::vector<std::vector<double>>;

Rows RowsOf(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  Rows rows;
  for (std::int64_t n = 0; n < values.size(0); ++n) {
    const double* row = values.const_data_ptr<double>() + n * values.size(1);
    rows.emplace_back(row, row + values.size(1));
  }
  return rows;
}

double LogSumExp(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::exp(value);
  return std::log(sum);
}

double SlowCrossEntropy(const Rows& logits, const std::vector<std::int64_t>& labels) {
  double sum = 0;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    sum += LogSumExp(logits[n]) - logits[n][static_cast<std::size_t>(labels[n])];
  }
  return sum / static_cast<double>(logits.size());
}

// A task of six pictures of rows 0..2 with four exemplars of rows 0 and 1, and logits that are a fixed function of the
// pictures, so that a loss can be computed by hand.
class OneStep : public testing::Test {
 protected:
  OneStep()
      : model_(RecipeModel(Architecture::kSmallCnn, 3)),
        teacher_(RecipeModel(Architecture::kSmallCnn, 2, 7)),
        source_(Uniform(5, {6, 3, 16, 16}, -1, 1), {0, 1, 2, 2, 1, 2}),
        old_(Uniform(6, {4, 3, 16, 16}, -1, 1), {0, 1, 0, 1}),
        pictures_({&source_}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 2}, {0, 4, 1}, {0, 5, 2}}),
        memory_{{}, PictureView({&old_}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 0}, {0, 3, 1}})} {
    for (std::uint32_t i = 0; i < 4; ++i) memory_.keys.push_back({"old", i % 2, old_.PictureDigest(i)});
    context_.task = 1;
    context_.old_classes = 2;
    context_.rows = {1, 2};
    context_.model = &model_;
    context_.teacher = &teacher_;
    context_.pictures = &pictures_;
    context_.memory = &memory_;
    context_.seed = 9;
    context_.batch = 3;
  }

  // What slot s draws from the exemplars.
  static std::vector<std::uint32_t> ItemsOf(std::uint32_t slot) {
    return slot == 1 ? std::vector<std::uint32_t>{2, 1, 3} : std::vector<std::uint32_t>{0, 3};
  }

  LossTerms LossOf(Strategy& strategy) {
    const StepInput input{.context = context_,
                          .draw = 0,
                          .batch = pictures_.Get(std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}, std::nullopt),
                          .is_memory = at::zeros({6}, at::kBool),
                          .forward = [&](const at::Tensor& images, std::uint32_t) { return model_.Forward(images); },
                          .draw_memory = [&](std::uint32_t slot) -> std::optional<MemoryBatch> {
                            if (!has_memory_) return std::nullopt;
                            return MemoryBatch{memory_.view.Get(ItemsOf(slot), std::nullopt), ItemsOf(slot)};
                          }};
    return strategy.Loss(input);
  }

  Rows NewLogits() { return RowsOf(model_.Forward(Uniform(5, {6, 3, 16, 16}, -1, 1))); }
  Rows MemoryLogits(const Classifier& model, std::uint32_t slot) {
    return RowsOf(model.Forward(memory_.view.Get(ItemsOf(slot), std::nullopt).images));
  }
  std::vector<std::int64_t> MemoryLabels(std::uint32_t slot) {
    std::vector<std::int64_t> labels;
    for (const std::uint32_t item : ItemsOf(slot)) labels.push_back(item % 2);
    return labels;
  }

  const std::vector<std::int64_t> labels_ = {0, 1, 2, 2, 1, 2};
  const at::NoGradGuard no_gradients_;
  StrategySettings settings_;
  Classifier model_;
  Classifier teacher_;
  MemorySource source_;
  MemorySource old_;
  PictureView pictures_;
  Memory memory_;
  TaskContext context_;
  bool has_memory_ = true;
};

constexpr double kNear = 2e-5;  // float32 logits of order 1 against double sums

// softmax(z / T) of the first `classes` entries.
std::vector<double> Softmax(std::vector<double> z, std::size_t classes, double temperature) {
  z.resize(classes);
  for (double& value : z) value /= temperature;
  const double log_sum = LogSumExp(z);
  for (double& value : z) value = std::exp(value - log_sum);
  return z;
}

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

// EWC -----------------------------------------------------------------------------------------------------------------

TEST(Fisher, IsTheMeanSquaredGradientOfTheModelsOwnAnswersOnePictureAtATime) {
  MemorySource source = EasyPictures(4, 3, 16, 1, at::kDouble);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3).Clone(at::kDouble);
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  // Head and bias by hand: the gradient of -log p(y^) by logit j is p_j - [j = y^], times the feature.
  const std::vector<std::uint32_t> all = {0, 1, 2, 3};
  const at::Tensor features = model.Features(source.Get(all, std::nullopt).images);
  const Rows rows = RowsOf(model.Head(features));
  at::Tensor want_bias = at::zeros({3}, at::kDouble);
  at::Tensor want_weight = at::zeros({3, features.size(1)}, at::kDouble);
  for (std::size_t n = 0; n < 4; ++n) {
    const std::vector<double> p = Softmax(rows[n], 3, 1);
    const auto answer = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    for (std::size_t j = 0; j < 3; ++j) {
      const double gradient = p[j] - (j == answer ? 1.0 : 0.0);
      want_bias[static_cast<std::int64_t>(j)] += gradient * gradient / 4;
      want_weight[static_cast<std::int64_t>(j)] +=
          gradient * gradient / 4 * features[static_cast<std::int64_t>(n)].square();
    }
  }
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    const std::string& name = model.tensors()[i].name;
    if (name == kHeadWeight || name == kHeadBias) {
      EXPECT_LT(LargestDifference(fisher[i], name == kHeadBias ? want_bias : want_weight), 1e-12);
    }
    EXPECT_EQ(fisher[i].defined(), !IsNormalisationBuffer(model.tensors()[i].name));
    EXPECT_FALSE(model.tensors()[i].value.requires_grad());
  }
}

TEST(Fisher, OfATrunkTensorIsThatOfFiniteDifferences) {
  MemorySource source = EasyPictures(3, 3, 16, 1, at::kDouble);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3).Clone(at::kDouble);
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  std::size_t place = 0;
  while (model.tensors()[place].name != "stage3.norm.bias") ++place;
  double want = 0;
  for (std::uint32_t n = 0; n < 3; ++n) {
    const at::Tensor image = source.Get(std::vector<std::uint32_t>{n}, std::nullopt).images;
    const std::int64_t answer = model.Forward(image).argmax(1).item<std::int64_t>();
    const auto loss = [&](double change) {
      const Classifier moved = model.Clone(at::kDouble);
      at::Tensor value = moved.tensors()[place].value;
      value[5] += change;
      return -moved.Forward(image).log_softmax(1)[0][answer].item<double>();
    };
    const double gradient = (loss(1e-5) - loss(-1e-5)) / 2e-5;
    want += gradient * gradient / 3;
  }
  EXPECT_NEAR(fisher[place][5].item<double>(), want, 1e-6 * std::max(1.0, want));
}

TEST(Fisher, OfSomePicturesTakesAsManyAsAsked) {
  MemorySource source = EasyPictures(10, 3, 16, 1);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  std::uint64_t seen = 0;
  (void)FisherDiagonal(model, source, 4, 1, [&](std::uint64_t done, std::uint64_t all) {
    seen = done;
    EXPECT_EQ(all, 4u);
  });
  EXPECT_EQ(seen, 4u);
}

// What EWC holds on to after a task, computed by the definition: Fisher and weights of each old task apart.
struct OldTask {
  std::map<std::string, at::Tensor> fisher;
  std::map<std::string, at::Tensor> weights;
};
OldTask Remember(const Classifier& model, BatchSource& source) {
  OldTask task;
  const std::vector<at::Tensor> fisher = FisherDiagonal(model, source, 0, 1, {});
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (!fisher[i].defined()) continue;
    task.fisher[model.tensors()[i].name] = fisher[i].to(at::kDouble);
    task.weights[model.tensors()[i].name] = model.tensors()[i].value.to(at::kDouble).clone();
  }
  return task;
}
double SlowPenalty(const Classifier& model, const std::vector<OldTask>& old) {
  double penalty = 0;
  for (const OldTask& task : old) {
    for (const NamedTensor& tensor : model.tensors()) {
      const auto found = task.weights.find(tensor.name);
      if (found == task.weights.end()) continue;
      const at::Tensor now = tensor.value.to(at::kDouble).narrow(0, 0, found->second.size(0));
      penalty += (task.fisher.at(tensor.name) * (now - found->second).square()).sum().item<double>();
    }
  }
  return penalty;
}

TEST_F(OneStep, EwcHoldsOnToEveryOldTaskAndNotToNewRows) {
  MemorySource first = EasyPictures(5, 2, 16, 3);
  MemorySource second = EasyPictures(5, 3, 16, 4);
  PictureView first_view({&first}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 0}, {0, 3, 1}, {0, 4, 0}});
  PictureView second_view({&second}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 0}, {0, 4, 1}});
  const at::AutoGradMode gradients(true);
  for (const EwcAnchors anchors : {EwcAnchors::kAll, EwcAnchors::kLast}) {
    settings_.ewc_anchors = anchors;
    settings_.ewc_importance = 100;
    settings_.ewc_lambda = 0.75;
    Ewc ewc(settings_);
    EXPECT_NEAR(LossOf(ewc).total.item<double>(), SlowCrossEntropy(NewLogits(), labels_), kNear);  // First task.
    Classifier small = RecipeModel(Architecture::kSmallCnn, 2, 7);
    Classifier large = RecipeModel(Architecture::kSmallCnn, 3, 8);
    std::vector<OldTask> old = {Remember(small, first_view)};
    context_.model = &small;
    context_.pictures = &first_view;
    ewc.AfterTask(context_);
    EXPECT_NEAR(ewc.Penalty(model_).item<double>(), SlowPenalty(model_, old), 1e-4 * SlowPenalty(model_, old));
    EXPECT_NEAR(ewc.Penalty(small).item<double>(), 0.0, 1e-9);
    context_.model = &large;
    context_.pictures = &second_view;
    ewc.AfterTask(context_);
    if (anchors == EwcAnchors::kLast) old.clear();
    old.push_back(Remember(large, second_view));
    context_.model = &model_;
    context_.pictures = &pictures_;
    const double penalty = SlowPenalty(model_, old);
    ASSERT_GT(penalty, 0.0);
    EXPECT_NEAR(ewc.Penalty(model_).item<double>(), penalty, 1e-4 * penalty);
    const double want = 0.25 * SlowCrossEntropy(NewLogits(), labels_) + 0.75 * 100 * penalty;
    EXPECT_NEAR(LossOf(ewc).total.item<double>(), want, 1e-4 * want);

    // Back from its state it costs the same.
    Ewc back(settings_);
    back.SetState(ewc.State(), model_);
    EXPECT_EQ(back.Penalty(model_).item<double>(), ewc.Penalty(model_).item<double>());
  }
}

// Analytic head -------------------------------------------------------------------------------------------------------

// Ridge regression over all pictures at once, by the normal equations.
at::Tensor JointRidge(const Classifier& model, const std::vector<MemorySource*>& sources, const at::Tensor& projection,
                      double ridge, std::int64_t classes) {
  std::vector<at::Tensor> lifted;
  std::vector<at::Tensor> targets;
  for (MemorySource* source : sources) {
    for (std::uint32_t i = 0; i < source->Size(); ++i) {
      const Batch batch = source->Get(std::vector<std::uint32_t>{i}, std::nullopt);
      const at::Tensor feature = model.Features(batch.images).to(at::kDouble);
      lifted.push_back(feature.matmul(projection.t()).clamp_min(0));
      at::Tensor one_hot = at::zeros({1, classes}, at::kDouble);
      one_hot[0][batch.labels[0].item<std::int64_t>()] = 1.0;
      targets.push_back(one_hot);
    }
  }
  const at::Tensor phi = at::cat(lifted);
  return at::linalg_solve(phi.t().matmul(phi) + ridge * at::eye(phi.size(1), at::kDouble),
                          phi.t().matmul(at::cat(targets)));
}

TEST_F(OneStep, AnalyticHeadIsTheJointRidgeSolutionInAnyOrderOfTasks) {
  settings_.analytic_features = 24;
  settings_.analytic_ridge = 0.5;
  MemorySource first = EasyPictures(7, 2, 16, 3, at::kDouble);
  MemorySource second = EasyPictures(8, 3, 16, 4, at::kDouble);
  // In double precision, so that the trunk gives the same features alone and in a batch.
  Classifier model = model_.Clone(at::kDouble);
  context_.model = &model;
  const auto view = [](MemorySource& source) {
    std::vector<PictureRef> pictures;
    for (std::uint32_t i = 0; i < source.Size(); ++i) pictures.push_back({0, i, source.Label(i)});
    return PictureView({&source}, pictures);
  };
  PictureView first_view = view(first);
  PictureView second_view = view(second);
  const at::Tensor projection = RandomProjection(DeriveSeed(context_.seed, "random features"), 24, 128);
  const at::Tensor want = JointRidge(model, {&first, &second}, projection, 0.5, 3);
  for (const bool forward : {true, false}) {
    Analytic analytic(settings_);
    for (PictureView* task : {forward ? &first_view : &second_view, forward ? &second_view : &first_view}) {
      context_.pictures = task;
      analytic.AfterTask(context_);
    }
    EXPECT_LT(LargestDifference(analytic.weights(), want), 1e-9);
    const at::Tensor images = Uniform(5, {4, 3, 16, 16}, -1, 1, at::kDouble);
    const at::Tensor scores = model.Features(images).to(at::kDouble).matmul(projection.t()).relu().matmul(want);
    EXPECT_LT(LargestDifference(analytic.Scores(model, images), scores), 1e-8);
  }
  // Without the second task's pictures: as if they had never been there.
  Analytic analytic(settings_);
  for (PictureView* task : {&first_view, &second_view}) {
    context_.pictures = task;
    analytic.AfterTask(context_);
  }
  analytic.Withdraw(model, {}, &second_view);
  EXPECT_LT(LargestDifference(analytic.weights(), JointRidge(model, {&first}, projection, 0.5, 3)), 1e-9);
}

TEST(AnalyticProjection, IsStandardNormalOverTheRootOfTheWidthAndGrowsByRows) {
  const at::Tensor small = RandomProjection(4, 50, 128);
  const at::Tensor large = RandomProjection(4, 200, 128);
  EXPECT_TRUE(at::equal(large.narrow(0, 0, 50), small));
  EXPECT_NEAR(large.mean().item<double>(), 0.0, 4 / std::sqrt(128.0 * 200 * 128));
  EXPECT_NEAR((large * std::sqrt(128.0)).square().mean().item<double>(), 1.0, 0.04);
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
