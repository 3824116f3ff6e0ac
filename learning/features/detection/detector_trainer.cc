// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_trainer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string_view>

#include "common/error.h"
#include "common/json_fields.h"
#include "common/random.h"
#include "common/sha256.h"
#include "learning/features/detection/detector_step.h"

namespace hemafed::learning {

namespace {

constexpr const char* kModelPrefix = "model.";
constexpr const char* kOptimiserPrefix = "optimiser.";
constexpr const char* kLossesName = "losses";  // float64 [steps done, 5]

std::string DigestOfRun(const Detector& detector, const DetectorSource& source,
                        const DetectorTrainingSettings& settings) {
  Sha256 hash;
  const std::string_view zero("\0", 1);
  hash.Update(TrainingSettingsText(settings)).Update(zero);
  hash.Update(DetectorSettingsText(detector.settings())).Update(zero);
  hash.Update(source.Description()).Update(zero);
  for (const NamedTensor& tensor : detector.tensors()) {
    const at::Tensor value = tensor.value.detach().cpu().contiguous();
    hash.Update(tensor.name).Update(zero);
    hash.Update(ByteView(static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()));
  }
  return hash.Finish().Hex();
}

LossValues ValuesOf(const DetectorLosses& losses) {
  return {losses.objectness.item<double>(), losses.proposal_boxes.item<double>(), losses.classes.item<double>(),
          losses.boxes.item<double>(), losses.masks.item<double>()};
}

std::string Words(const DetectorTrainer& trainer) {
  std::array<char, 64> text{};
  (void)std::snprintf(text.data(), text.size(), "loss %.3f", trainer.RecentLoss());
  return text.data();
}

}  // namespace

DetectorTrainer::DetectorTrainer(Detector& detector, const DetectorSource& source,
                                 const DetectorTrainingSettings& settings)
    : detector_(&detector), source_(&source), settings_(settings) {
  RequireValid(settings);
  if (source.size() == 0 || source.size() > UINT32_MAX) {
    throw Error(ErrorCode::kInvalidInput,
                "a detector needs 1 to 2^32 - 1 training pictures, the source has " + std::to_string(source.size()));
  }
  made_from_ = DigestOfRun(detector, source, settings);
  bool masks = false;
  for (std::size_t i = 0; i < source.size() && !masks; ++i) masks = source.HasMasks(i);
  settings_.parts.mask_head = settings.parts.mask_head && masks;
  trained_ = detector.BeginTraining(settings_.parts);
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& tensor : trained_) tensors.push_back(tensor.value);
  optimiser_ = MakeOptimiser(std::move(tensors), settings_.optimiser);
}

DetectorTrainer::~DetectorTrainer() { detector_->EndTraining(); }

std::vector<TrainingPicture> DetectorTrainer::NextBatch() {
  std::vector<TrainingPicture> batch;
  const auto size = static_cast<std::uint64_t>(source_->size());
  for (std::int64_t i = 0; i < settings_.batch; ++i) {
    const std::uint64_t position = step_ * static_cast<std::uint64_t>(settings_.batch) + static_cast<std::uint64_t>(i);
    const std::uint64_t epoch = position / size;
    if (epoch != order_epoch_) {
      RandomStream random(DeriveSeed(settings_.seed, "order"), epoch);
      order_ = Permutation(static_cast<std::uint32_t>(size), random);
      order_epoch_ = epoch;
    }
    batch.push_back(source_->Get(order_[static_cast<std::size_t>(position % size)], epoch));
  }
  return batch;
}

LossValues DetectorTrainer::Step() {
  if (Done()) throw Error(ErrorCode::kConflict, "the detector's training has done all of its steps");
  const DetectorLosses losses = LossesOf(*detector_, NextBatch(), settings_.targets, settings_.seed, step_);
  losses.Total().backward();
  const double norm = optimiser_->Step(RateAt(settings_, step_));
  skipped_in_a_row_ = std::isfinite(norm) ? 0 : skipped_in_a_row_ + 1;
  if (skipped_in_a_row_ == kMaxSkippedInARow) {
    throw Error(ErrorCode::kInvalidInput, "the detector's training diverged: the gradients of " +
                                              std::to_string(kMaxSkippedInARow) +
                                              " steps in a row are not finite; train again with a lower learning rate");
  }
  ++step_;
  losses_.push_back(ValuesOf(losses));
  return losses_.back();
}

