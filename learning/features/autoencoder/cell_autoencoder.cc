// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/cell_autoencoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"
#include "learning/features/autoencoder/block_group_norm.h"

namespace hemafed::learning {

namespace {

// published-systems, 3.3. 0 stands for the latent's size.
struct EncoderPlan {
  std::int64_t in, out, kernel, stride;
  std::int64_t groups;  // 0: tanh instead of ReLU and norm
};
constexpr std::array<EncoderPlan, 6> kEncoder = {{{kCellFeatureChannels, 200, 3, 1, 32},
                                                  {200, 150, 3, 2, 30},
                                                  {150, 100, 3, 1, 10},
                                                  {100, 70, 2, 1, 10},
                                                  {70, 60, 2, 1, 20},
                                                  {60, 0, 1, 1, 0}}};
struct DecoderPlan {
  std::int64_t in, out, kernel, stride;
};
constexpr std::array<DecoderPlan, 3> kFeatureDecoder = {
    {{0, 150, 5, 1}, {150, 200, 4, 2}, {200, kCellFeatureChannels, 3, 1}}};
constexpr std::array<DecoderPlan, 5> kPictureDecoder = {
    {{kCellFeatureChannels, 200, 5, 2}, {200, 180, 3, 2}, {180, 150, 3, 2}, {150, 128, 2, 1}, {128, 3, 1, 1}}};

constexpr const char* kFeatureDecoderName = "feature_decoder";
constexpr const char* kPictureDecoderName = "picture_decoder";

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

std::string ShapeText(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::string EncoderName(std::size_t step) { return "encoder." + std::to_string(step); }
std::string DecoderName(const char* part, std::size_t step) { return std::string(part) + "." + std::to_string(step); }

template <typename Plans>
void AppendDecoder(std::vector<AutoencoderTensor>& tensors, const char* part, const Plans& plans, std::int64_t latent) {
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const DecoderPlan& plan = plans[i];
    const std::int64_t in = plan.in == 0 ? latent : plan.in;
    const std::int64_t fan_in = plan.out * plan.kernel * plan.kernel;
    tensors.push_back({DecoderName(part, i) + ".weight", {in, plan.out, plan.kernel, plan.kernel}, fan_in});
    tensors.push_back({DecoderName(part, i) + ".bias", {plan.out}, fan_in});
  }
}

// Samples of this shape behind the batch dimension, of the model's type and on its device.
void RequireSamples(const at::Tensor& x, const char* what, std::vector<std::int64_t> sample, const at::Tensor& like) {
  if (x.dim() != static_cast<std::int64_t>(sample.size()) + 1 || x.sizes().slice(1) != at::IntArrayRef(sample)) {
    Fail("the autoencoder takes " + std::string(what) + " of shape " + ShapeText(sample) +
         " a cell; these have the shape " + ShapeText(x.sizes()) + " with the batch in front");
  }
  if (x.scalar_type() != like.scalar_type() || x.device() != like.device()) {
    Fail("the autoencoder's " + std::string(what) + " are of another type or on another device than its weights");
  }
}

}  // namespace

std::vector<AutoencoderTensor> AutoencoderTensors(std::int64_t latent_size) {
  if (latent_size < kMinLatentSize || latent_size > kMaxLatentSize) {
    Fail("an autoencoder with a latent of " + std::to_string(latent_size) + " values is not made; allowed are " +
         std::to_string(kMinLatentSize) + " to " + std::to_string(kMaxLatentSize));
  }
  std::vector<AutoencoderTensor> tensors;
  for (std::size_t i = 0; i < kEncoder.size(); ++i) {
    const EncoderPlan& plan = kEncoder[i];
    const std::int64_t out = plan.out == 0 ? latent_size : plan.out;
    const std::int64_t fan_in = plan.in * plan.kernel * plan.kernel;
    tensors.push_back({EncoderName(i) + ".conv.weight", {out, plan.in, plan.kernel, plan.kernel}, fan_in});
    tensors.push_back({EncoderName(i) + ".conv.bias", {out}, fan_in});
    if (plan.groups == 0) continue;
    tensors.push_back({EncoderName(i) + ".norm.weight", {out}, 0});
    tensors.push_back({EncoderName(i) + ".norm.bias", {out}, 0});
  }
  AppendDecoder(tensors, kFeatureDecoderName, kFeatureDecoder, latent_size);
  AppendDecoder(tensors, kPictureDecoderName, kPictureDecoder, latent_size);
  std::sort(tensors.begin(), tensors.end(),
            [](const AutoencoderTensor& a, const AutoencoderTensor& b) { return a.name < b.name; });
  return tensors;
}

CellAutoencoder::CellAutoencoder(std::vector<NamedTensor> tensors) : tensors_(std::move(tensors)) {
  std::sort(tensors_.begin(), tensors_.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  const std::string width_name = EncoderName(kEncoder.size() - 1) + ".conv.bias";
  const at::Tensor width = Take(width_name);
  if (width.dim() != 1) Fail("autoencoder: tensor '" + width_name + "' has the shape " + ShapeText(width.sizes()));
  latent_size_ = width.size(0);
  const std::vector<AutoencoderTensor> specs = AutoencoderTensors(latent_size_);
  for (std::size_t i = 0; i < std::max(specs.size(), tensors_.size()); ++i) {
    if (i >= tensors_.size() || (i < specs.size() && specs[i].name < tensors_[i].name)) {
      Fail("autoencoder: tensor '" + specs[i].name + "' is missing");
    }
    if (i >= specs.size() || specs[i].name != tensors_[i].name) {
      Fail("autoencoder: tensor '" + tensors_[i].name + "' does not belong to it or is there twice");
    }
    const at::Tensor& value = tensors_[i].value;
    if (value.sizes() != at::IntArrayRef(specs[i].shape)) {
      Fail("autoencoder: tensor '" + specs[i].name + "' has the shape " + ShapeText(value.sizes()) + " instead of " +
           ShapeText(specs[i].shape));
    }
    if ((value.scalar_type() != at::kFloat && value.scalar_type() != at::kDouble) ||
        value.scalar_type() != width.scalar_type() || value.device() != width.device()) {
      Fail("autoencoder: tensor '" + specs[i].name + "' is of another type or on another device than the rest");
    }
  }
  for (std::size_t i = 0; i < kEncoder.size(); ++i) {
    EncoderStep step{Take(EncoderName(i) + ".conv.weight"), Take(EncoderName(i) + ".conv.bias"), {}, {}};
    if (kEncoder[i].groups > 0) {
      step.scale = Take(EncoderName(i) + ".norm.weight");
      step.shift = Take(EncoderName(i) + ".norm.bias");
    }
    encoder_.push_back(std::move(step));
  }
  const auto take_decoder = [&](const char* part, std::size_t steps, std::vector<DecoderStep>& decoder) {
    for (std::size_t i = 0; i < steps; ++i) {
      decoder.push_back({Take(DecoderName(part, i) + ".weight"), Take(DecoderName(part, i) + ".bias")});
    }
  };
  take_decoder(kFeatureDecoderName, kFeatureDecoder.size(), feature_decoder_);
  take_decoder(kPictureDecoderName, kPictureDecoder.size(), picture_decoder_);
}

at::Tensor CellAutoencoder::Take(const std::string& name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const NamedTensor& tensor, const std::string& wanted) { return tensor.name < wanted; });
  if (found == tensors_.end() || found->name != name || !found->value.defined()) {
    Fail("autoencoder: tensor '" + name + "' is missing");
  }
  return found->value;
}

