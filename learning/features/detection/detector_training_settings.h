// learning/features/detection/detector_training_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// How a Mask R-CNN is trained: targets, losses, optimiser and schedule, as values.
//
// The learning rate at step g = 0 .. steps-1 is
//
//     learning_rate * min(1, (g + 1) / warm_up_steps) * (constant: 1, cosine: (1 + cos(pi g / steps)) / 2)
//
// Thread-safety: value types and free functions.
#pragma once

#include <cstdint>
#include <string>

#include "learning/continual/optimiser.h"
#include "learning/continual/schedule.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_losses.h"
#include "learning/features/detection/mask_targets.h"
#include "learning/features/detection/target_matching.h"
#include "learning/features/detection/target_sampling.h"

namespace hemafed::learning {

// What the losses of one batch are made by.
struct TargetRules {
  MatchRule proposal_match = MatchRule::Proposals();
  MatchRule head_match = MatchRule::Head();
  SampleRule proposal_sample = SampleRule::Proposals();
  SampleRule head_sample = SampleRule::TorchvisionHead();
  BoxLossRule proposal_loss = BoxLossRule::Torchvision();
  BoxLossRule head_loss = BoxLossRule::Torchvision();
  MaskSampling mask_sampling = MaskSampling::kAligned;
  bool truth_joins_proposals = true;  // so that the heads have positives before the RPN finds any
};

struct DetectorTrainingSettings {
  TargetRules targets;
  TrainedParts parts;
  OptimiserSettings optimiser;
  ScheduleKind schedule = ScheduleKind::kConstant;  // kConstant or kCosine
  std::uint64_t warm_up_steps = 0;
  std::uint64_t steps = 1000;
  std::int64_t batch = 2;                // pictures of a step
  std::uint64_t checkpoint_every = 100;  // steps
  std::uint64_t seed = 0;                // of order and samples
};

// As torchvision's reference training of maskrcnn_resnet50_fpn: SGD 0.02 for 16 pictures, momentum 0.9, weight decay
// 1e-4, warm-up of 1,000 steps. Its learning rate is scaled to `batch` (0.00125 a picture); its 26 epochs are the
// caller's steps.
[[nodiscard]] DetectorTrainingSettings TorchvisionTraining(std::int64_t batch, std::uint64_t steps);

// AE-CFE's code (published-systems 3.1): SGD 1e-3, momentum 0.9, weight decay 1e-4, gradient norm clip 5, 1 picture,
// 200 ROIs with a third positive, smooth-L1 with its switch at 1, all convolutions and the scales and shifts of batch
// norm trained, its statistics not. With `adam`, the thesis' Adam 1e-3 instead. Published are 26 epochs of 10,000
// steps.
[[nodiscard]] DetectorTrainingSettings PublishedTraining(std::uint64_t steps, bool adam = false);

// For SmallMachineDetector on two cores: AdamW, few ROIs (the mask head costs 0.5 G multiplications each), cosine.
[[nodiscard]] DetectorTrainingSettings SmallMachineTraining(std::uint64_t steps);

// Throws Error(kInvalidInput) naming the first setting out of range.
void RequireValid(const DetectorTrainingSettings& settings);
[[nodiscard]] double RateAt(const DetectorTrainingSettings& settings, std::uint64_t step);
// Everything above as one JSON line, in a fixed order.
[[nodiscard]] std::string TrainingSettingsText(const DetectorTrainingSettings& settings);

}  // namespace hemafed::learning
