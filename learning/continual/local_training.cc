// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/local_training.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/continual/prefetch_batches.h"
#include "learning/continual/training_step.h"
#include "learning/models/dropout.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

namespace {

void Require(bool holds, const std::string& rule) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "training settings: " + rule);
}

void CheckSettings(const TrainingSettings& settings, const TrainingPlace& place) {
  Require(settings.steps >= 1 && settings.steps <= kMaxStepsPerRound, "steps must be 1 to 1000000");
  Require(settings.batch >= 1 && settings.batch <= kMaxBatch, "batch must be 1 to 4096");
  Require(settings.rounds >= 1 && settings.rounds <= kMaxRounds, "rounds must be 1 to 10000");
  Require(place.round < settings.rounds, "round " + std::to_string(place.round) + " is beyond the task's rounds");
  Require(settings.learning_rate > 0.0 && std::isfinite(settings.learning_rate), "learning_rate must be above 0");
  Require(settings.loaders <= kMaxLoaderThreads, "loaders must be at most 64");
  RequireDropoutProbability(settings.dropout);
}

std::vector<std::int64_t> LabelsOf(const BatchSource& source, std::int64_t classes) {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < source.Size(); ++i) {
    labels.push_back(source.Label(i));
    if (labels.back() < 0 || labels.back() >= classes) {
      throw Error(ErrorCode::kInvalidInput, "a picture has class " + std::to_string(labels.back()) +
                                                " but the model knows " + std::to_string(classes) +
                                                " classes; the head must be grown before training");
    }
  }
  return labels;
}

// The batches of one round in order; `draws` is borrowed.
auto NextRequest(BatchDraws& draws, const TrainingSettings& settings, std::uint64_t first_step,
                 std::uint64_t augmentation_seed) {
  return [&draws, &settings, first_step, augmentation_seed,
          step = std::uint32_t{0}]() mutable -> std::optional<BatchRequest> {
    if (step == settings.steps) return std::nullopt;
    const auto global_step = static_cast<std::uint32_t>(first_step + step++);
    BatchRequest request{draws.Indices(global_step, settings.batch), std::nullopt};
    if (settings.augment) request.augmentation = AugmentationKey{augmentation_seed, global_step};
    return request;
  };
}

}  // namespace

double LearningRateAt(LearningRateSchedule schedule, double rate, std::uint64_t global_step, std::uint64_t task_steps) {
  if (schedule == LearningRateSchedule::kConstant) return rate;
  return rate * (1.0 - static_cast<double>(global_step) / static_cast<double>(task_steps));
}

TrainingReport TrainLocally(Classifier& model, const LocalLoss& loss, BatchSource& source,
                            const TrainingSettings& settings, const TrainingPlace& place,
                            const std::function<void(const TrainingProgress&)>& on_step) {
  CheckSettings(settings, place);
  loss.Check(model, source);
  const std::vector<std::int64_t> labels = LabelsOf(source, model.classes());
  ConfigureTorch(settings.threads);

  const std::string purpose = "task " + std::to_string(place.task) + " site " + place.site + " ";
  const std::uint64_t dropout_seed = DeriveSeed(place.plan_seed, purpose + "dropout");
  const std::uint64_t augmentation_seed = DeriveSeed(place.plan_seed, purpose + "augmentation");
  BatchDraws draws(DeriveSeed(place.plan_seed, purpose + "batches"), settings.sampling, labels);
  BatchDraws taken = draws;  // The same ones again, on this thread.
  const std::uint64_t first_step = std::uint64_t{place.round} * settings.steps;
  const std::uint64_t task_steps = std::uint64_t{settings.rounds} * settings.steps;
  Require(task_steps <= UINT32_MAX, "a task of more than 4294967295 steps");

  const TrainingScope scope(model, settings.freeze_affine);
  Sgd sgd(scope.trained(), settings.sgd);
  TrainingReport report;
  report.pictures_per_class.resize(static_cast<std::size_t>(model.classes()));
  PrefetchBatches ahead(
      source, NextRequest(draws, settings, first_step, augmentation_seed),
      {.threads = settings.loaders, .depth = std::max<std::size_t>(2, std::size_t{2} * settings.loaders)});
  for (std::uint32_t step = 0; step < settings.steps; ++step) {
    const auto global_step = static_cast<std::uint32_t>(first_step + step);
    const std::optional<Batch> next = ahead.Next();
    if (!next) throw Error(ErrorCode::kInternal, "batches ended before the round did");
    const Batch batch{next->images.to(DeviceOf(model)), next->labels.to(DeviceOf(model))};
    const std::vector<std::uint32_t> positions = taken.Indices(global_step, settings.batch);

    const double rate = LearningRateAt(settings.schedule, settings.learning_rate, global_step, task_steps);
    const StepReport done = TakeStep(
        sgd, rate, 1,
        [&](std::uint32_t) {
          return loss.Of({.model = model, .batch = batch, .positions = positions, .forward = [&] {
                            return LogitsWithDropout(model, batch.images, settings.dropout, dropout_seed, global_step);
                          }});
        },
        "step " + std::to_string(step) + " of round " + std::to_string(place.round) + ", task " +
            std::to_string(place.task) + ", site " + place.site);

    const auto* const drawn = next->labels.const_data_ptr<std::int64_t>();
    for (std::int64_t k = 0; k < next->labels.size(0); ++k) {
      ++report.pictures_per_class.at(static_cast<std::size_t>(drawn[k]));
    }
    report.pictures += static_cast<std::uint64_t>(next->labels.size(0));
    report.mean_loss += done.loss / settings.steps;
    report.mean_extra += done.extra / settings.steps;
    if (step == 0) report.first_loss = done.loss;
    report.last_loss = done.loss;
    report.steps = step + 1;
    if (on_step) {
      on_step(
          {report.steps, settings.steps, report.pictures, rate, done.cross_entropy, done.extra, done.gradient_norm});
    }
  }
  return report;
}

}  // namespace hemafed::learning
