// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/exact_masks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "learning/features/detection/boxes.h"

namespace hemafed::learning {

namespace {

// The pixels of one axis whose centres a box can cover, and what each takes of the grid with its border of zeros.
struct Covered {
  std::int64_t first, last;
  at::Tensor weights;  // [last - first, side + 2]
};

Covered Cover(double low, double high, std::int64_t side, std::int64_t size) {
  const auto bounded = [&](double pixel) {
    return static_cast<std::int64_t>(std::clamp(pixel, 0.0, static_cast<double>(size)));
  };
  const std::int64_t first = bounded(std::floor(low)), last = bounded(std::ceil(high));
  if (!(high > low) || first >= last) return {0, 0, {}};
  const at::Tensor centres = at::arange(first, last, at::kFloat) + 0.5;
  const at::Tensor places = (centres - low) * (static_cast<double>(side) / (high - low)) + 0.5;
  const at::Tensor grid = at::arange(side + 2, at::kFloat);
  return {first, last, (1 - (places.unsqueeze(1) - grid).abs()).clamp_min(0)};
}

}  // namespace

at::Tensor PasteMasksExactly(const at::Tensor& probabilities, const at::Tensor& boxes, std::int64_t height,
                             std::int64_t width) {
  const at::NoGradGuard no_gradients;
  RequireBoxes(boxes, "boxes of masks");
  if (probabilities.dim() != 3 || probabilities.size(0) != boxes.size(0) || height < 1 || width < 1 ||
      probabilities.size(1) != probabilities.size(2) || probabilities.scalar_type() != at::kFloat) {
    throw Error(ErrorCode::kInvalidInput, "masks need float32 probabilities [n, side, side], one grid for each box");
  }
  const std::int64_t side = probabilities.size(1);
  const at::Tensor bordered = at::constant_pad_nd(probabilities, {1, 1, 1, 1}, 0);
  const at::Tensor corners = boxes.to(at::kDouble).contiguous();
  const double* corner = corners.const_data_ptr<double>();
  at::Tensor masks = at::zeros({boxes.size(0), height, width}, at::kByte);
  for (std::int64_t i = 0; i < boxes.size(0); ++i, corner += 4) {
    const Covered columns = Cover(corner[0], corner[2], side, width), rows = Cover(corner[1], corner[3], side, height);
    if (columns.first == columns.last || rows.first == rows.last) continue;
    const at::Tensor inside = at::matmul(at::matmul(rows.weights, bordered[i]), columns.weights.t()) > 0.5;
    masks[i].slice(0, rows.first, rows.last).slice(1, columns.first, columns.last).copy_(inside.to(at::kByte) * 255);
  }
  return masks;
}

}  // namespace hemafed::learning
