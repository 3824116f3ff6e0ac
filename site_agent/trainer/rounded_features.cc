// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/rounded_features.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "learning/continual/random_features.h"

namespace hemafed::trainer {

RoundedFeatures::RoundedFeatures(const learning::Classifier& trunk, std::uint64_t seed, std::uint32_t features)
    : trunk_(trunk), projection_(learning::RandomProjection(seed, features, trunk.feature_width())), count_(features) {}

RoundedFeatures::Batch RoundedFeatures::Of(const at::Tensor& images) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor phi = learning::Lift(projection_, trunk_.Features(images.to(trunk_.device()))).contiguous();
  Batch batch;
  batch.values.resize(static_cast<std::size_t>(phi.numel()));
  batch.clamped = RoundFeatures({phi.const_data_ptr<double>(), batch.values.size()}, batch.values);
  return batch;
}

AnalyticClassifier::AnalyticClassifier(const learning::Classifier& trunk, AnalyticHead head)
    : head_(std::move(head)), features_(trunk, head_.seed, head_.weights.features) {}

std::vector<std::int64_t> AnalyticClassifier::Scores(const at::Tensor& images) const {
  const RoundedFeatures::Batch batch = features_.Of(images);
  std::vector<std::int64_t> scores;
  for (std::size_t at = 0; at < batch.values.size(); at += features_.count()) {
    const auto of_picture = head_.weights.ExactScores(std::span(batch.values).subspan(at, features_.count()));
    scores.insert(scores.end(), of_picture.begin(), of_picture.end());
  }
  return scores;
}

learning::BatchScores AnalyticClassifier::Scored(const at::Tensor& images) const {
  const std::vector<std::int64_t> scores = Scores(images);
  learning::BatchScores batch;
  for (std::size_t at = 0; at < scores.size(); at += classes()) {
    batch.answers.push_back(Best(std::span(scores).subspan(at, classes())));
  }
  for (const std::int64_t score : scores) {
    batch.scores.push_back(std::clamp((1 + std::ldexp(static_cast<double>(score), -32)) / 3, 0.0, 1.0));
  }
  return batch;
}

}  // namespace hemafed::trainer
