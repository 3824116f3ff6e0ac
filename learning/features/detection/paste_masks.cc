// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/paste_masks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/error.h"
#include "learning/features/detection/boxes.h"

namespace hemafed::learning {

namespace {

struct PixelBox {
  std::int64_t x0, y0, width, height;
};

// Boxes of a detector lie in their picture; anything far outside is no box of ours and must not ask for memory.
std::int64_t Bounded(double corner) {
  return static_cast<std::int64_t>(std::clamp(corner, -double{kMaxPictureSide}, 2.0 * double{kMaxPictureSide}));
}

PixelBox Grown(const std::array<double, 4>& box, std::int64_t side) {
  const double growth = static_cast<double>(side + 2) / static_cast<double>(side);
  const double half_width = (box[2] - box[0]) * 0.5 * growth, half_height = (box[3] - box[1]) * 0.5 * growth;
  const double centre_x = (box[2] + box[0]) * 0.5, centre_y = (box[3] + box[1]) * 0.5;
  const std::int64_t x0 = Bounded(centre_x - half_width), y0 = Bounded(centre_y - half_height);
  const std::int64_t x1 = Bounded(centre_x + half_width), y1 = Bounded(centre_y + half_height);
  return {x0, y0, std::max<std::int64_t>(x1 - x0 + 1, 1), std::max<std::int64_t>(y1 - y0 + 1, 1)};
}

PixelBox Rounded(const std::array<double, 4>& box) {
  const std::int64_t x0 = Bounded(std::nearbyint(box[0])), y0 = Bounded(std::nearbyint(box[1]));
  const std::int64_t x1 = Bounded(std::nearbyint(box[2])), y1 = Bounded(std::nearbyint(box[3]));
  return {x0, y0, std::max<std::int64_t>(x1 - x0, 1), std::max<std::int64_t>(y1 - y0, 1)};
}

}  // namespace

at::Tensor PasteMasks(DetectorForm form, const at::Tensor& probabilities, const at::Tensor& boxes, std::int64_t height,
                      std::int64_t width) {
  RequireBoxes(boxes, "boxes of masks");
  if (probabilities.dim() != 3 || probabilities.size(0) != boxes.size(0) ||
      probabilities.size(1) != probabilities.size(2)) {
    throw Error(ErrorCode::kInvalidInput, "masks need [n, side, side] probabilities, one a box");
  }
  const bool published = form == DetectorForm::kPublished;
  const at::Tensor bordered = published ? probabilities : at::constant_pad_nd(probabilities, {1, 1, 1, 1}, 0);
  const at::Tensor corners = boxes.to(at::kDouble).contiguous();
  const double* corner = corners.const_data_ptr<double>();
  at::Tensor masks = at::zeros({boxes.size(0), height, width}, at::kByte);
  for (std::int64_t i = 0; i < boxes.size(0); ++i, corner += 4) {
    const std::array<double, 4> box = {corner[0], corner[1], corner[2], corner[3]};
    const PixelBox place = published ? Rounded(box) : Grown(box, probabilities.size(1));
    const std::int64_t x0 = std::clamp<std::int64_t>(place.x0, 0, width),
                       y0 = std::clamp<std::int64_t>(place.y0, 0, height);
    const std::int64_t x1 = std::clamp<std::int64_t>(place.x0 + place.width, 0, width);
    const std::int64_t y1 = std::clamp<std::int64_t>(place.y0 + place.height, 0, height);
    if (x0 >= x1 || y0 >= y1) continue;
    const at::Tensor resized = at::upsample_bilinear2d(bordered.slice(0, i, i + 1).unsqueeze(0),
                                                       {place.height, place.width}, /*align_corners=*/false)[0][0];
    const at::Tensor part = resized.slice(0, y0 - place.y0, y1 - place.y0).slice(1, x0 - place.x0, x1 - place.x0);
    masks[i].slice(0, y0, y1).slice(1, x0, x1).copy_((published ? part >= 0.5 : part > 0.5).to(at::kByte) * 255);
  }
  return masks;
}

}  // namespace hemafed::learning
