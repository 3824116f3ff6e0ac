// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/boxes.h"

#include <ATen/ATen.h>

#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

struct Parts {
  at::Tensor x, y, w, h;  // centre and sides, each [...]
};

Parts PartsOf(const at::Tensor& boxes) {
  const at::Tensor x0 = boxes.select(-1, 0), y0 = boxes.select(-1, 1);
  const at::Tensor w = boxes.select(-1, 2) - x0, h = boxes.select(-1, 3) - y0;
  return {x0 + 0.5 * w, y0 + 0.5 * h, w, h};
}

void RequireFours(const at::Tensor& values, const char* what) {
  if (values.defined() && values.dim() >= 1 && values.size(-1) == 4 && values.is_floating_point()) return;
  throw Error(ErrorCode::kInvalidInput, std::string(what) + " must be a floating tensor with four columns");
}

}  // namespace

void RequireBoxes(const at::Tensor& boxes, const char* what) {
  if (boxes.defined() && boxes.dim() == 2 && boxes.size(1) == 4 && boxes.is_floating_point()) return;
  throw Error(ErrorCode::kInvalidInput, std::string(what) + " must be a floating tensor [N,4] of x0, y0, x1, y1");
}

at::Tensor BoxAreas(const at::Tensor& boxes) {
  RequireBoxes(boxes, "boxes");
  const at::Tensor sides = (boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2)).clamp_min(0);
  return sides.select(1, 0) * sides.select(1, 1);
}

at::Tensor IouMatrix(const at::Tensor& a, const at::Tensor& b) {
  RequireBoxes(a, "the first boxes");
  RequireBoxes(b, "the second boxes");
  const at::Tensor low = at::maximum(a.slice(1, 0, 2).unsqueeze(1), b.slice(1, 0, 2).unsqueeze(0));
  const at::Tensor high = at::minimum(a.slice(1, 2, 4).unsqueeze(1), b.slice(1, 2, 4).unsqueeze(0));
  const at::Tensor sides = (high - low).clamp_min(0);
  const at::Tensor common = sides.select(2, 0) * sides.select(2, 1);
  const at::Tensor either = BoxAreas(a).unsqueeze(1) + BoxAreas(b).unsqueeze(0) - common;
  return at::where(either > 0, common / either, at::zeros_like(common));
}

at::Tensor EncodeBoxes(const at::Tensor& boxes, const at::Tensor& references, const BoxCoding& coding) {
  RequireBoxes(boxes, "boxes");
  RequireBoxes(references, "reference boxes");
  if (boxes.size(0) != references.size(0)) {
    throw Error(ErrorCode::kInvalidInput, "each box needs one reference box");
  }
  const Parts box = PartsOf(boxes), reference = PartsOf(references);
  const at::Tensor dx = coding.weight_x * (box.x - reference.x) / reference.w;
  const at::Tensor dy = coding.weight_y * (box.y - reference.y) / reference.h;
  const at::Tensor dw = coding.weight_w * at::log(box.w / reference.w);
  const at::Tensor dh = coding.weight_h * at::log(box.h / reference.h);
  return coding.y_first ? at::stack({dy, dx, dh, dw}, 1) : at::stack({dx, dy, dw, dh}, 1);
}

at::Tensor DecodeBoxes(const at::Tensor& deltas, const at::Tensor& references, const BoxCoding& coding) {
  RequireFours(deltas, "deltas");
  RequireFours(references, "reference boxes");
  const int x = coding.y_first ? 1 : 0, y = coding.y_first ? 0 : 1;
  const Parts reference = PartsOf(references);
  const at::Tensor centre_x = reference.x + deltas.select(-1, x) / coding.weight_x * reference.w;
  const at::Tensor centre_y = reference.y + deltas.select(-1, y) / coding.weight_y * reference.h;
  const auto grown = [&](int column, double weight) {
    return at::exp((deltas.select(-1, column) / weight).clamp_max(BoxCoding::kLargestLogScale));
  };
  const at::Tensor half_w = 0.5 * grown(2 + x, coding.weight_w) * reference.w;
  const at::Tensor half_h = 0.5 * grown(2 + y, coding.weight_h) * reference.h;
  return at::stack({centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h}, -1);
}

at::Tensor ClipBoxes(const at::Tensor& boxes, double height, double width) {
  RequireFours(boxes, "boxes");
  const at::Tensor x0 = boxes.select(-1, 0).clamp(0, width), y0 = boxes.select(-1, 1).clamp(0, height);
  const at::Tensor x1 = boxes.select(-1, 2).clamp(0, width), y1 = boxes.select(-1, 3).clamp(0, height);
  return at::stack({x0, y0, x1, y1}, -1);
}

at::Tensor PlacesOfLargeBoxes(const at::Tensor& boxes, double smallest) {
  RequireBoxes(boxes, "boxes");
  const at::Tensor sides = boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2);
  return at::nonzero((sides >= smallest).all(1)).squeeze(1);
}

}  // namespace hemafed::learning
