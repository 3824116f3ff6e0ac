// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/mask_targets.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "common/error.h"
#include "learning/features/detection/boxes.h"

namespace hemafed::learning {

namespace {

// [n,side,size]: what a sample at `positions` [n,side] takes of each of `size` pixels; a hat of width 2 around each.
at::Tensor HatWeights(const at::Tensor& positions, std::int64_t size) {
  const at::Tensor pixels = at::arange(size, positions.options());
  return (1 - (positions.unsqueeze(2) - pixels).abs()).clamp_min_(0);
}

// Weights of RoIAlign along one axis: starts and ends [n], in pixels whose first is at 0.
at::Tensor AlignWeights(const at::Tensor& start, const at::Tensor& end, std::int64_t side, std::int64_t size) {
  const at::Tensor bin = (end - start) / side;
  const at::Tensor samples = at::ceil(bin).clamp_min(1);
  const auto most = static_cast<std::int64_t>(samples.max().item<double>());
  const at::Tensor bins = at::arange(side, start.options());
  at::Tensor weights = at::zeros({start.size(0), side, size}, start.options());
  for (std::int64_t s = 0; s < most; ++s) {
    const at::Tensor inside_bin = (static_cast<double>(s) + 0.5) * bin / samples;
    const at::Tensor at_ = start.unsqueeze(1) + bins * bin.unsqueeze(1) + inside_bin.unsqueeze(1);
    const at::Tensor counts = (at_ >= -1.0) & (at_ <= static_cast<double>(size)) & (samples > s).unsqueeze(1);
    const at::Tensor share = counts.to(at_.scalar_type()) / samples.unsqueeze(1);
    weights += HatWeights(at_.clamp(0, static_cast<double>(size - 1)), size) * share.unsqueeze(2);
  }
  return weights;
}

// Weights of crop_and_resize along one axis.
at::Tensor CropWeights(const at::Tensor& start, const at::Tensor& end, std::int64_t side, std::int64_t size) {
  const double scale = static_cast<double>(size - 1) / static_cast<double>(size);
  const at::Tensor steps = at::arange(side, start.options()) / static_cast<double>(side - 1);
  const at::Tensor at_ = (start.unsqueeze(1) + steps * (end - start).unsqueeze(1)) * scale;
  const at::Tensor inside = (at_ >= 0) & (at_ <= static_cast<double>(size - 1));
  return HatWeights(at_, size) * inside.to(at_.scalar_type()).unsqueeze(2);
}

}  // namespace

at::Tensor MaskTargets(const at::Tensor& masks, const at::Tensor& owners, const at::Tensor& rois, std::int64_t side,
                       MaskSampling sampling) {
  const at::NoGradGuard no_gradients;
  RequireBoxes(rois, "ROIs");
  if (masks.dim() != 3 || !masks.is_floating_point() || masks.size(1) < 1 || masks.size(2) < 1 || side < 2 ||
      owners.dim() != 1 || owners.scalar_type() != at::kLong || owners.size(0) != rois.size(0)) {
    throw Error(ErrorCode::kInvalidInput, "mask targets: needs masks [M,H,W], one owner for each ROI and a side of 2");
  }
  const std::int64_t height = masks.size(1), width = masks.size(2);
  at::Tensor targets = at::zeros({rois.size(0), side, side}, masks.options());
  for (std::int64_t m = 0; m < masks.size(0); ++m) {  // A picture has few cells; each has many ROIs.
    const at::Tensor places = at::nonzero(owners == m).squeeze(1);
    if (places.size(0) == 0) continue;
    const at::Tensor chosen = rois.index_select(0, places).to(masks.scalar_type());
    const auto weights = [&](int low, int high, std::int64_t size) {
      const at::Tensor start = chosen.select(1, low), end = chosen.select(1, high);
      if (sampling == MaskSampling::kPublished) return CropWeights(start, end, side, size);
      if (sampling == MaskSampling::kAligned) return AlignWeights(start - 0.5, end - 0.5, side, size);
      return AlignWeights(start, at::maximum(end, start + 1.0), side, size);
    };
    const at::Tensor rows = at::matmul(weights(1, 3, height), masks[m]);
    at::Tensor crops = at::bmm(rows, weights(0, 2, width).transpose(1, 2));
    if (sampling == MaskSampling::kPublished) crops = at::round(crops);
    targets.index_copy_(0, places, crops);
  }
  return targets;
}

}  // namespace hemafed::learning
