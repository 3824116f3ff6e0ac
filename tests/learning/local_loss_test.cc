// SPDX-License-Identifier: Apache-2.0
//
// What a site's step costs under each strategy, against slow computations in double precision; and that hospitals may
// compute it apart.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "common/random.h"
#include "learning/continual/answer_losses.h"
#include "learning/continual/local_training.h"
#include "learning/continual/softmax_distillation.h"
#include "learning/continual/stored_logits.h"
#include "learning/continual/strategies/ewc.h"
#include "tests/expect_error.h"
#include "tests/learning/one_step.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::LargestDifference;
using testing_support::LogSumExp;
using testing_support::MemorySource;
using testing_support::OneStep;
using testing_support::RecipeModel;
using testing_support::Rows;
using testing_support::RowsOf;
using testing_support::SlowCrossEntropy;
using testing_support::Softmax;
using testing_support::Uniform;

constexpr double kExact = 1e-10;  // Sums of a few hundred doubles, of order 1.
constexpr double kStored = 1e-6;  // Stored answers and their weights are float32.
constexpr std::int64_t kCount = 6;

Classifier Model(std::int64_t classes, std::uint64_t seed) {
  return RecipeModel(Architecture::kSmallCnn, classes, seed).Clone(at::kDouble);
}

// A source of ten pictures of which six are in the batch, in an order of its own and one of them twice.
class LocalLosses : public testing::Test {
 protected:
  LocalLosses()
      : source_(Uniform(5, {10, 3, 16, 16}, -1, 1, at::kDouble), {0, 1, 2, 3, 0, 1, 2, 3, 2, 3}),
        batch_(source_.Get(positions_, std::nullopt)) {}

  LossTerms TermsOf(const LocalLoss& loss) const {
    return loss.Of({.model = model_, .batch = batch_, .positions = positions_, .forward = [&] {
                      return model_.Forward(batch_.images);
                    }});
  }
  double CostOf(const LocalLoss& loss) const { return TermsOf(loss).total.item<double>(); }
  Rows Logits(const Classifier& model) const { return RowsOf(model.Forward(batch_.images)); }
  double CrossEntropyAlone() const { return SlowCrossEntropy(Logits(model_), labels_); }
  double CrossEntropyOf(std::size_t k) const {
    const Rows rows = Logits(model_);
    return LogSumExp(rows[k]) - rows[k][static_cast<std::size_t>(labels_[k])];
  }

  const at::NoGradGuard no_gradients_;
  const std::vector<std::uint32_t> positions_ = {7, 2, 2, 0, 5, 9};
  const std::vector<std::int64_t> labels_ = {3, 2, 2, 0, 1, 3};
  Classifier model_ = Model(4, 2024);
  MemorySource source_;
  Batch batch_;
};

double SlowDistillation(const Rows& student, const Rows& teacher) {
  double sum = 0;
  for (std::size_t n = 0; n < student.size(); ++n) {
    for (std::size_t j = 0; j < teacher[n].size(); ++j) {
      const double p = 1 / (1 + std::exp(-student[n][j])), q = 1 / (1 + std::exp(-teacher[n][j]));
      sum -= q * std::log(p) + (1 - q) * std::log(1 - p);
    }
  }
  return sum / static_cast<double>(student.size());
}

double SlowSoftened(const Rows& student, const Rows& teacher, double temperature) {
  double sum = 0;
  for (std::size_t n = 0; n < student.size(); ++n) {
    const std::vector<double> q = Softmax(teacher[n], teacher[n].size(), temperature);
    const std::vector<double> p = Softmax(student[n], teacher[n].size(), temperature);
    for (std::size_t j = 0; j < q.size(); ++j) sum -= q[j] * std::log(p[j]);
  }
  return sum / static_cast<double>(student.size());
}