CellAutoencoder CellAutoencoder::Clone(at::ScalarType type) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    copies.push_back({tensor.name, tensor.value.detach().to(type, /*non_blocking=*/false, /*copy=*/true)});
  }
  return CellAutoencoder(std::move(copies));
}

CellAutoencoder CellAutoencoder::To(at::Device device) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    copies.push_back({tensor.name, tensor.value.detach().to(device, tensor.value.scalar_type(), /*non_blocking=*/false,
                                                            /*copy=*/true)});
  }
  return CellAutoencoder(std::move(copies));
}

at::Tensor CellAutoencoder::Encode(const at::Tensor& features) const {
  RequireSamples(features, "features", {kCellFeatureChannels, kCellFeatureSide, kCellFeatureSide}, encoder_[0].weight);
  at::Tensor x = features;
  for (std::size_t i = 0; i < kEncoder.size(); ++i) {
    const EncoderPlan& plan = kEncoder[i];
    const EncoderStep& step = encoder_[i];
    x = at::conv2d(x, step.weight, step.bias, {plan.stride, plan.stride});
    if (plan.groups == 0) return at::tanh(x.flatten(1));
    at::relu_(x);
    x = BlockGroupNorm(x, plan.groups, step.scale, step.shift);
  }
  return x;
}

at::Tensor CellAutoencoder::DecodeFeatures(const at::Tensor& latents) const {
  RequireSamples(latents, "latents", {latent_size_}, encoder_[0].weight);
  at::Tensor x = latents.reshape({latents.size(0), latent_size_, 1, 1});
  for (std::size_t i = 0; i < kFeatureDecoder.size(); ++i) {
    const std::int64_t stride = kFeatureDecoder[i].stride;
    x = at::conv_transpose2d(x, feature_decoder_[i].weight, feature_decoder_[i].bias, {stride, stride});
    if (i + 1 < kFeatureDecoder.size()) at::relu_(x);
  }
  return at::tanh(x);
}

at::Tensor CellAutoencoder::DecodePictures(const at::Tensor& features) const {
  RequireSamples(features, "features", {kCellFeatureChannels, kCellFeatureSide, kCellFeatureSide}, encoder_[0].weight);
  // Nearly all of the work of a training step is in the last three layers, which run faster with channels last.
  at::Tensor x = features.contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t i = 0; i < kPictureDecoder.size(); ++i) {
    const std::int64_t stride = kPictureDecoder[i].stride;
    x = at::conv_transpose2d(x, picture_decoder_[i].weight, picture_decoder_[i].bias, {stride, stride});
    if (i + 1 < kPictureDecoder.size()) at::relu_(x);
  }
  return at::sigmoid_(x);
}

std::vector<at::Tensor> CellAutoencoder::BeginTraining() {
  std::vector<at::Tensor> trained;
  for (NamedTensor& tensor : tensors_) {
    tensor.value.requires_grad_(true);
    trained.push_back(tensor.value);
  }
  return trained;
}

void CellAutoencoder::EndTraining() {
  for (NamedTensor& tensor : tensors_) {
    tensor.value.requires_grad_(false);
    tensor.value.mutable_grad().reset();
  }
}

}  // namespace hemafed::learning
