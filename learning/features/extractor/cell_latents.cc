// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_latents.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/features/detection/detector_file.h"
#include "learning/models/architecture.h"

namespace hemafed::learning {

namespace {

// However many threads the rest of the program has: a plan's trainer and a study get the same bits.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

class CellLatents final : public LatentExtractor {
 public:
  CellLatents(Digest digest, Detector detector, CellAutoencoder autoencoder, std::uint32_t side)
      : digest_(digest), detector_(std::move(detector)), autoencoder_(std::move(autoencoder)), side_(side) {}

  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return side_; }
  [[nodiscard]] std::size_t width() const override { return static_cast<std::size_t>(autoencoder_.latent_size()); }

  [[nodiscard]] PictureLatent Latent(const cv::Mat& rgb) const override {
    const at::NoGradGuard no_gradients;
    const OneThread one_thread;
    const at::Tensor picture =
        at::from_blob(rgb.data, {rgb.rows, rgb.cols, 3}, {static_cast<std::int64_t>(rgb.step[0]), 3, 1},
                      at::TensorOptions(at::kByte))
            .permute({2, 0, 1})
            .to(at::kFloat)
            .contiguous();
    PictureLatent latent;
    at::Tensor features = OfBestCell(picture);
    if (!Usable(features)) {
      features = OfWholePicture(picture);
      latent.of = LatentOf::kWholePicture;
    }
    if (!Usable(features)) return {.values = std::vector<float>(width()), .of = LatentOf::kNothing};
    const at::Tensor values = autoencoder_.Encode(ScaleFeatures(features)).flatten().contiguous();
    latent.values.assign(values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
    return latent;
  }

 private:
  // [1, 256, 14, 14]; undefined where no cell is found.
  [[nodiscard]] at::Tensor OfBestCell(const at::Tensor& picture) const {
    const std::vector<Detections> found = detector_.Detect({picture}, {.masks = false, .features = true});
    return found.front().size() == 0 ? at::Tensor() : found.front().features.slice(0, 0, 1).contiguous();
  }

  [[nodiscard]] at::Tensor OfWholePicture(const at::Tensor& picture) const {
    const PreparedPictures prepared = detector_.Prepare({picture});
    const at::Tensor whole =
        at::tensor({0.0f, 0.0f, static_cast<float>(picture.size(2)), static_cast<float>(picture.size(1))}).view({1, 4});
    return detector_.FeaturesAt(detector_.Pyramid(prepared.frames), {prepared.places.front().ToFrame(whole)}, prepared)
        .contiguous();
  }

  static bool Usable(const at::Tensor& features) {
    return features.defined() &&
           !WhyNotUsable({features.const_data_ptr<float>(), static_cast<std::size_t>(features.numel())});
  }

  Digest digest_;
  Detector detector_;
  CellAutoencoder autoencoder_;
  std::uint32_t side_;
};

}  // namespace

std::unique_ptr<const LatentExtractor> LoadCellLatents(FileSystem& files, const Path& detector, const Path& autoencoder,
                                                       std::uint32_t side) {
  Detector finder = LoadDetector(files, detector);
  if (finder.settings().channels != kCellFeatureChannels) {
    throw Error(ErrorCode::kInvalidInput, detector.string() + ": its features have " +
                                              std::to_string(finder.settings().channels) +
                                              " channels, autoencoders take " + std::to_string(kCellFeatureChannels));
  }
  CellAutoencoder describer = LoadAutoencoder(files, autoencoder);
  if (describer.latent_size() != kLatentChannels) {
    throw Error(ErrorCode::kInvalidInput, autoencoder.string() + ": its latents have " +
                                              std::to_string(describer.latent_size()) + " numbers, ae_cfe sees " +
                                              std::to_string(kLatentChannels));
  }
  const Digest name = Sha256Of(DigestOfFile(files, detector).Hex() + " " + DigestOfFile(files, autoencoder).Hex() +
                               " " + std::to_string(side));
  return std::make_unique<CellLatents>(name, std::move(finder), std::move(describer), side);
}

}  // namespace hemafed::learning
