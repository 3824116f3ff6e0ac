// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/batch_draws.h"

#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

BatchDraws::BatchDraws(std::uint64_t seed, Sampling sampling, std::span<const std::int64_t> labels)
    : sampling_(sampling) {
  if (labels.empty() || labels.size() > UINT32_MAX) {
    throw Error(ErrorCode::kInvalidInput, "there are no pictures to draw batches from");
  }
  if (sampling == Sampling::kUniform) {
    std::vector<std::uint32_t> all(labels.size());
    std::iota(all.begin(), all.end(), 0u);
    lists_.push_back({.seed = DeriveSeed(seed, "pictures"), .items = std::move(all), .order = {}});
    return;
  }
  std::map<std::int64_t, std::vector<std::uint32_t>> by_label;
  for (std::uint32_t i = 0; i < labels.size(); ++i) by_label[labels[i]].push_back(i);
  for (auto& [label, indices] : by_label) {
    lists_.push_back({.seed = DeriveSeed(seed, "pictures of class " + std::to_string(label)),
                      .items = std::move(indices),
                      .order = {}});
  }
  turns_.seed = DeriveSeed(seed, "turns");
  turns_.items.resize(lists_.size());
  std::iota(turns_.items.begin(), turns_.items.end(), 0u);
}

std::uint32_t BatchDraws::Sequence::At(std::uint64_t draw) {
  const std::uint64_t wanted = draw / items.size();
  if (wanted != epoch) {
    RandomStream random(seed, wanted);
    order = Permutation(static_cast<std::uint32_t>(items.size()), random);
    epoch = wanted;
  }
  return items[order[draw % items.size()]];
}

std::vector<std::uint32_t> BatchDraws::Indices(std::uint64_t global_step, std::uint32_t batch) {
  std::vector<std::uint32_t> indices;
  for (std::uint64_t draw = global_step * batch; indices.size() < batch; ++draw) {
    if (sampling_ == Sampling::kUniform) {
      indices.push_back(lists_[0].At(draw));
    } else {
      indices.push_back(lists_[turns_.At(draw)].At(draw / lists_.size()));
    }
  }
  return indices;
}

}  // namespace hemafed::learning
