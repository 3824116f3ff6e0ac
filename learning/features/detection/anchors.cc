// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/anchors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace hemafed::learning {

namespace {

// [ratios, 4], centred on 0.
at::Tensor CellAnchors(const DetectorSettings& settings, std::size_t level, const at::TensorOptions& options) {
  const bool published = settings.form == DetectorForm::kPublished;
  const double side = settings.anchor_sides[level];
  std::vector<float> values;
  for (const double ratio : settings.anchor_ratios) {
    // torchvision computes in float32 before it rounds.
    const float root = std::sqrt(static_cast<float>(ratio));
    const float longer = root * static_cast<float>(side);
    const float shorter = (1.0f / root) * static_cast<float>(side);
    const float width = published ? longer : shorter;
    const float height = published ? shorter : longer;
    for (const float corner : {-width / 2, -height / 2, width / 2, height / 2}) {
      values.push_back(published ? corner : std::nearbyint(corner));
    }
  }
  return at::tensor(values, at::kFloat).view({-1, 4}).to(options);
}

}  // namespace

at::Tensor LevelAnchors(const DetectorSettings& settings, std::size_t level, const LevelSize& size,
                        const LevelSize& frame, const at::TensorOptions& options) {
  const bool published = settings.form == DetectorForm::kPublished;
  const std::int64_t nominal = kPyramidStrides[level];
  const std::int64_t row_stride = published ? nominal : frame.height / size.height;
  const std::int64_t column_stride = published ? nominal : frame.width / size.width;
  const at::Tensor y = (at::arange(size.height, options) * row_stride).unsqueeze(1).expand({size.height, size.width});
  const at::Tensor x = (at::arange(size.width, options) * column_stride).unsqueeze(0).expand({size.height, size.width});
  const at::Tensor places = at::stack({x, y, x, y}, 2).view({-1, 1, 4});
  return (places + CellAnchors(settings, level, options).unsqueeze(0)).view({-1, 4});
}

}  // namespace hemafed::learning