TEST_F(LocalLosses, DistilledIsCrossEntropyAndGammaTimesTheOldClassesDistillation) {
  for (const std::int64_t old : {1, 3, 4}) {
    const Classifier teacher = Model(old, 7);
    const double distillation = SlowDistillation(Logits(model_), Logits(teacher));
    const LossTerms loss = TermsOf(DistilledLoss(&teacher, 2.5));
    EXPECT_NEAR(loss.total.item<double>(), CrossEntropyAlone() + 2.5 * distillation, kExact);
    EXPECT_NEAR(loss.cross_entropy.item<double>(), CrossEntropyAlone(), kExact);
    EXPECT_NEAR(loss.extra.item<double>(), distillation, kExact);
  }
  EXPECT_NEAR(CostOf(DistilledLoss(nullptr, 2.5)), CrossEntropyAlone(), kExact);
}

TEST_F(LocalLosses, SoftenedWeighsBothByTheShareOfOldClasses) {
  for (const auto& [old, share] : {std::pair{1, 0.25}, std::pair{3, 0.75}, std::pair{4, 0.5}}) {
    const Classifier teacher = Model(old, 7);
    const double distillation = SlowSoftened(Logits(model_), Logits(teacher), 2);
    const LossTerms loss = TermsOf(SoftenedLoss(&teacher, 2));
    EXPECT_NEAR(loss.total.item<double>(), (1 - share) * CrossEntropyAlone() + share * distillation, kExact) << old;
    EXPECT_NEAR(loss.extra.item<double>(), distillation, kExact);
  }
  EXPECT_NEAR(CostOf(SoftenedLoss(nullptr, 2)), CrossEntropyAlone(), kExact);
}

// F of the formula: made up, but with zeros in it, as where a ReLU never fires.
std::vector<at::Tensor> SomeFisher(const Classifier& model, std::uint64_t seed) {
  std::vector<at::Tensor> fisher;
  for (const NamedTensor& tensor : model.tensors()) {
    const at::Tensor u = Uniform(seed++, tensor.value.sizes().vec(), -0.5, 1, tensor.value.scalar_type());
    fisher.push_back(u.clamp_min(0));
  }
  return fisher;
}

double SlowPenalty(const Classifier& model, const Classifier& old, const std::vector<at::Tensor>& fisher) {
  double penalty = 0;
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    // Rows are the first size, so what an old head knew is the beginning of a new one.
    const at::Tensor now = model.tensors()[i].value.contiguous(), then = old.tensors()[i].value.contiguous();
    const at::Tensor weight = fisher[i].contiguous();
    for (std::int64_t k = 0; k < then.numel(); ++k) {
      const double change = now.const_data_ptr<double>()[k] - then.const_data_ptr<double>()[k];
      penalty += weight.const_data_ptr<double>()[k] * change * change;
    }
  }
  return penalty;
}

TEST_F(LocalLosses, HeldAddsTheFisherWeightedDistanceToEveryEarlierTask) {
  const double share = 0.3, importance = 7;
  HeldWeights held;
  EXPECT_NEAR(CostOf(HeldLoss(held, share, importance)), CrossEntropyAlone(), kExact) << "no earlier task";
  double penalty = 0;
  std::uint64_t seed = 50;
  for (const std::int64_t classes : {2, 2, 3}) {  // The head grows twice before this task.
    const Classifier old = Model(classes, seed++);
    const std::vector<at::Tensor> fisher = SomeFisher(old, seed * 100);
    held.Hold(old, fisher);
    penalty += SlowPenalty(model_, old, fisher);
    const LossTerms loss = TermsOf(HeldLoss(held, share, importance));
    EXPECT_NEAR(loss.total.item<double>() / ((1 - share) * CrossEntropyAlone() + share * importance * penalty), 1,
                kExact);
    EXPECT_NEAR(loss.extra.item<double>() / penalty, 1, kExact);
  }
  EXPECT_GT(penalty, 1.0);
}

TEST_F(LocalLosses, HeldMovesTheModelAsTheGradientOfThePenaltySays) {
  const Classifier old = Model(3, 8);
  const std::vector<at::Tensor> fisher = SomeFisher(old, 90);
  HeldWeights held;
  held.Hold(old, fisher);
  const at::AutoGradMode gradients(true);
  const std::vector<NamedTensor> trained = model_.BeginTraining(false);
  held.Penalty(model_).backward();
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    const NamedTensor& tensor = model_.tensors()[i];
    const at::Tensor now = tensor.value.detach().narrow(0, 0, old.tensors()[i].value.size(0));
    at::Tensor want = at::zeros_like(tensor.value.detach());
    want.narrow(0, 0, now.size(0)).copy_(2 * fisher[i] * (now - old.tensors()[i].value));
    EXPECT_LT(LargestDifference(tensor.value.grad(), want), kExact) << tensor.name;
  }
  model_.EndTraining();
}

