// learning/features/extractor/latent_extractor.h
// SPDX-License-Identifier: Apache-2.0
//
// What turns a picture into the few numbers that a model of the architecture ae_cfe sees (design 4.7): frozen, the same
// at every hospital, and therefore computed once for each picture.
//
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "common/sha256.h"

namespace hemafed::learning {

// What a latent is of.
enum class LatentOf : std::uint8_t {
  kCell,          // the best scored cell
  kWholePicture,  // no cell was found
  kNothing,       // not even the whole picture has features: it is of one colour. The latent is 0
};

struct PictureLatent {
  std::vector<float> values;
  LatentOf of = LatentOf::kCell;
};

class LatentExtractor {
 public:
  virtual ~LatentExtractor() = default;

  // Names the extractor and everything that its latents depend on.
  [[nodiscard]] virtual const Digest& digest() const = 0;
  // Side in pixels of the square pictures that it takes.
  [[nodiscard]] virtual std::uint32_t side() const = 0;
  // Numbers of a latent.
  [[nodiscard]] virtual std::size_t width() const = 0;
  // Of one RGB picture, CV_8UC3 of side() x side(). Always one at a time and by one thread: the bits must not depend on
  // company or on a setting. Every picture has a latent.
  [[nodiscard]] virtual PictureLatent Latent(const cv::Mat& rgb) const = 0;
};

}  // namespace hemafed::learning
