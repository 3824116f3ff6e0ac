// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/region_crops.h"

#include <ATen/ATen.h>

#include <cmath>

#include "common/error.h"
#include "learning/features/detection/boxes.h"
#include "learning/features/detection/region_sampling.h"

namespace hemafed::learning {

namespace {

constexpr double kCanonicalSide = 224;
constexpr double kCanonicalLevel = 4;
constexpr std::int64_t kFirstLevel = 2;

// torchvision takes the nearest power of two, so that padding of the frame does not matter.
double ScaleOf(const at::Tensor& level, const PreparedPictures& prepared) {
  return std::exp2(std::round(std::log2(static_cast<double>(level.size(2)) / static_cast<double>(prepared.height()))));
}

}  // namespace

at::Tensor LevelsOfBoxes(DetectorForm form, const at::Tensor& boxes, std::int64_t frame_height,
                         std::int64_t frame_width) {
  RequireBoxes(boxes, "boxes of regions");
  at::Tensor level;
  if (form == DetectorForm::kPublished) {
    const double area = static_cast<double>(frame_height) * static_cast<double>(frame_width);
    const double pixels = static_cast<double>(frame_height - 1) * static_cast<double>(frame_width - 1);
    const at::Tensor w = (boxes.select(1, 2) - boxes.select(1, 0) - 1).clamp_min(0);
    const at::Tensor h = (boxes.select(1, 3) - boxes.select(1, 1) - 1).clamp_min(0);
    const at::Tensor side = (w * h * (area / pixels)).sqrt();
    level = (side / kCanonicalSide).log2().round() + kCanonicalLevel;
  } else {
    const at::Tensor side = BoxAreas(boxes).sqrt();
    level = ((side / kCanonicalSide).log2() + kCanonicalLevel + 1e-6).floor();
  }
  const auto last = static_cast<double>(kFirstLevel) + static_cast<double>(kRoiLevels) - 1;
  return level.clamp(static_cast<double>(kFirstLevel), last).to(at::kLong) - kFirstLevel;
}

RegionCrops CropRegions(DetectorForm form, const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                        const PreparedPictures& prepared, std::int64_t side) {
  if (pyramid.size() != kPyramidLevels || boxes.size() != prepared.places.size()) {
    throw Error(ErrorCode::kInvalidInput, "crops need five levels and the boxes of each picture");
  }
  std::vector<at::Tensor> pictures;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    RequireBoxes(boxes[i], "boxes of regions");
    pictures.push_back(at::full({boxes[i].size(0)}, static_cast<std::int64_t>(i),
                                boxes[i].options().dtype(at::kLong).requires_grad(false)));
  }
  const at::Tensor all = at::cat(boxes).detach();
  const at::Tensor picture = at::cat(pictures);
  const at::Tensor level = LevelsOfBoxes(form, all, prepared.height(), prepared.width());
  std::vector<at::Tensor> crops, order;
  for (std::size_t l = 0; l < kRoiLevels; ++l) {
    const at::Tensor mine = at::nonzero(level == static_cast<std::int64_t>(l)).squeeze(1);
    order.push_back(mine);
    if (mine.size(0) == 0) continue;
    const at::Tensor some = all.index_select(0, mine), from = picture.index_select(0, mine);
    crops.push_back(form == DetectorForm::kPublished
                        ? CropAndResize(pyramid[l], some, from, side, prepared.height(), prepared.width())
                        : RoiAlign(pyramid[l], some, from, side, {.scale = ScaleOf(pyramid[l], prepared)}));
  }
  if (crops.empty()) crops.push_back(at::empty({0, pyramid[0].size(1), side, side}, pyramid[0].options()));
  const at::Tensor sorted = at::cat(order);
  // sorted[k] is the box of crop k; its inverse is the crop of a box.
  const at::Tensor place = at::empty_like(sorted).index_copy_(0, sorted, at::arange(sorted.size(0), sorted.options()));
  return {crops.size() == 1 ? crops[0] : at::cat(crops), place};
}

}  // namespace hemafed::learning
