// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/training_batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

PictureView Joined(const PictureView& own, const PictureView& exemplars) {
  std::vector<BatchSource*> sources = own.sources();
  std::vector<PictureRef> pictures = own.pictures();
  const auto shift = static_cast<std::uint32_t>(sources.size());
  sources.insert(sources.end(), exemplars.sources().begin(), exemplars.sources().end());
  for (PictureRef picture : exemplars.pictures()) {
    picture.source += shift;
    pictures.push_back(picture);
  }
  return {std::move(sources), std::move(pictures)};
}

bool MixesIn(const StrategyNeeds& needs, const Memory& memory) {
  return needs.rehearsal == Rehearsal::kJoined && memory.view.Size() > 0;
}

TaskDraws DrawsOf(const PictureView& own, const Memory& memory, const StrategyNeeds& needs,
                  const LearnerSettings& settings, std::uint64_t task_seed) {
  const bool mixes = MixesIn(needs, memory);
  const std::vector<std::int64_t> exemplars = mixes ? memory.view.Labels() : std::vector<std::int64_t>{};
  return {DeriveSeed(task_seed, "draws"),     settings.sampling, own.Labels(), exemplars, settings.batch,
          mixes ? settings.memory_share : 0.0};
}

}  // namespace

std::uint64_t SlotSeed(std::uint64_t seed, std::uint32_t slot) {
  return slot == 0 ? seed : DeriveSeed(seed, "slot " + std::to_string(slot));
}

TrainingBatches::TrainingBatches(const PictureView& own, Memory& memory, const StrategyNeeds& needs,
                                 const LearnerSettings& settings, std::uint64_t task_seed)
    : augment_(settings.augment),
      loaders_(settings.loaders),
      memory_batch_(settings.memory_batch == 0 ? settings.batch : settings.memory_batch),
      augmentation_seed_(DeriveSeed(task_seed, "augmentation")),
      own_count_(own.Size()),
      memory_(memory),
      view_(MixesIn(needs, memory) ? Joined(own, memory.view) : own),
      draws_(DrawsOf(own, memory, needs, settings, task_seed)) {
  if (needs.rehearsal != Rehearsal::kSeparate || memory.view.Size() == 0) return;
  const std::uint64_t seed = DeriveSeed(task_seed, "memory");
  for (std::uint32_t slot = 1; slot <= needs.memory_draws; ++slot) {
    memory_draws_.emplace_back(SlotSeed(seed, slot), settings.sampling, memory.view.Labels());
  }
}

void TrainingBatches::Start(std::uint32_t first, std::uint32_t end) {
  // Enough that a loader never waits for training to take a batch before it makes the next one.
  const PrefetchSettings settings{.threads = loaders_, .depth = std::max<std::size_t>(2, 2 * std::size_t{loaders_})};
  ahead_.emplace(
      [this, next = first, end]() mutable -> std::optional<Ahead::Job> {
        if (next == end) return std::nullopt;
        return [this, request = Draw(next++)] { return Make(request); };
      },
      settings);
}

TrainingBatch TrainingBatches::Next() {
  std::optional<TrainingBatch> batch = ahead_ ? ahead_->Next() : std::nullopt;
  if (!batch) throw Error(ErrorCode::kInternal, "training asked for a batch beyond the last one");
  return *std::move(batch);
}

TrainingBatches::Request TrainingBatches::Draw(std::uint32_t draw) {
  Request request{.draw = draw, .indices = draws_.Indices(draw), .memory = {}};
  for (BatchDraws& draws : memory_draws_) request.memory.push_back(draws.Indices(draw, memory_batch_));
  return request;
}

std::optional<AugmentationKey> TrainingBatches::Augmentation(std::uint32_t slot, std::uint32_t draw) const {
  if (!augment_) return std::nullopt;
  return AugmentationKey{SlotSeed(augmentation_seed_, slot), draw};
}

TrainingBatch TrainingBatches::Make(const Request& request) {
  TrainingBatch made{.draw = request.draw,
                     .batch = view_.Get(request.indices, Augmentation(0, request.draw)),
                     .is_memory = at::empty({static_cast<std::int64_t>(request.indices.size())}, at::kBool),
                     .memory = {}};
  bool* is_memory = made.is_memory.mutable_data_ptr<bool>();
  for (const std::uint32_t index : request.indices) *is_memory++ = index >= own_count_;
  for (std::uint32_t slot = 1; slot <= request.memory.size(); ++slot) {
    const std::vector<std::uint32_t>& items = request.memory[slot - 1];
    made.memory.push_back({memory_.view.Get(items, Augmentation(slot, request.draw)), items});
  }
  return made;
}

}  // namespace hemafed::learning
