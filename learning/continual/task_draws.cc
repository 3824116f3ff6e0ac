// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/task_draws.h"

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

BatchDraws OwnDraws(std::uint64_t seed, Sampling sampling, std::span<const std::int64_t> own,
                    std::span<const std::int64_t> exemplars, bool shared) {
  std::vector<std::int64_t> labels(own.begin(), own.end());
  if (!shared) labels.insert(labels.end(), exemplars.begin(), exemplars.end());
  return {DeriveSeed(seed, "batches"), sampling, labels};
}

}  // namespace

TaskDraws::TaskDraws(std::uint64_t seed, Sampling sampling, std::span<const std::int64_t> own,
                     std::span<const std::int64_t> exemplars, std::uint32_t batch, double memory_share)
    : own_count_(static_cast<std::uint32_t>(own.size())),
      own_batch_(batch),
      batches_per_epoch_(0),
      own_(OwnDraws(seed, sampling, own, exemplars, memory_share > 0.0 && !exemplars.empty())) {
  std::size_t pictures = own.size() + exemplars.size();
  if (memory_share > 0.0 && !exemplars.empty()) {
    if (batch < 2) throw Error(ErrorCode::kInvalidInput, "a share of exemplars needs a batch of at least 2");
    memory_batch_ = std::clamp(static_cast<std::uint32_t>(std::lround(memory_share * batch)), 1u, batch - 1);
    own_batch_ = batch - memory_batch_;
    exemplars_.emplace(DeriveSeed(seed, "exemplars"), sampling, exemplars);
    pictures = own.size();
  }
  batches_per_epoch_ = (pictures + own_batch_ - 1) / own_batch_;
}

std::vector<std::uint32_t> TaskDraws::Indices(std::uint64_t draw) {
  std::vector<std::uint32_t> indices = own_.Indices(draw, own_batch_);
  if (exemplars_) {
    for (const std::uint32_t index : exemplars_->Indices(draw, memory_batch_)) indices.push_back(own_count_ + index);
  }
  return indices;
}

}  // namespace hemafed::learning
