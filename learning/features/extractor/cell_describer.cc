// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_describer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/detection/detector_file.h"
#include "learning/features/extractor/one_thread.h"

namespace hemafed::learning {

namespace {

std::vector<float> ValuesOf(const at::Tensor& features) {
  const at::Tensor flat = features.to(at::kFloat).flatten().contiguous();
  const float* values = flat.const_data_ptr<float>();
  return {values, values + flat.numel()};
}

class DetectorDescriber final : public CellDescriber {
 public:
  DetectorDescriber(Digest digest, Detector detector, std::uint32_t side)
      : digest_(digest), detector_(std::move(detector)), side_(side) {}

  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return side_; }

  [[nodiscard]] std::optional<DescribedCell> BestCell(const cv::Mat& rgb) const override {
    const at::NoGradGuard no_gradients;
    const OneThread one_thread;
    const Detections found = detector_.Detect({TensorOf(rgb)}, {.masks = false, .features = true}).front();
    if (found.size() == 0) return std::nullopt;
    const std::vector<float> box = ValuesOf(found.boxes[0]);
    return DescribedCell{.features = ValuesOf(found.features[0]),
                         .box = {cv::Point2f(box[0], box[1]), cv::Point2f(box[2], box[3])}};
  }

  [[nodiscard]] std::vector<float> WholePicture(const cv::Mat& rgb) const override {
    const at::NoGradGuard no_gradients;
    const OneThread one_thread;
    const at::Tensor picture = TensorOf(rgb);
    const PreparedPictures prepared = detector_.Prepare({picture});
    const at::Tensor whole =
        at::tensor({0.0f, 0.0f, static_cast<float>(picture.size(2)), static_cast<float>(picture.size(1))}).view({1, 4});
    return ValuesOf(
        detector_.FeaturesAt(detector_.Pyramid(prepared.frames), {prepared.places.front().ToFrame(whole)}, prepared));
  }

 private:
  [[nodiscard]] at::Tensor TensorOf(const cv::Mat& rgb) const {
    const auto side = static_cast<int>(side_);
    if (rgb.type() != CV_8UC3 || rgb.rows != side || rgb.cols != side) {
      throw Error(ErrorCode::kInvalidInput, "the detector takes RGB pictures of " + std::to_string(side_) + " x " +
                                                std::to_string(side_) + " px here, this one has " +
                                                std::to_string(rgb.cols) + " x " + std::to_string(rgb.rows));
    }
    return at::from_blob(rgb.data, {rgb.rows, rgb.cols, 3}, {static_cast<std::int64_t>(rgb.step[0]), 3, 1},
                         at::TensorOptions(at::kByte))
        .permute({2, 0, 1})
        .to(at::kFloat)
        .contiguous();
  }

  Digest digest_;
  Detector detector_;
  std::uint32_t side_;
};

}  // namespace

std::unique_ptr<const CellDescriber> LoadCellDescriber(FileSystem& files, const Path& detector, std::uint32_t side) {
  Detector finder = LoadDetector(files, detector);
  if (finder.settings().channels != kCellFeatureChannels) {
    throw Error(ErrorCode::kInvalidInput, detector.string() + ": its features have " +
                                              std::to_string(finder.settings().channels) +
                                              " channels, autoencoders take " + std::to_string(kCellFeatureChannels));
  }
  const Digest name = Sha256Of(DigestOfFile(files, detector).Hex() + " " + std::to_string(side));
  return std::make_unique<DetectorDescriber>(name, std::move(finder), side);
}

}  // namespace hemafed::learning
