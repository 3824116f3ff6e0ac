// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_inputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "learning/features/autoencoder/cell_autoencoder.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

}  // namespace

std::optional<std::string> WhyNotUsable(std::span<const float> features) {
  if (features.size() != static_cast<std::size_t>(kCellFeatureValues)) {
    return "there are " + std::to_string(features.size()) + " feature values instead of " +
           std::to_string(kCellFeatureValues);
  }
  float low = features[0], high = features[0];
  for (const float value : features) {
    if (!std::isfinite(value)) return "a feature value is not a finite number";
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low == high) return "all feature values are " + std::to_string(low) + ": the detector saw nothing there";
  if (!std::isfinite(high - low)) return "the feature values lie too far apart for float32";
  return std::nullopt;
}

at::Tensor ScaleFeatures(const at::Tensor& features) {
  if (features.dim() != 4 || features.size(1) != kCellFeatureChannels || features.size(2) != kCellFeatureSide ||
      features.size(3) != kCellFeatureSide) {
    Fail("features of cells must be [N, 256, 14, 14]");
  }
  const at::Tensor low = features.amin({1, 2, 3}, /*keepdim=*/true);
  const at::Tensor range = features.amax({1, 2, 3}, /*keepdim=*/true) - low;
  // NaN is not above 0, and infinities leave a range that is not finite: one question for all that cannot be scaled.
  const at::Tensor usable = at::logical_and(range.gt(0), range.isfinite());
  if (!usable.all().item<bool>()) {
    const auto place = usable.flatten().logical_not().to(at::kInt).argmax().item<std::int64_t>();
    Fail("the features of cell " + std::to_string(place) +
         " of the batch are all the same or not finite and cannot be scaled to [-1, 1]; leave this cell out");
  }
  return (features - low).div_(range).mul_(2).sub_(1);
}

at::Tensor PictureTargets(const at::Tensor& pictures) {
  if (pictures.dim() != 4 || pictures.size(1) != kCellPictureSide || pictures.size(2) != kCellPictureSide ||
      pictures.size(3) != 3 || pictures.scalar_type() != at::kByte) {
    Fail("target pictures of cells must be bytes [N, 128, 128, 3]");
  }
  return pictures.permute({0, 3, 1, 2}).to(at::kFloat).div_(255);
}

}  // namespace hemafed::learning
