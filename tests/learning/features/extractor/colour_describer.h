// tests/learning/features/extractor/colour_describer.h
// SPDX-License-Identifier: Apache-2.0
//
// A simple describer of cells for tests of what is around it; the real one has tests of its own. Every picture has one
// cell in its middle, whose features are the picture's colours.
#pragma once

#include <opencv2/imgproc.hpp>

#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/extractor/cell_describer.h"

namespace hemafed::testing_support {

class ColourDescriber final : public learning::CellDescriber {
 public:
  explicit ColourDescriber(std::uint32_t side) : side_(side) {}

  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return side_; }
  [[nodiscard]] std::optional<learning::DescribedCell> BestCell(const cv::Mat& rgb) const override {
    const auto quarter = static_cast<float>(side_) / 4;
    return learning::DescribedCell{.features = WholePicture(rgb), .box = {quarter, quarter, 2 * quarter, 2 * quarter}};
  }
  // Channel c of 256 is colour c mod 3, the weaker the higher c.
  [[nodiscard]] std::vector<float> WholePicture(const cv::Mat& rgb) const override {
    constexpr auto kSide = static_cast<int>(learning::kCellFeatureSide);
    cv::Mat small;
    cv::resize(rgb, small, cv::Size(kSide, kSide), 0, 0, cv::INTER_AREA);
    std::vector<float> features;
    for (int c = 0; c < learning::kCellFeatureChannels; ++c) {
      for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) {
          features.push_back(static_cast<float>(small.at<cv::Vec3b>(y, x)[c % 3]) / static_cast<float>(16 + c));
        }
      }
    }
    return features;
  }

 private:
  Digest digest_ = Sha256Of("colours of the picture");
  std::uint32_t side_;
};

}  // namespace hemafed::testing_support
