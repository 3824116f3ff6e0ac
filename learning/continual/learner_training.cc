// SPDX-License-Identifier: Apache-2.0
//
// The steps of one task.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/continual/learner.h"
#include "learning/continual/training_batches.h"

namespace hemafed::learning {

namespace {

Batch OnDevice(Batch batch, const Classifier& model) {
  batch.images = batch.images.to(DeviceOf(model));
  batch.labels = batch.labels.to(DeviceOf(model));
  return batch;
}

// What was drawn for the slot, where the model is; nothing while no exemplars are stored.
std::optional<MemoryBatch> MemoryOfSlot(TrainingBatch& from, std::uint32_t slot, const Classifier& model) {
  if (from.memory.empty()) return std::nullopt;
  if (slot < 1 || slot > from.memory.size()) {
    throw Error(ErrorCode::kInternal, "a strategy draws slot " + std::to_string(slot) + " of exemplars but says that " +
                                          std::to_string(from.memory.size()) + " is the last");
  }
  MemoryBatch& memory = from.memory[slot - 1];
  memory.batch = OnDevice(std::move(memory.batch), model);
  return memory;
}

}  // namespace

void Learner::Train(const TaskContext& context, const LearnObserver& observer) {
  const StrategyNeeds needs = strategy_->needs();
  const std::uint64_t dropout_seed = DeriveSeed(context.seed, "dropout");
  TrainingBatches batches(needs.rehearsal == Rehearsal::kAll ? ViewOf(0, tasks_.size()) : *context.pictures, memory_,
                          needs, settings_, context.seed);
  const std::uint32_t parts = settings_.accumulation;
  const std::uint64_t steps_per_epoch = (batches.BatchesPerEpoch() + parts - 1) / parts;
  const std::uint64_t steps = steps_per_epoch * settings_.epochs;
  if (steps > UINT32_MAX / parts) {
    throw Error(ErrorCode::kInvalidInput, "a task of more than 4294967295 batches; take fewer epochs");
  }

  const TrainingScope scope(model_, settings_.freeze_affine);
  optimiser_ = MakeOptimiser(scope.trained(), settings_.optimiser);
  optimiser_->SetState(optimiser_state_);
  optimiser_state_.clear();
  std::uint64_t pictures = std::uint64_t{step_} * parts * settings_.batch;
  batches.Start(step_ * parts, static_cast<std::uint32_t>(steps * parts));
  while (step_ < steps) {
    const auto epoch = static_cast<std::uint32_t>(step_ / steps_per_epoch);
    if (step_ % steps_per_epoch == 0) strategy_->BeforeEpoch(context, epoch);
    const double rate =
        ScheduledRate(settings_.schedule, settings_.optimiser.learning_rate, step_, steps, settings_.epochs);
    const StepReport report = TakeStep(
        *optimiser_, rate, parts,
        [&](std::uint32_t) {
          TrainingBatch next = batches.Next();
          pictures += static_cast<std::uint64_t>(next.batch.labels.size(0));
          const StepInput input{.context = context,
                                .draw = next.draw,
                                .batch = OnDevice(std::move(next.batch), model_),
                                .is_memory = next.is_memory.to(DeviceOf(model_)),
                                .forward =
                                    [&](const at::Tensor& images, std::uint32_t slot) {
                                      return LogitsWithDropout(model_, images, settings_.dropout,
                                                               SlotSeed(dropout_seed, slot), next.draw);
                                    },
                                .draw_memory = [&](std::uint32_t slot) { return MemoryOfSlot(next, slot, model_); }};
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
