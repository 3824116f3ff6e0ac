// learning/features/cells/cell_crop.h
// SPDX-License-Identifier: Apache-2.0
//
// The picture of one cell, cut out of its picture: the autoencoder's target image (AE-CFE; thesis and code of
// marrlab/AE-CFE).
//
// There the box, found at 400 x 400, is scaled to the original picture (box / 400 * size), widened by 10 pixels at the
// left and top and by 20 at the right and bottom, cut at the picture's border and scaled bilinearly to 128 x 128. Boxes
// here are in pixels of the original picture already (found_cell.h); BoxFromFrame converts one that is not. Corners are
// truncated to whole pixels before they are widened, as an int() in Python does. The margins are pixels whatever the
// picture's size; the picture is not cut square, so its aspect is lost, as there.
//
// Errors: Error(kInvalidInput) for a picture that is empty or not CV_8UC3, a box that is not finite or lies outside the
// picture, settings out of range. Thread-safety: free functions without state.
#pragma once

#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>

namespace hemafed::learning {

struct CropSettings {
  int margin_before = 10;  // pixels of the picture, left and top; 0 to 1000
  int margin_after = 20;   // right and bottom
  int side = 128;          // pixels of the crop, 8 to 1024
};

// A box of a picture that was scaled to frame x frame pixels, in pixels of the original.
[[nodiscard]] cv::Rect2f BoxFromFrame(const cv::Rect2f& box, double frame, const cv::Size& picture);

// What is cut out, in whole pixels.
[[nodiscard]] cv::Rect CropPlace(const cv::Size& picture, const cv::Rect2f& box, const CropSettings& settings = {});

// side x side pixels, RGB.
[[nodiscard]] cv::Mat CropCell(const cv::Mat& rgb, const cv::Rect2f& box, const CropSettings& settings = {});

}  // namespace hemafed::learning
