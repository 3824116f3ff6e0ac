// learning/features/detection/boxes.h
// SPDX-License-Identifier: Apache-2.0
//
// Boxes as tensors: overlap, coding against reference boxes, clipping.
//
// A box is x0, y0, x1, y1 in pixels, continuous, so width = x1 - x0; a set of boxes is float32 or float64 [N,4]. All
// functions are made of tensor operations: they run on any device and gradients flow through coding and decoding.
//
// Coding (R. Girshick et al., CVPR 2014, appendix C): a box with centre (cx, cy) and sides (w, h) against a reference
// with (rx, ry, rw, rh) has the deltas
//
//     dx = wx (cx - rx) / rw     dy = wy (cy - ry) / rh     dw = ww log(w / rw)     dh = wh log(h / rh)
//
// The two families of detectors differ in the weights, the order of the columns and the limit of the logarithms:
//
//     kind              weights x,y,w,h   columns       limit of dw/ww, dh/wh when decoding
//     torchvision RPN   1, 1, 1, 1        dx dy dw dh   log(1000 / 16)
//     torchvision head  10, 10, 5, 5      dx dy dw dh   log(1000 / 16)
//     published, both   10, 10, 5, 5      dy dx dh dw   none: we keep the same limit, as exp() of an untrained output
//                                                       overflows (published: standard deviations .1 .1 .2 .2)
//
// Errors: Error(kInvalidInput) if a tensor has another form. Thread-safety: free functions, value types.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

struct BoxCoding {
  double weight_x = 10.0, weight_y = 10.0, weight_w = 5.0, weight_h = 5.0;
  bool y_first = false;  // columns dy, dx, dh, dw

  // log(1000 / 16): a box may grow to 62.5 times its reference, from the smallest stride's anchor to the whole picture.
  static constexpr double kLargestLogScale = 4.135166556742356;

  [[nodiscard]] static BoxCoding TorchvisionProposals() { return {1.0, 1.0, 1.0, 1.0, false}; }
  [[nodiscard]] static BoxCoding TorchvisionHead() { return {}; }
  [[nodiscard]] static BoxCoding Published() { return {10.0, 10.0, 5.0, 5.0, true}; }
};

// Throws Error(kInvalidInput) unless `boxes` is a floating tensor [N,4]; `what` names it in the message.
void RequireBoxes(const at::Tensor& boxes, const char* what);

// [N]; 0 for a box whose corners are swapped.
[[nodiscard]] at::Tensor BoxAreas(const at::Tensor& boxes);

// [N,M]: intersection over union of every a with every b; 0 where the union is empty.
[[nodiscard]] at::Tensor IouMatrix(const at::Tensor& a, const at::Tensor& b);

// Deltas [N,4] of `boxes` [N,4] against `references` [N,4], row by row. Both need sides above 0.
[[nodiscard]] at::Tensor EncodeBoxes(const at::Tensor& boxes, const at::Tensor& references, const BoxCoding& coding);

// Boxes [..., 4] from deltas [..., 4] and references that broadcast against them: a head with K classes gives
// deltas [N,K,4] and references [N,1,4].
[[nodiscard]] at::Tensor DecodeBoxes(const at::Tensor& deltas, const at::Tensor& references, const BoxCoding& coding);

// Boxes [..., 4] with every corner moved into the picture: 0 <= x <= width, 0 <= y <= height.
[[nodiscard]] at::Tensor ClipBoxes(const at::Tensor& boxes, double height, double width);

// int64 [K]: the places of boxes both of whose sides are at least `smallest` pixels, ascending.
[[nodiscard]] at::Tensor PlacesOfLargeBoxes(const at::Tensor& boxes, double smallest);

}  // namespace hemafed::learning