TEST_F(OneStep, HeldWeightsCostWhatTheStudysEwcSays) {
  MemorySource first = EasyPictures(5, 2, 16, 3), second = EasyPictures(5, 3, 16, 4);
  PictureView first_view({&first}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 0}, {0, 3, 1}, {0, 4, 0}});
  PictureView second_view({&second}, {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 0}, {0, 4, 1}});
  const at::AutoGradMode gradients(true);
  Classifier small = RecipeModel(Architecture::kSmallCnn, 2, 7), large = RecipeModel(Architecture::kSmallCnn, 3, 8);
  settings_.ewc_anchors = EwcAnchors::kAll;
  Ewc ewc(settings_);
  HeldWeights held;
  for (const auto& [model, view] : {std::pair(&small, &first_view), std::pair(&large, &second_view)}) {
    context_.model = model;
    context_.pictures = view;
    ewc.AfterTask(context_);
    held.Hold(*model, FisherDiagonal(*model, *view, 0, 1, {}));
    EXPECT_EQ(held.Penalty(model_).item<double>(), ewc.Penalty(model_).item<double>());
    EXPECT_GT(held.Penalty(model_).item<double>(), 0.0);
  }
}

// Logits stored for the source's pictures at these positions, of as many classes as were known.
std::vector<std::vector<float>> Stored(const std::vector<std::pair<std::size_t, std::size_t>>& known) {
  std::vector<std::vector<float>> stored(10);
  float value = -1;
  for (const auto& [position, classes] : known) {
    for (std::size_t j = 0; j < classes; ++j) stored[position].push_back(value += 0.4F);
  }
  return stored;
}

TEST_F(LocalLosses, StoredAnswersCountForExemplarsAndLabelsForAll) {
  const double alpha = 0.7, beta = 0.4;
  // None of the batch, some of different sizes (one of them twice in the batch), all.
  for (const auto& stored :
       {Stored({{1, 2}}), Stored({{2, 2}, {0, 1}, {5, 3}}), Stored({{7, 4}, {2, 2}, {0, 1}, {5, 3}, {9, 4}})}) {
    const Rows rows = Logits(model_);
    double want = 0, distance = 0;
    for (std::size_t k = 0; k < positions_.size(); ++k) {
      const std::vector<float>& answers = stored[positions_[k]];
      want += (answers.empty() ? 1 : beta) * CrossEntropyOf(k) / kCount;
      double sum = 0;
      for (std::size_t j = 0; j < answers.size(); ++j) {
        sum += std::pow(rows[k][j] - static_cast<double>(answers[j]), 2);
      }
      if (!answers.empty()) distance += sum / static_cast<double>(answers.size()) / kCount;
    }
    const LossTerms loss = TermsOf(StoredAnswersLoss(stored, alpha, beta));
    EXPECT_NEAR(loss.total.item<double>(), want + alpha * distance, kStored);
    EXPECT_NEAR(loss.extra.item<double>(), distance, kStored);
    EXPECT_NEAR(loss.cross_entropy.item<double>(), CrossEntropyAlone(), kExact);
  }
}

