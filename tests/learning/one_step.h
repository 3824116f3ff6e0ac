// tests/learning/one_step.h
// SPDX-License-Identifier: Apache-2.0
//
// One batch of one task with exemplars, for comparing what a strategy asks for it with a slow computation; and the slow
// pieces that several of these comparisons share.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "learning/continual/strategy.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning::testing_support {

using Rows = std::vector<std::vector<double>>;

inline Rows RowsOf(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  Rows rows;
  for (std::int64_t n = 0; n < values.size(0); ++n) {
    const double* row = values.const_data_ptr<double>() + n * values.size(1);
    rows.emplace_back(row, row + values.size(1));
  }
  return rows;
}

inline double LogSumExp(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::exp(value);
  return std::log(sum);
}

inline double SlowCrossEntropy(const Rows& logits, const std::vector<std::int64_t>& labels) {
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

inline constexpr double kNear = 2e-5;  // float32 logits of order 1 against double sums

// softmax(z / T) of the first `classes` entries.
inline std::vector<double> Softmax(std::vector<double> z, std::size_t classes, double temperature) {
  z.resize(classes);
  for (double& value : z) value /= temperature;
  const double log_sum = LogSumExp(z);
  for (double& value : z) value = std::exp(value - log_sum);
  return z;
}

}  // namespace hemafed::learning::testing_support
