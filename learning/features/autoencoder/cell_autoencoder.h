// learning/features/autoencoder/cell_autoencoder.h
// SPDX-License-Identifier: Apache-2.0
//
// AE-CFE's autoencoder (Salehi et al., "Unsupervised Cross-Domain Feature Extraction for Single Blood Cell Image
// Classification", MICCAI 2022; layers as in the authors' code, published-systems 3.3). It turns the features that a
// detector computed for one cell into a latent of L values, and back, and the features into the cell's picture:
//
//     encoder           [N, 256, 14, 14] -> [N, L]              5 x (convolution, ReLU, block group norm), then a
//                                                               1 x 1 convolution and tanh: values in (-1, 1)
//     feature decoder   [N, L] -> [N, 256, 14, 14]              3 transposed convolutions; ReLU, ReLU, tanh
//     picture decoder   [N, 256, 14, 14] -> [N, 3, 128, 128]    5 transposed convolutions; ReLU x 4, sigmoid.
//                                                               Its input is the decoded features, not the given ones.
//
// With L = 50 as published: 915,390 + 1,128,906 + 1,924,845 = 3,969,141 parameters. L is a setting because the thesis's
// table 3.1 sweeps it from 5 to 1,000.
//
// Tensors by name: "encoder.K.conv.weight", ".conv.bias", ".norm.weight", ".norm.bias" (K = 0 .. 4),
// "encoder.5.conv.*", "feature_decoder.K.weight", ".bias" (K = 0 .. 2), "picture_decoder.K.*" (K = 0 .. 4). Weights of
// transposed convolutions are [in, out, k, k]. Canonical order is ascending byte order of the names.
//
// Errors: Error(kInvalidInput) for tensors, pictures or latents of another shape, naming it.
// Thread-safety: forward passes may run concurrently while nobody changes the tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "learning/models/classifier.h"

namespace hemafed::learning {

inline constexpr std::int64_t kCellFeatureChannels = 256;
inline constexpr std::int64_t kCellFeatureSide = 14;   // places
inline constexpr std::int64_t kCellPictureSide = 128;  // pixels
inline constexpr std::int64_t kCellFeatureValues = kCellFeatureChannels * kCellFeatureSide * kCellFeatureSide;
inline constexpr std::int64_t kCellPictureBytes = kCellPictureSide * kCellPictureSide * 3;

// Published bottlenecks are 5 to 1,000 wide.
inline constexpr std::int64_t kMinLatentSize = 5;
inline constexpr std::int64_t kMaxLatentSize = 1'000;
inline constexpr std::int64_t kPublishedLatentSize = 50;

struct AutoencoderTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  // What PyTorch takes as fan-in of the layer: k^2 times the input channels of a convolution, k^2 times the *output*
  // channels of a transposed one (its weight's second dimension). 0 for scales and shifts of the normalisation.
  std::int64_t fan_in;
};

// In canonical order. Throws Error(kInvalidInput) for a size out of range.
[[nodiscard]] std::vector<AutoencoderTensor> AutoencoderTensors(std::int64_t latent_size);

class CellAutoencoder {
 public:
  // Takes over the tensors (no copy) of AutoencoderTensors(L), in any order; L follows from "encoder.5.conv.bias".
  // Names, shapes and a common floating type and device are checked.
  explicit CellAutoencoder(std::vector<NamedTensor> tensors);

  // A model is large: copying it is always written down.
  CellAutoencoder(const CellAutoencoder&) = delete;
  CellAutoencoder& operator=(const CellAutoencoder&) = delete;
  CellAutoencoder(CellAutoencoder&&) noexcept = default;
  CellAutoencoder& operator=(CellAutoencoder&&) noexcept = default;

  // A copy with tensors of its own, not training, as float32 or (for checks of formulas) float64.
  [[nodiscard]] CellAutoencoder Clone(at::ScalarType type = at::kFloat) const;
  [[nodiscard]] CellAutoencoder To(at::Device device) const;

  [[nodiscard]] std::int64_t latent_size() const { return latent_size_; }
  [[nodiscard]] at::Device device() const { return tensors_.front().value.device(); }
  // In canonical order. The tensors are the model's own: change them in place, never replace them.
  [[nodiscard]] const std::vector<NamedTensor>& tensors() const { return tensors_; }

  // `features` scaled to [-1, 1] (autoencoder_inputs.h).
  [[nodiscard]] at::Tensor Encode(const at::Tensor& features) const;
  [[nodiscard]] at::Tensor DecodeFeatures(const at::Tensor& latents) const;
  // Channels-last.
  [[nodiscard]] at::Tensor DecodePictures(const at::Tensor& features) const;

  // Marks every tensor as one that wants a gradient and returns them in canonical order.
  [[nodiscard]] std::vector<at::Tensor> BeginTraining();
  // Unmarks them and forgets gradients.
  void EndTraining();

 private:
  struct EncoderStep {
    at::Tensor weight, bias, scale, shift;  // The last step has neither scale nor shift.
  };
  struct DecoderStep {
    at::Tensor weight, bias;
  };

  [[nodiscard]] at::Tensor Take(const std::string& name) const;

  std::int64_t latent_size_ = 0;
  std::vector<NamedTensor> tensors_;
  std::vector<EncoderStep> encoder_;
  std::vector<DecoderStep> feature_decoder_;
  std::vector<DecoderStep> picture_decoder_;
};

}  // namespace hemafed::learning