TEST_F(LocalLosses, TheSlowModelIsAskedAboutExemplarsOnly) {
  for (const std::int64_t known : {2, 4}) {
    const Rows slow = Logits(Model(known, 7));
    for (const std::vector<std::uint32_t>& exemplars :
         {std::vector<std::uint32_t>{1}, {2, 0}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
      std::vector<bool> flags(10);
      for (const std::uint32_t position : exemplars) flags[position] = true;
      const Rows rows = Logits(model_);
      double distance = 0;
      for (std::size_t k = 0; k < positions_.size(); ++k) {
        if (!flags[positions_[k]]) continue;
        for (std::size_t j = 0; j < slow[k].size(); ++j) {
          distance += std::pow(rows[k][j] - slow[k][j], 2) / static_cast<double>(slow[k].size()) / kCount;
        }
      }
      const LossTerms loss = TermsOf(SlowModelLoss(Model(known, 7), flags, 0.6));
      EXPECT_NEAR(loss.total.item<double>(), CrossEntropyAlone() + 0.6 * distance, kExact);
      EXPECT_NEAR(loss.extra.item<double>(), distance, kExact);
    }
  }
}

TEST_F(LocalLosses, StoredLogitsAreThoseOfForwardPassesInTheAskedOrder) {
  const std::vector<std::uint32_t> positions = {4, 1, 9, 0, 3};
  const Classifier old = Model(3, 7);
  std::vector<std::uint64_t> seen;
  const auto answers = LogitsOf(old, source_, positions, 2, [&](std::uint64_t done, std::uint64_t all) {
    seen.push_back(done);
    EXPECT_EQ(all, 5u);
  });
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{2, 4, 5}));
  ASSERT_EQ(answers.size(), 5u);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const Rows row = RowsOf(old.Forward(source_.Get(std::span(&positions[i], 1), std::nullopt).images));
    ASSERT_EQ(answers[i].size(), 3u);
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(static_cast<double>(answers[i][j]), row[0][j], 1e-6);
  }
}

