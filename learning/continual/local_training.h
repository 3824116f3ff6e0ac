// learning/continual/local_training.h
// SPDX-License-Identifier: Apache-2.0
//
// One site's share of one federated round: S steps of SGD with batches of B pictures, from the round's base model, with
// fresh optimizer state (design 11.1). The active site trains on its task's pictures, an earlier site on its own
// exemplars, both with the same base, loss (local_loss.h) and settings.
//
// A teacher or slow model in the loss is frozen; it sees the very tensor the student sees, augmentation included,
// without dropout. Normalisation never depends on the batch, so it and the student differ by weights only.
//
// Everything random is a pure function of the plan's seed, the task, the site and the global step g = round * S + step
// (batch_draws.h, dropout.h, AugmentationKey): a round can be repeated bit for bit on the same machine class, and a
// trainer that was killed starts its round again.
//
// With loaders, the source is read from their threads until TrainLocally returns; `on_step` leaves it alone.
//
// Errors: Error(kInvalidInput) for settings out of range, a loss for another model or source, labels without a head
// row, an empty source, and a loss or gradient that is not finite (the message names the step; the model is then
// undefined). Those of the source pass through. Thread-safety: one thread; sets LibTorch's threads for the whole
// process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codec/plan.h"
#include "learning/continual/batch_draws.h"
#include "learning/continual/batch_source.h"
#include "learning/continual/local_loss.h"
#include "learning/continual/sgd.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// How the learning rate follows the global step g of the task, G steps in all:
//   kConstant  lr
//   kLinear    lr * (1 - g / G): lr at the first step, lr / G at the last
[[nodiscard]] double LearningRateAt(LearningRateSchedule schedule, double rate, std::uint64_t global_step,
                                    std::uint64_t task_steps);

// All of it comes from the signed plan; nothing here has a default that could act unseen. Only `loaders` is the lab's
// own: it changes no bit.
struct TrainingSettings {
  std::uint32_t steps;   // S, per round
  std::uint32_t batch;   // B, pictures per step
  std::uint32_t rounds;  // of the task, for the linear schedule
  double learning_rate;
  LearningRateSchedule schedule;
  SgdSettings sgd;
  double dropout;  // probability
  bool freeze_affine;
  bool augment;
  Sampling sampling;
  int threads;
  unsigned loaders = 0;  // threads that make batches ahead (prefetch_batches.h); 0: in place
};
// Upper bounds that refuse typing errors before memory or days are spent.
inline constexpr std::uint32_t kMaxStepsPerRound = 1'000'000;
inline constexpr std::uint32_t kMaxBatch = 4096;

// Which round of which plan this is.
struct TrainingPlace {
  std::uint64_t plan_seed;
  std::uint32_t task;
  std::uint32_t round;  // of the task, from 0
  std::string site;
};

// After a step. Losses are those of the batch, before the step changed the model.
struct TrainingProgress {
  std::uint32_t steps_done;
  std::uint32_t steps;
  std::uint64_t pictures_done;
  double learning_rate;
  double cross_entropy;
  double extra;          // the loss's second term before its weight (training_step.h)
  double gradient_norm;  // before clipping
};

struct TrainingReport {
  std::uint32_t steps = 0;
  std::uint64_t pictures = 0;                     // drawn, with repetitions
  std::vector<std::uint64_t> pictures_per_class;  // drawn, [C]
  double mean_loss = 0.0;                         // over the steps
  double mean_extra = 0.0;                        // likewise, of the second term
  double first_loss = 0.0;                        // of the first and the last step
  double last_loss = 0.0;
};

// Trains `model` in place. `on_step` may be empty; an exception from it stops the training and passes through.
TrainingReport TrainLocally(Classifier& model, const LocalLoss& loss, BatchSource& source,
                            const TrainingSettings& settings, const TrainingPlace& place,
                            const std::function<void(const TrainingProgress&)>& on_step);

}  // namespace hemafed::learning
