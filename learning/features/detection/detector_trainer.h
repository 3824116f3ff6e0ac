// learning/features/detection/detector_trainer.h
// SPDX-License-Identifier: Apache-2.0
//
// Trains a detector: steps over batches in an order that the seed fixes, with checkpoints from which a killed run goes
// on with the same bits (on the CPU, with the same number of threads and the same LibTorch).
//
// Order: position p of the run is picture perm_e[p mod size] of epoch e = p / size, perm_e the Fisher-Yates order of
// Philox (seed, "order", e). Step g takes positions g*batch .. g*batch + batch-1, across the end of an epoch too.
//
// A step whose gradient is not finite changes nothing and is counted; kMaxSkippedInARow of them end the run. If no
// picture of the source has masks, the mask head is not trained at all (weight decay would still move it).
//
// Errors: Error(kInvalidInput) for settings, pictures or a checkpoint of another run, and for a training that diverged;
// kInterrupted after a stop, with everything saved; those of checkpoint.h. Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/progress.h"
#include "learning/continual/checkpoint.h"
#include "learning/continual/optimiser.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_source.h"
#include "learning/features/detection/detector_training_settings.h"

namespace hemafed::learning {

inline constexpr int kMaxSkippedInARow = 20;  // A single bad batch is bad luck; twenty are a rate that is too high.

// objectness, proposal boxes, classes, boxes, masks
inline constexpr std::size_t kDetectorLosses = 5;
using LossValues = std::array<double, kDetectorLosses>;

class DetectorTrainer {
 public:
  // `detector` and `source` are borrowed; the detector's values are changed in place. It must hold the values that the
  // run begins with, also when a checkpoint is then taken.
  DetectorTrainer(Detector& detector, const DetectorSource& source, const DetectorTrainingSettings& settings);
  ~DetectorTrainer();
  DetectorTrainer(const DetectorTrainer&) = delete;
  DetectorTrainer& operator=(const DetectorTrainer&) = delete;

  // One step; the losses before it.
  LossValues Step();
  [[nodiscard]] std::uint64_t steps_done() const { return step_; }
  [[nodiscard]] bool Done() const { return step_ == settings_.steps; }
  // Of every step so far.
  [[nodiscard]] const std::vector<LossValues>& losses() const { return losses_; }
  // Sum of the losses, averaged over the last `count` steps; 0 before the first.
  [[nodiscard]] double RecentLoss(std::size_t count = 20) const;

  [[nodiscard]] Checkpoint Save() const;
  void Restore(const Checkpoint& checkpoint);

 private:
  [[nodiscard]] std::vector<TrainingPicture> NextBatch();

  Detector* detector_;
  const DetectorSource* source_;
  DetectorTrainingSettings settings_;
  std::vector<NamedTensor> trained_;
  std::unique_ptr<Optimiser> optimiser_;
  std::string made_from_;  // SHA-256 over settings, source and first values
  std::uint64_t step_ = 0;
  int skipped_in_a_row_ = 0;
  std::vector<LossValues> losses_;
  std::vector<std::uint32_t> order_;  // of epoch order_epoch_
  std::uint64_t order_epoch_ = UINT64_MAX;
};

struct TrainingRun {
  FileSystem* files;
  Path folder;                      // of the checkpoint
  Progress* progress;               // a phase of its own
  std::function<bool()> stop = {};  // asked before each step
};

// Trains to the end, from the checkpoint in the folder if there is one. The detector then holds the result.
void TrainDetector(Detector& detector, const DetectorSource& source, const DetectorTrainingSettings& settings,
                   const TrainingRun& run);

}  // namespace hemafed::learning
