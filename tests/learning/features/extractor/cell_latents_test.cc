// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_latents.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/features/detection/detector_file.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

constexpr std::uint32_t kSide = 96;

// A body of random weights finds something in any picture as long as every score counts.
DetectorSettings Settings(double min_score) {
  DetectorSettings settings = SmallMachineDetector();
  settings.frame.min_side = settings.frame.max_side = 96;
  settings.detections.min_score = min_score;
  return settings;
}

cv::Mat SomeCell() {
  cv::Mat picture(static_cast<int>(kSide), static_cast<int>(kSide), CV_8UC3, cv::Scalar(240, 230, 225));
  cv::circle(picture, {50, 40}, 22, cv::Scalar(120, 60, 160), cv::FILLED);
  return picture;
}

at::Tensor TensorOf(const cv::Mat& rgb) {
  at::Tensor picture = at::empty({3, rgb.rows, rgb.cols});
  for (int y = 0; y < rgb.rows; ++y) {
    for (int x = 0; x < rgb.cols; ++x) {
      for (int c = 0; c < 3; ++c) picture[c][y][x] = static_cast<float>(rgb.at<cv::Vec3b>(y, x)[c]);
    }
  }
  return picture;
}

class CellLatentsTest : public testing::Test {
 protected:
  std::unique_ptr<const LatentExtractor> Extractor(double min_score, std::int64_t latent = kPublishedLatentSize) {
    FileSystem& files = RealFileSystem();
    SaveDetector(files, scratch_ / "detector", InitialDetector(Settings(min_score), 3));
    SaveAutoencoder(files, scratch_ / "autoencoder", InitialAutoencoder(latent, 5));
    return LoadCellLatents(files, scratch_ / "detector", scratch_ / "autoencoder", kSide);
  }
  // The encoder's word about these raw features.
  std::vector<float> Encoded(const at::Tensor& features) {
    const at::NoGradGuard no_gradients;
    const CellAutoencoder autoencoder = LoadAutoencoder(RealFileSystem(), scratch_ / "autoencoder");
    const at::Tensor latent = autoencoder.Encode(ScaleFeatures(features)).contiguous();
    return {latent.const_data_ptr<float>(), latent.const_data_ptr<float>() + latent.numel()};
  }

  hemafed::testing_support::Scratch scratch_;
};

TEST_F(CellLatentsTest, AreSpreadAsTheAutoencodersFileSays) {
  const auto plain = Extractor(0.0);
  PictureLatent expected = plain->Latent(SomeCell());
  FileSystem& files = RealFileSystem();
  LatentScale scale{.mean = std::vector<float>(50, 0.01F), .deviation = std::vector<float>(50, 0.002F)};
  SaveAutoencoder(files, scratch_ / "autoencoder", InitialAutoencoder(kPublishedLatentSize, 5), {}, scale);
  const auto spread = LoadCellLatents(files, scratch_ / "detector", scratch_ / "autoencoder", kSide);
  EXPECT_NE(spread->digest(), plain->digest()) << "latents that were kept are made again";
  const PictureLatent latent = spread->Latent(SomeCell());
  EXPECT_NE(latent.values, expected.values);
  scale.Apply(expected.values);
  EXPECT_EQ(latent.values, expected.values);
}

TEST_F(CellLatentsTest, AreTheEncodersWordAboutTheBestCell) {
  const auto extractor = Extractor(0.0);
  EXPECT_EQ(extractor->side(), kSide);
  EXPECT_EQ(extractor->width(), 50u);
  const PictureLatent latent = extractor->Latent(SomeCell());
  EXPECT_EQ(latent.of, LatentOf::kCell);
  const Detector detector = LoadDetector(RealFileSystem(), scratch_ / "detector");
  const auto found = detector.Detect({TensorOf(SomeCell())}, {.masks = false, .features = true});
  ASSERT_GT(found.front().size(), 0);
  for (std::int64_t i = 1; i < found.front().size(); ++i) {
    EXPECT_GE(found.front().scores[0].item<float>(), found.front().scores[i].item<float>());
  }
  EXPECT_EQ(latent.values, Encoded(found.front().features.slice(0, 0, 1).contiguous()));
  EXPECT_EQ(latent.values, extractor->Latent(SomeCell()).values) << "the same every time";
}

TEST_F(CellLatentsTest, APictureWithoutACellIsTakenWhole) {
  const auto extractor = Extractor(1.0);  // No score exceeds it.
  const Detector detector = LoadDetector(RealFileSystem(), scratch_ / "detector");
  const at::NoGradGuard no_gradients;
  const PreparedPictures prepared = detector.Prepare({TensorOf(SomeCell())});
  const at::Tensor frame_box =
      at::tensor({0.0f, 0.0f, 96.0f, 96.0f}).view({1, 4});  // The frame has the picture's size.
  const at::Tensor features = detector.FeaturesAt(detector.Pyramid(prepared.frames), {frame_box}, prepared);
  const PictureLatent latent = extractor->Latent(SomeCell());
  EXPECT_EQ(latent.of, LatentOf::kWholePicture);
  EXPECT_EQ(latent.values, Encoded(features.contiguous()));
}

TEST_F(CellLatentsTest, RefusesAnAutoencoderOfAnotherLatent) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "its latents have 10 numbers, ae_cfe sees 50", (void)Extractor(0.5, 10));
}

TEST_F(CellLatentsTest, TheNameChangesWithEitherFileAndTheSide) {
  const auto one = Extractor(0.5);
  EXPECT_EQ(Extractor(0.5)->digest(), one->digest());
  EXPECT_NE(Extractor(0.6)->digest(), one->digest());
  EXPECT_NE(LoadCellLatents(RealFileSystem(), scratch_ / "detector", scratch_ / "autoencoder", 97)->digest(),
            Extractor(0.6)->digest());
}

}  // namespace
}  // namespace hemafed::learning
