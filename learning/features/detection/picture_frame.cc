// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/picture_frame.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr std::int64_t kFrameMultiple = 32;  // torchvision's size_divisible

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

at::Tensor Resized(const at::Tensor& picture, std::int64_t height, std::int64_t width) {
  if (picture.size(1) == height && picture.size(2) == width) return picture;
  return at::upsample_bilinear2d(picture.unsqueeze(0), {height, width}, /*align_corners=*/false).squeeze(0);
}

at::Tensor ByChannel(const std::array<double, 3>& values, const at::TensorOptions& options) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).to(options).view({3, 1, 1});
}

at::Tensor MapBoxes(const at::Tensor& boxes, double scale_x, double scale_y, double shift_x, double shift_y) {
  const at::Tensor scale = at::tensor({scale_x, scale_y, scale_x, scale_y}, at::kDouble).to(boxes.options());
  const at::Tensor shift = at::tensor({shift_x, shift_y, shift_x, shift_y}, at::kDouble).to(boxes.options());
  return boxes * scale + shift;
}

double Quotient(std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

FramePlace PlaceTorchvision(const FrameRule& rule, std::int64_t height, std::int64_t width) {
  const std::int64_t shorter = std::min(height, width), longer = std::max(height, width);
  // In double and cut off, as torchvision does it in Python: 363 * (400 / 363) may well be 399.
  const double scale = std::min(Quotient(rule.min_side, shorter), Quotient(rule.max_side, longer));
  const auto scaled = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale));
  };
  return {height, width, scaled(height), scaled(width)};
}

FramePlace PlacePublished(const FrameRule& rule, std::int64_t height, std::int64_t width) {
  const std::int64_t first_height = rule.first_side > 0 ? rule.first_side : height;
  const std::int64_t first_width = rule.first_side > 0 ? rule.first_side : width;
  const std::int64_t longer = std::max(first_height, first_width);
  double scale = std::max(1.0, Quotient(rule.min_side, std::min(first_height, first_width)));
  if (std::nearbyint(static_cast<double>(longer) * scale) > static_cast<double>(rule.max_side)) {
    scale = Quotient(rule.max_side, longer);
  }
  const auto scaled = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side) * scale)));
  };
  FramePlace place{height, width, scaled(first_height), scaled(first_width)};
  place.top = (rule.max_side - place.content_height) / 2;
  place.left = (rule.max_side - place.content_width) / 2;
  return place;
}

void RequirePicture(const at::Tensor& picture, std::size_t index) {
  if (picture.defined() && picture.dim() == 3 && picture.size(0) == 3 && picture.is_floating_point()) return;
  Fail("picture " + std::to_string(index) + " of the batch is no floating tensor [3, height, width]");
}

}  // namespace

at::Tensor FramePlace::ToFrame(const at::Tensor& picture_boxes) const {
  return MapBoxes(picture_boxes, Quotient(content_width, picture_width), Quotient(content_height, picture_height),
                  static_cast<double>(left), static_cast<double>(top));
}

at::Tensor FramePlace::ToPicture(const at::Tensor& frame_boxes) const {
  const double scale_x = Quotient(picture_width, content_width), scale_y = Quotient(picture_height, content_height);
  return MapBoxes(frame_boxes, scale_x, scale_y, -scale_x * static_cast<double>(left),
                  -scale_y * static_cast<double>(top));
}

FramePlace PlaceInFrame(DetectorForm form, const FrameRule& rule, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxPictureSide || width > kMaxPictureSide) {
    Fail("a picture of " + std::to_string(width) + " x " + std::to_string(height) +
         " pixels: each side must have 1 to " + std::to_string(kMaxPictureSide));
  }
  return form == DetectorForm::kPublished ? PlacePublished(rule, height, width) : PlaceTorchvision(rule, height, width);
}

PreparedPictures PreparePictures(DetectorForm form, const FrameRule& rule, const std::vector<at::Tensor>& pictures) {
  if (pictures.empty()) Fail("a batch without pictures");
  PreparedPictures prepared;
  std::int64_t height = 0, width = 0;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    RequirePicture(pictures[i], i);
    prepared.places.push_back(PlaceInFrame(form, rule, pictures[i].size(1), pictures[i].size(2)));
    height = std::max(height, prepared.places.back().content_height);
    width = std::max(width, prepared.places.back().content_width);
  }
  const auto multiple = [](std::int64_t side) { return (side + kFrameMultiple - 1) / kFrameMultiple * kFrameMultiple; };
  height = form == DetectorForm::kPublished ? rule.max_side : multiple(height);
  width = form == DetectorForm::kPublished ? rule.max_side : multiple(width);
  const at::TensorOptions options = pictures.front().options();
  const auto count = static_cast<std::int64_t>(pictures.size());
  prepared.frames = at::empty({count, 3, height, width}, options, at::MemoryFormat::ChannelsLast).zero_();
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const FramePlace& place = prepared.places[i];
    at::Tensor content = pictures[i];
    if (form == DetectorForm::kTorchvision) {
      content = (content / 255.0 - ByChannel(rule.mean, options)) / ByChannel(rule.deviation, options);
    } else if (rule.first_side > 0) {
      content = Resized(content, rule.first_side, rule.first_side);
    }
    prepared.frames[static_cast<std::int64_t>(i)]
        .slice(1, place.top, place.top + place.content_height)
        .slice(2, place.left, place.left + place.content_width)
        .copy_(Resized(content, place.content_height, place.content_width));
  }
  // The zeros around the content are pixels of value 0 to the published network: they are shifted with the others.
  if (form == DetectorForm::kPublished) prepared.frames.sub_(ByChannel(rule.mean, options));
  return prepared;
}

}  // namespace hemafed::learning
