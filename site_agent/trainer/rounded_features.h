// site_agent/trainer/rounded_features.h
// SPDX-License-Identifier: Apache-2.0
//
// The integers that strategy `analytic` sums and scores with, from a trunk in evaluation mode and un-augmented
// pictures: f = clamp(round_half_even(ReLU(R psi) 2^10), 0, 65535). Sums and scores take the same path, so a head is
// asked about exactly what it was solved for.
//
// Errors: kInvalidInput for features that are no finite number, a head of another trunk. Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "codec/analytic_head.h"
#include "codec/plan.h"
#include "learning/continual/evaluate.h"
#include "learning/models/classifier.h"

namespace hemafed::trainer {

class RoundedFeatures {
 public:
  // The trunk is borrowed; a head in its file is not used.
  RoundedFeatures(const learning::Classifier& trunk, std::uint64_t seed, std::uint32_t features);

  // A batch of pictures, [N, 3, H, W].
  struct Batch {
    std::vector<std::uint16_t> values;  // [N, M]
    std::size_t clamped = 0;
  };
  [[nodiscard]] Batch Of(const at::Tensor& images) const;
  [[nodiscard]] std::size_t count() const { return count_; }  // M

 private:
  const learning::Classifier& trunk_;
  at::Tensor projection_;
  std::size_t count_;
};

// A whole classifier: trunk, random features and head.
class AnalyticClassifier {
 public:
  // The trunk is borrowed.
  AnalyticClassifier(const learning::Classifier& trunk, AnalyticHead head);

  // Answers and, for histograms, scores on a scale from 0 to 1: clamp((1 + s) / 3), where s estimates the one-hot label
  // and strays little beyond -1 .. 2.
  [[nodiscard]] learning::BatchScores Scored(const at::Tensor& images) const;
  // Scores in units of 2^-32, [N, K] row by row; 0 for classes of which nothing was summed.
  [[nodiscard]] std::vector<std::int64_t> Scores(const at::Tensor& images) const;
  [[nodiscard]] std::uint32_t classes() const { return head_.weights.classes; }
  // The largest score among classes of which pictures were summed.
  [[nodiscard]] std::uint32_t Best(std::span<const std::int64_t> scores) const { return head_.Best(scores); }

 private:
  AnalyticHead head_;
  RoundedFeatures features_;
};

}  // namespace hemafed::trainer
