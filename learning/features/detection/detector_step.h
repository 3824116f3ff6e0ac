// learning/features/detection/detector_step.h
// SPDX-License-Identifier: Apache-2.0
//
// The losses of a detector on one batch: pictures through the network, targets by the rules, losses over what was
// sampled.
//
// Everything that is drawn comes from Philox with (seed, what for, step, place in the batch), so a step does not depend
// on what ran before it. Pictures without masks add nothing to the mask loss, which is a mean over the others'
// positives. Mask targets are cut out of the masks of the picture as given, at ROIs taken back into it: finer than
// resizing the masks to the frame first, as torchvision does.
//
// Errors: Error(kInvalidInput) naming the picture whose boxes, labels or masks do not fit it: a box beyond the picture
// by more than a pixel or without extent, a label that the detector does not have, masks of another size.
// Thread-safety: free function; the detector must not be trained elsewhere meanwhile.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_losses.h"
#include "learning/features/detection/detector_source.h"
#include "learning/features/detection/detector_training_settings.h"

namespace hemafed::learning {

[[nodiscard]] DetectorLosses LossesOf(const Detector& detector, const std::vector<TrainingPicture>& batch,
                                      const TargetRules& rules, std::uint64_t seed, std::uint64_t step);

}  // namespace hemafed::learning
