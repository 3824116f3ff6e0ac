// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_latents.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <optional>
#include <string>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/features/extractor/cell_describer.h"
#include "learning/features/extractor/one_thread.h"
#include "learning/models/architecture.h"

namespace hemafed::learning {

namespace {

class CellLatents final : public LatentExtractor {
 public:
  CellLatents(Digest digest, std::unique_ptr<const CellDescriber> describer, CellAutoencoder autoencoder,
              std::optional<LatentScale> scale)
      : digest_(digest),
        describer_(std::move(describer)),
        autoencoder_(std::move(autoencoder)),
        scale_(std::move(scale)) {}

  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return describer_->side(); }
  [[nodiscard]] std::size_t width() const override { return static_cast<std::size_t>(autoencoder_.latent_size()); }

  [[nodiscard]] PictureLatent Latent(const cv::Mat& rgb) const override {
    std::vector<float> features;
    if (auto cell = describer_->BestCell(rgb)) features = std::move(cell->features);
    PictureLatent latent;
    if (WhyNotUsable(features)) {
      features = describer_->WholePicture(rgb);
      latent.of = LatentOf::kWholePicture;
    }
    if (WhyNotUsable(features)) return {.values = std::vector<float>(width()), .of = LatentOf::kNothing};
    latent.values = Encode(features);
    if (scale_) scale_->Apply(latent.values);
    return latent;
  }

 private:
  [[nodiscard]] std::vector<float> Encode(std::vector<float>& features) const {
    const at::NoGradGuard no_gradients;
    const OneThread one_thread;
    const at::Tensor raw =
        at::from_blob(features.data(), {1, kCellFeatureChannels, kCellFeatureSide, kCellFeatureSide});
    const at::Tensor values = autoencoder_.Encode(ScaleFeatures(raw)).flatten().contiguous();
    return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
  }

  Digest digest_;
  std::unique_ptr<const CellDescriber> describer_;
  CellAutoencoder autoencoder_;
  std::optional<LatentScale> scale_;
};

}  // namespace

std::unique_ptr<const LatentExtractor> LoadCellLatents(FileSystem& files, const Path& detector, const Path& autoencoder,
                                                       std::uint32_t side) {
  auto describer = LoadCellDescriber(files, detector, side);
  CellAutoencoder encoder = LoadAutoencoder(files, autoencoder);
  if (encoder.latent_size() != kLatentChannels) {
    throw Error(ErrorCode::kInvalidInput, autoencoder.string() + ": its latents have " +
                                              std::to_string(encoder.latent_size()) + " numbers, ae_cfe sees " +
                                              std::to_string(kLatentChannels));
  }
  const Digest name = Sha256Of(DigestOfFile(files, detector).Hex() + " " + DigestOfFile(files, autoencoder).Hex() +
                               " " + std::to_string(side));
  return std::make_unique<CellLatents>(name, std::move(describer), std::move(encoder),
                                       LoadLatentScale(files, autoencoder));
}

}  // namespace hemafed::learning
