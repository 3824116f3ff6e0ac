// learning/features/detection/picture_frame.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures into frames (FrameRule of detector_settings.h), and boxes between the two.
//
// Along x, with picture width W, content width w (the picture's part of the frame) and left edge l of the content:
//
//     x_frame = l + x_picture * w / W
//
// and along y likewise; both forms have it, torchvision with l = 0. Bilinear resizing has half-pixel centres and no
// anti-aliasing, as both have. (matterport rounds pixels to whole numbers between its two resizings; we do not.)
//
// Shapes: pictures [3, H, W] float32, 0..255; frames [N, 3, h, w], channels-last in memory.
// Errors: Error(kInvalidInput) naming the picture by its place in the list.
// Thread-safety: free functions and value types.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "learning/features/detection/detector_settings.h"

namespace hemafed::learning {

// Where one picture lies in its frame, in pixels.
struct FramePlace {
  std::int64_t picture_height, picture_width;
  std::int64_t content_height, content_width;
  std::int64_t top = 0, left = 0;

  // [n, 4] to [n, 4]; no clipping.
  [[nodiscard]] at::Tensor ToFrame(const at::Tensor& picture_boxes) const;
  [[nodiscard]] at::Tensor ToPicture(const at::Tensor& frame_boxes) const;
};

struct PreparedPictures {
  at::Tensor frames;               // [N, 3, h, w], normalised
  std::vector<FramePlace> places;  // one a picture

  [[nodiscard]] std::int64_t height() const { return frames.size(2); }
  [[nodiscard]] std::int64_t width() const { return frames.size(3); }
};

// Where a picture of this size is put; throws for an empty picture or one beyond kMaxPictureSide.
[[nodiscard]] FramePlace PlaceInFrame(DetectorForm form, const FrameRule& rule, std::int64_t height,
                                      std::int64_t width);

[[nodiscard]] PreparedPictures PreparePictures(DetectorForm form, const FrameRule& rule,
                                               const std::vector<at::Tensor>& pictures);

}  // namespace hemafed::learning
