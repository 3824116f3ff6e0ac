// learning/data/synthetic/smear.h
// SPDX-License-Identifier: Apache-2.0
//
// Synthetic smears: pictures of single white blood cells among red cells and platelets, so that the whole system can be
// run and tested without any patient's picture. Not a model of any real laboratory and of no diagnostic use.
//
// A picture is a pure function of (seed, hospital, class, index): the words come from Philox streams with key
// DeriveSeed(seed, "synthetic smear <generator version> <hospital>") and stream class * 2^32 + index.
// Bits: the same on every machine whose OpenCV computes the same; the file bytes also depend on its PNG encoder.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>

#include "learning/data/synthetic/hospital_profile.h"
#include "learning/data/synthetic/leukocyte.h"

namespace hemafed::learning::synthetic {

// Raised whenever the same seed would draw other pictures.
inline constexpr unsigned kGeneratorVersion = 1;

// RGB (CV_8UC3), profile.side_px square. class_index below kSmearClasses.size().
[[nodiscard]] cv::Mat DrawSmear(const HospitalProfile& profile, std::uint64_t seed, std::size_t class_index,
                                std::uint32_t index);

}  // namespace hemafed::learning::synthetic
