// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/answer_losses.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/continual/stored_logits.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

namespace {

void Require(bool holds, const std::string& rule) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "training settings: " + rule);
}

bool IsWeight(double value) { return value >= 0.0 && std::isfinite(value); }

void RequireOneForEach(std::size_t count, const BatchSource& source, const std::string& what) {
  Require(count == source.Size(), what + " are given for " + std::to_string(count) + " pictures, but there are " +
                                      std::to_string(source.Size()));
}

}  // namespace

StoredAnswersLoss::StoredAnswersLoss(std::vector<std::vector<float>> stored, double alpha, double beta)
    : stored_(std::move(stored)), alpha_(alpha), beta_(beta) {
  Require(IsWeight(alpha) && IsWeight(beta), "alpha and beta must not be negative");
}

void StoredAnswersLoss::Check(const Classifier& model, const BatchSource& source) const {
  RequireOneForEach(stored_.size(), source, "stored answers");
  const auto classes = static_cast<std::size_t>(model.classes());
  Require(std::none_of(stored_.begin(), stored_.end(), [&](const auto& list) { return list.size() > classes; }),
          "an answer is stored for more classes than the model knows");
}

LossTerms StoredAnswersLoss::Of(const LocalStep& step) const {
  std::vector<std::vector<float>> stored;
  std::vector<double> weights;
  std::size_t exemplars = 0;
  for (const std::uint32_t position : step.positions) {
    stored.push_back(stored_.at(position));
    weights.push_back(stored.back().empty() ? 1.0 : beta_);
    if (!stored.back().empty()) ++exemplars;
  }
  const auto pictures = static_cast<double>(step.positions.size());
  const at::Tensor logits = step.forward();
  const at::Tensor each = at::cross_entropy_loss(logits, step.batch.labels, {}, at::Reduction::None);
  const at::Tensor labelled = (at::tensor(weights, at::kDouble).to(each.options()) * each).sum() / pictures;
  // Its own mean is over exemplars alone.
  const at::Tensor distance =
      LogitDistance(logits, stored, /*sum_over_classes=*/false) * (static_cast<double>(exemplars) / pictures);
  return {labelled + alpha_ * distance, each.detach().mean(), distance.detach()};
}

SlowModelLoss::SlowModelLoss(Classifier slow, std::vector<bool> exemplars, double consistency)
    : slow_(std::move(slow)), exemplars_(std::move(exemplars)), consistency_(consistency) {
  Require(IsWeight(consistency), "consistency must not be negative");
}

void SlowModelLoss::Check(const Classifier& model, const BatchSource& source) const {
  RequireOneForEach(exemplars_.size(), source, "kinds");
  Require(slow_.classes() >= 1 && slow_.classes() <= model.classes(),
          "the slow model must know at least one class and none that the model does not know");
}

LossTerms SlowModelLoss::Of(const LocalStep& step) const {
  std::vector<std::int64_t> rows;
  for (std::size_t k = 0; k < step.positions.size(); ++k) {
    if (exemplars_.at(step.positions[k])) rows.push_back(static_cast<std::int64_t>(k));
  }
  if (rows.empty()) return Only(CrossEntropy(step.forward(), step.batch.labels));
  const at::Tensor chosen = at::tensor(rows, at::kLong).to(step.batch.images.device());
  const at::Tensor answers = *FrozenLogits(&slow_, step.batch.images.index_select(0, chosen));
  const at::Tensor logits = step.forward();
  const at::Tensor cross_entropy = CrossEntropy(logits, step.batch.labels);
  const at::Tensor own = logits.index_select(0, chosen).narrow(1, 0, answers.size(1));
  const at::Tensor distance = (own - answers).square().mean(1).sum() / static_cast<double>(step.positions.size());
  return {cross_entropy + consistency_ * distance, cross_entropy.detach(), distance.detach()};
}

}  // namespace hemafed::learning