double DetectorTrainer::RecentLoss(std::size_t count) const {
  const std::size_t taken = std::min(count, losses_.size());
  if (taken == 0) return 0.0;
  double sum = 0.0;
  for (std::size_t i = losses_.size() - taken; i < losses_.size(); ++i) {
    sum += std::accumulate(losses_[i].begin(), losses_[i].end(), 0.0);
  }
  return sum / static_cast<double>(taken);
}

Checkpoint DetectorTrainer::Save() const {
  Checkpoint checkpoint;
  for (const NamedTensor& tensor : trained_) checkpoint.tensors[kModelPrefix + tensor.name] = tensor.value.detach();
  for (const auto& [name, tensor] : optimiser_->State()) checkpoint.tensors[kOptimiserPrefix + name] = tensor;
  at::Tensor losses =
      at::empty({static_cast<std::int64_t>(losses_.size()), std::int64_t{kDetectorLosses}}, at::kDouble);
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    std::copy(losses_[i].begin(), losses_[i].end(), losses.mutable_data_ptr<double>() + i * kDetectorLosses);
  }
  checkpoint.tensors[kLossesName] = losses;
  checkpoint.fields = {{"kind", "detector training"},
                       {"made_from", made_from_},
                       {"skipped_in_a_row", skipped_in_a_row_},
                       {"step", step_}};
  return checkpoint;
}

void DetectorTrainer::Restore(const Checkpoint& checkpoint) {
  JsonFields fields(checkpoint.fields, "checkpoint of a detector's training");
  if (fields.Text("kind", 64) != "detector training") fields.Fail("kind", "is not that of a detector's training");
  if (fields.Text("made_from", 64) != made_from_) {
    fields.Fail("made_from",
                "says that the run had other settings, pictures or first weights; resume with those, or start over in "
                "another folder");
  }
  const std::uint64_t step = fields.Unsigned("step", settings_.steps);
  const auto skipped = static_cast<int>(fields.Unsigned("skipped_in_a_row", kMaxSkippedInARow - 1));
  fields.RequireAllRead();

  TensorMap state;
  const std::string_view prefix = kOptimiserPrefix;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.starts_with(prefix)) state[name.substr(prefix.size())] = tensor;
  }
  std::vector<at::Tensor> values;
  for (const NamedTensor& tensor : trained_) {
    values.push_back(RequireState(checkpoint.tensors, kModelPrefix + tensor.name, tensor.value));
  }
  const at::Tensor like = at::empty({static_cast<std::int64_t>(step), std::int64_t{kDetectorLosses}}, at::kDouble);
  const at::Tensor losses = RequireState(checkpoint.tensors, kLossesName, like);

  optimiser_->SetState(state);
  const at::NoGradGuard no_gradients;
  for (std::size_t i = 0; i < trained_.size(); ++i) trained_[i].value.copy_(values[i]);
  losses_.assign(static_cast<std::size_t>(step), {});
  for (std::size_t i = 0; i < losses_.size(); ++i) {
    const double* row = losses.const_data_ptr<double>() + i * kDetectorLosses;
    std::copy(row, row + kDetectorLosses, losses_[i].begin());
  }
  step_ = step;
  skipped_in_a_row_ = skipped;
}

void TrainDetector(Detector& detector, const DetectorSource& source, const DetectorTrainingSettings& settings,
                   const TrainingRun& run) {
  DetectorTrainer trainer(detector, source, settings);
  if (HasCheckpoint(*run.files, run.folder)) trainer.Restore(ReadCheckpoint(*run.files, run.folder));
  run.progress->Begin("training the detector", settings.steps, "steps", trainer.steps_done());
  while (!trainer.Done()) {
    if (run.stop && run.stop()) {
      if (trainer.steps_done() > 0) WriteCheckpoint(*run.files, run.folder, trainer.Save());
      throw Error(ErrorCode::kInterrupted,
                  "stopped after " + std::to_string(trainer.steps_done()) +
                      " steps of the detector's training; the same command goes on from there");
    }
    (void)trainer.Step();
    if (trainer.Done() || trainer.steps_done() % settings.checkpoint_every == 0) {
      WriteCheckpoint(*run.files, run.folder, trainer.Save());
    }
    run.progress->Update(trainer.steps_done(), Words(trainer));
  }
  run.progress->End(Words(trainer));
}

}  // namespace hemafed::learning