TEST_F(LocalLosses, WhatDoesNotFitTheModelOrTheSourceIsRefusedBeforeTheFirstStep) {
  const Classifier wide = Model(5, 7);
  const auto refused = [&](const LocalLoss& loss, const std::string& why) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, why, loss.Check(model_, source_));
  };
  refused(DistilledLoss(&wide, 1), "none that the model does not know");
  refused(SoftenedLoss(&wide, 2), "none that the model does not know");
  refused(SlowModelLoss(Model(5, 7), std::vector<bool>(10), 1), "none that the model does not know");
  refused(SlowModelLoss(Model(4, 7), std::vector<bool>(9), 1), "given for 9 pictures, but there are 10");
  refused(StoredAnswersLoss(std::vector<std::vector<float>>(11), 1, 1), "given for 11 pictures, but there are 10");
  refused(StoredAnswersLoss(Stored({{3, 5}}), 1, 1), "more classes than the model knows");
  HeldWeights held;
  held.Hold(wide, SomeFisher(wide, 1));
  refused(HeldLoss(held, 0.5, 1), "is held in another shape");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another shape", held.Hold(model_, SomeFisher(model_, 1)));

  EXPECT_ERROR(ErrorCode::kInvalidInput, "gamma", DistilledLoss(nullptr, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "temperature", SoftenedLoss(nullptr, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "lambda", HeldLoss({}, 1, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "importance", HeldLoss({}, 0.5, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "alpha", StoredAnswersLoss({}, -1, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "consistency", SlowModelLoss(Model(1, 7), {}, std::nan("")));
}

// Two hospitals of 6 and 2 pictures. At the first, positions 4 and 5 are exemplars; at the second, both are. Numbers of
// exemplars are powers of two, so that float32 weights are exact.
TEST(LocalLossesApart, OneStepAtEachSiteIsTheStepOverAllTheirPictures) {
  const at::Tensor pictures = Uniform(5, {8, 3, 16, 16}, -1, 1, at::kDouble);
  const std::vector<std::int64_t> labels = {2, 3, 2, 3, 0, 1, 1, 0};
  const Classifier base = Model(4, 2024), old = Model(2, 7);
  const auto stored = [&](std::int64_t first, std::int64_t count) {
    std::vector<std::vector<float>> all(8);
    for (std::size_t n = 4; n < 8; ++n) all[n] = {0.5F * static_cast<float>(n), -0.25F};
    return std::vector<std::vector<float>>(all.begin() + first, all.begin() + first + count);
  };
  const auto exemplars = [&](std::int64_t first, std::int64_t count) {
    std::vector<bool> flags;
    for (std::int64_t n = first; n < first + count; ++n) flags.push_back(n >= 4);
    return flags;
  };
  HeldWeights held;
  held.Hold(old, SomeFisher(old, 70));
  using Make = std::function<std::unique_ptr<LocalLoss>(std::int64_t first, std::int64_t count)>;
  const std::pair<const char*, Make> kLosses[] = {
      {"distilled", [&](auto, auto) { return std::make_unique<DistilledLoss>(&old, 2); }},
      {"softened", [&](auto, auto) { return std::make_unique<SoftenedLoss>(&old, 2); }},
      {"held", [&](auto, auto) { return std::make_unique<HeldLoss>(held, 0.3, 0.1); }},
      {"stored",
       [&](auto first, auto count) { return std::make_unique<StoredAnswersLoss>(stored(first, count), 0.7, 0.4); }},
      {"slow", [&](auto first,
                   auto count) { return std::make_unique<SlowModelLoss>(Model(2, 7), exemplars(first, count), 0.6); }},
  };
  for (const auto& [name, make] : kLosses) {
    const auto step = [&, &make_loss = make](std::int64_t first, std::int64_t count) {
      MemorySource source(pictures.narrow(0, first, count), {labels.begin() + first, labels.begin() + first + count});
      Classifier model = base.Clone(at::kDouble);
      TrainLocally(model, *make_loss(first, count), source,
                   {.steps = 1,
                    .batch = static_cast<std::uint32_t>(count),
                    .rounds = 1,
                    .learning_rate = 0.1,
                    .schedule = LearningRateSchedule::kConstant,
                    .sgd = {.momentum = 0, .nesterov = false, .weight_decay = 0, .clip_norm = 0},
                    .dropout = 0,
                    .freeze_affine = false,
                    .augment = false,
                    .sampling = Sampling::kUniform,
                    .threads = 1},
                   {.plan_seed = 42, .task = 1, .round = 0, .site = "raabin"}, {});
      std::vector<at::Tensor> change;
      for (std::size_t i = 0; i < model.tensors().size(); ++i) {
        change.push_back(model.tensors()[i].value - base.tensors()[i].value);
      }
      return change;
    };
    const auto active = step(0, 6), rehearsing = step(6, 2), together = step(0, 8);
    double moved = 0;
    for (std::size_t i = 0; i < together.size(); ++i) {
      EXPECT_LT(LargestDifference(active[i] * 0.75 + rehearsing[i] * 0.25, together[i]), 1e-12) << name;
      moved = std::max(moved, LargestDifference(active[i], rehearsing[i]));
    }
    EXPECT_GT(moved, 1e-3) << name << ": both sites did the same, so that any weights would do";
  }
}

// The batch's place in the source is what a loss goes by, also when loaders fetch ahead and rounds have passed.
TEST(LocalLossesApart, AStepIsToldWhichPicturesItSees) {
  class Witness final : public LocalLoss {
   public:
    explicit Witness(MemorySource& source) : source_(source) {}
    LossTerms Of(const LocalStep& step) const override {
      const Batch again = source_.Get(step.positions, std::nullopt);
      EXPECT_TRUE(at::equal(again.images, step.batch.images));
      EXPECT_TRUE(at::equal(again.labels, step.batch.labels));
      ++steps;
      return Only(at::cross_entropy_loss(step.forward(), step.batch.labels));
    }
    mutable int steps = 0;

   private:
    MemorySource& source_;
  };
  MemorySource source = EasyPictures(11, 3, 16, 1), copy = EasyPictures(11, 3, 16, 1);
  for (const Sampling sampling : {Sampling::kUniform, Sampling::kBalanced}) {
    for (const unsigned loaders : {0u, 1u}) {
      Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
      const Witness witness(copy);
      TrainLocally(model, witness, source,
                   {.steps = 5,
                    .batch = 4,
                    .rounds = 3,
                    .learning_rate = 0.1,
                    .schedule = LearningRateSchedule::kConstant,
                    .sgd = {.momentum = 0, .nesterov = false, .weight_decay = 0, .clip_norm = 0},
                    .dropout = 0,
                    .freeze_affine = false,
                    .augment = false,
                    .sampling = sampling,
                    .threads = 1,
                    .loaders = loaders},
                   {.plan_seed = 42, .task = 1, .round = 2, .site = "raabin"}, {});
      EXPECT_EQ(witness.steps, 5);
    }
  }
}

}  // namespace
}  // namespace hemafed::learning
