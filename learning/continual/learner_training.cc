// SPDX-License-Identifier: Apache-2.0
//
// The steps of one task.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/continual/learner.h"
#include "learning/continual/task_draws.h"

namespace hemafed::learning {

namespace {

// Seeds of one task's training; each slot of a step has dropout of its own.
struct Seeds {
  std::uint64_t draws;
  std::uint64_t augmentation;
  std::uint64_t dropout;
  std::uint64_t memory;
};

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

std::uint64_t SlotSeed(std::uint64_t seed, std::uint32_t slot) {
  return slot == 0 ? seed : DeriveSeed(seed, "slot " + std::to_string(slot));
}

Batch OnDevice(Batch batch, const Classifier& model) {
  batch.images = batch.images.to(DeviceOf(model));
  batch.labels = batch.labels.to(DeviceOf(model));
  return batch;
}

}  // namespace

void Learner::Train(const TaskContext& context, const LearnObserver& observer) {
  const StrategyNeeds needs = strategy_->needs();
  const Seeds seeds{DeriveSeed(context.seed, "draws"), DeriveSeed(context.seed, "augmentation"),
                    DeriveSeed(context.seed, "dropout"), DeriveSeed(context.seed, "memory")};
  const PictureView own = needs.rehearsal == Rehearsal::kAll ? ViewOf(0, tasks_.size()) : *context.pictures;
  const bool joined = needs.rehearsal == Rehearsal::kJoined && memory_.view.Size() > 0;
  PictureView view = joined ? Joined(own, memory_.view) : own;
  const std::vector<std::int64_t> exemplar_rows = memory_.view.Labels();
  TaskDraws draws(seeds.draws, settings_.sampling, own.Labels(),
                  joined ? std::span(exemplar_rows) : std::span<const std::int64_t>{}, settings_.batch,
                  joined ? settings_.memory_share : 0.0);

  const std::uint32_t parts = settings_.accumulation;
  const std::uint64_t steps_per_epoch = (draws.BatchesPerEpoch() + parts - 1) / parts;
  const std::uint64_t steps = steps_per_epoch * settings_.epochs;
  if (steps > UINT32_MAX / parts) {
    throw Error(ErrorCode::kInvalidInput, "a task of more than 4294967295 batches; take fewer epochs");
  }
  const auto augmentation = [&](std::uint32_t slot, std::uint32_t draw) -> std::optional<AugmentationKey> {
    if (!settings_.augment) return std::nullopt;
    return AugmentationKey{SlotSeed(seeds.augmentation, slot), draw};
  };
  const std::uint32_t memory_batch = settings_.memory_batch == 0 ? settings_.batch : settings_.memory_batch;
  std::map<std::uint32_t, BatchDraws> memory_draws;  // by slot
  const auto draw_memory = [&](std::uint32_t slot, std::uint32_t draw) -> std::optional<MemoryBatch> {
    if (needs.rehearsal != Rehearsal::kSeparate || exemplar_rows.empty()) return std::nullopt;
    const auto place =
        memory_draws.try_emplace(slot, SlotSeed(seeds.memory, slot), settings_.sampling, exemplar_rows).first;
    MemoryBatch batch;
    batch.items = place->second.Indices(draw, memory_batch);
    batch.batch = OnDevice(memory_.view.Get(batch.items, augmentation(slot, draw)), model_);
    return batch;
  };

  const TrainingScope scope(model_, settings_.freeze_affine);
  optimiser_ = MakeOptimiser(scope.trained(), settings_.optimiser);
  optimiser_->SetState(optimiser_state_);
  optimiser_state_.clear();
  std::uint64_t pictures = std::uint64_t{step_} * parts * settings_.batch;
  while (step_ < steps) {
    const auto epoch = static_cast<std::uint32_t>(step_ / steps_per_epoch);
    if (step_ % steps_per_epoch == 0) strategy_->BeforeEpoch(context, epoch);
    const double rate =
        ScheduledRate(settings_.schedule, settings_.optimiser.learning_rate, step_, steps, settings_.epochs);
    const StepReport report = TakeStep(
        *optimiser_, rate, parts,
        [&](std::uint32_t part) {
          const std::uint32_t draw = step_ * parts + part;
          const std::vector<std::uint32_t> indices = draws.Indices(draw);
          pictures += indices.size();
          StepInput input{.context = context,
                          .draw = draw,
                          .batch = OnDevice(view.Get(indices, augmentation(0, draw)), model_),
                          .is_memory = at::empty({static_cast<std::int64_t>(indices.size())}, at::kBool),
                          .forward =
                              [&](const at::Tensor& images, std::uint32_t slot) {
                                return LogitsWithDropout(model_, images, settings_.dropout,
                                                         SlotSeed(seeds.dropout, slot), draw);
                              },
                          .draw_memory = [&](std::uint32_t slot) { return draw_memory(slot, draw); }};
          bool* is_memory = input.is_memory.mutable_data_ptr<bool>();
          for (const std::uint32_t index : indices) *is_memory++ = index >= own.Size();
          return strategy_->Loss(input);
        },
        "step " + std::to_string(step_) + " of task " + std::to_string(context.task) + " (" + tasks_.back().input.name +
            ")");
    {
      const at::NoGradGuard no_gradients;
      strategy_->AfterStep(context, step_);
      if ((step_ + 1) % steps_per_epoch == 0) strategy_->AfterEpoch(context, epoch);
    }
    ++step_;
    if (checkpoints_.files != nullptr && checkpoints_.every_steps > 0 && step_ % checkpoints_.every_steps == 0) {
      SaveCheckpoint();
    }
    if (observer) {
      observer({LearnPhase::kTraining, context.task, epoch, step_, steps, pictures, rate, report});
    }
  }
  optimiser_.reset();
}

}  // namespace hemafed::learning
