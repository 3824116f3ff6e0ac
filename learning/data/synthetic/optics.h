// learning/data/synthetic/optics.h
// SPDX-License-Identifier: Apache-2.0
//
// Microscope and camera: a scene in amounts of dye becomes a picture of one hospital. In this order: light through the
// stained cells (Beer-Lambert), uneven illumination, white balance, defocus, averaging of the canvas to the picture's
// pixels, the camera's sharpening, noise, rounding to 8 bits.
//
// Thread-safety: free function; the stream belongs to the caller's thread.
#pragma once

#include <opencv2/core.hpp>

#include "common/random.h"
#include "learning/data/synthetic/canvas.h"
#include "learning/data/synthetic/hospital_profile.h"

namespace hemafed::learning::synthetic {

// RGB (CV_8UC3), profile.side_px square. The canvas side must be a multiple of it.
[[nodiscard]] cv::Mat Photograph(const Canvas& canvas, const HospitalProfile& profile, RandomStream& random);

}  // namespace hemafed::learning::synthetic
