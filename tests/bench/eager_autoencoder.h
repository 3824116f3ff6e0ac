// tests/bench/eager_autoencoder.h
// SPDX-License-Identifier: Apache-2.0
//
// The peer of autoencoder_bench: the same autoencoder and the same losses the way PyTorch runs them eagerly, one
// operation after another over the whole batch, with gradients by autograd, similarity by grouped convolutions with a
// two-dimensional window and the optimiser of LibTorch's front end. The operations are those of the modules that the
// published code is made of; only Python is left out.
//
// Thread-safety: one thread.
#pragma once

#include <ATen/ATen.h>
#include <torch/optim/adam.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "learning/features/autoencoder/cell_autoencoder.h"
#include "learning/features/autoencoder/ssim.h"

namespace hemafed::learning::testing_support {

class EagerAutoencoder {
 public:
  // Copies the tensors; 4-d ones in `format`, which the activations then take too.
  EagerAutoencoder(const CellAutoencoder& model, at::MemoryFormat format) : format_(format) {
    std::vector<at::Tensor> parameters;
    for (const NamedTensor& tensor : model.tensors()) {
      at::Tensor copy = tensor.value.detach().clone();
      if (copy.dim() == 4) copy = copy.contiguous(format);
      copy.requires_grad_(true);
      tensors_.emplace(tensor.name, copy);
      parameters.push_back(copy);
    }
    const at::Tensor taps = SsimTaps({}).to(parameters[0].options().requires_grad(false));
    window_ = at::outer(taps, taps).expand({3, 1, taps.size(0), taps.size(0)}).contiguous();
    optimiser_ = std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(1e-3));
  }

  // One step; `cells_of` lists the rows of each domain, the source first. Returns the loss.
  double Step(const at::Tensor& features, const at::Tensor& pictures, const std::vector<at::Tensor>& cells_of) {
    const at::Tensor input = features.contiguous(format_);
    const at::Tensor latents = Encode(input);
    const at::Tensor decoded = DecodeFeatures(latents);
    at::Tensor loss = at::mse_loss(decoded, input) + (1 - Similarity(DecodePictures(decoded), pictures));
    for (std::size_t i = 1; i < cells_of.size(); ++i) {
      loss = loss + 5 * Alignment(latents.index_select(0, cells_of[0]), latents.index_select(0, cells_of[i]));
    }
    optimiser_->zero_grad();
    loss.backward();
    optimiser_->step();
    return loss.item<double>();
  }

 private:
  [[nodiscard]] const at::Tensor& Get(const std::string& name) const { return tensors_.at(name); }

  [[nodiscard]] at::Tensor Norm(const at::Tensor& x, std::int64_t groups, const std::string& name) const {
    const at::Tensor flat = x.reshape({x.size(0), groups, -1});
    const at::Tensor mean = flat.mean(2, /*keepdim=*/true);
    const at::Tensor variance = flat.var(at::IntArrayRef{2}, /*unbiased=*/true, /*keepdim=*/true);
    const at::Tensor normal = ((flat - mean) / (variance + 1e-5).sqrt()).view(x.sizes());
    return normal * Get(name + ".weight").view({1, -1, 1, 1}) + Get(name + ".bias").view({1, -1, 1, 1});
  }

  [[nodiscard]] at::Tensor Encode(const at::Tensor& features) const {
    const std::vector<std::pair<std::int64_t, std::int64_t>> plan = {{1, 32}, {2, 30}, {1, 10}, {1, 10}, {1, 20}};
    at::Tensor x = features;
    for (std::size_t i = 0; i < plan.size(); ++i) {
      const std::string name = "encoder." + std::to_string(i);
      const std::int64_t stride = plan[i].first;
      x = at::relu(at::conv2d(x, Get(name + ".conv.weight"), Get(name + ".conv.bias"), {stride, stride}));
      x = Norm(x, plan[i].second, name + ".norm");
    }
    return at::tanh(at::conv2d(x, Get("encoder.5.conv.weight"), Get("encoder.5.conv.bias"))).flatten(1);
  }

  [[nodiscard]] at::Tensor Transposed(const at::Tensor& x, const std::string& name, std::int64_t stride) const {
    return at::conv_transpose2d(x, Get(name + ".weight"), Get(name + ".bias"), {stride, stride});
  }

  [[nodiscard]] at::Tensor DecodeFeatures(const at::Tensor& latents) const {
    at::Tensor x = latents.view({latents.size(0), -1, 1, 1}).contiguous(format_);
    x = at::relu(Transposed(x, "feature_decoder.0", 1));
    x = at::relu(Transposed(x, "feature_decoder.1", 2));
    return at::tanh(Transposed(x, "feature_decoder.2", 1));
  }

  [[nodiscard]] at::Tensor DecodePictures(const at::Tensor& features) const {
    at::Tensor x = at::relu(Transposed(features, "picture_decoder.0", 2));
    x = at::relu(Transposed(x, "picture_decoder.1", 2));
    x = at::relu(Transposed(x, "picture_decoder.2", 2));
    x = at::relu(Transposed(x, "picture_decoder.3", 1));
    return at::sigmoid(Transposed(x, "picture_decoder.4", 1));
  }

  [[nodiscard]] at::Tensor Blur(const at::Tensor& x) const {
    const std::int64_t padding = window_.size(2) / 2;
    return at::conv2d(x, window_, {}, {1, 1}, {padding, padding}, {1, 1}, 3);
  }

  [[nodiscard]] at::Tensor Similarity(const at::Tensor& x, const at::Tensor& y) const {
    const at::Tensor mx = Blur(x), my = Blur(y);
    const at::Tensor sx = Blur(x * x) - mx.pow(2), sy = Blur(y * y) - my.pow(2), sxy = Blur(x * y) - mx * my;
    return (((2 * mx * my + 1e-4) * (2 * sxy + 9e-4)) / ((mx.pow(2) + my.pow(2) + 1e-4) * (sx + sy + 9e-4))).mean();
  }

  [[nodiscard]] static at::Tensor Alignment(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor p = at::log_softmax(at::cov(a.t()), 0), q = at::log_softmax(at::cov(b.t()), 0);
    return at::mse_loss(a.mean(0), b.mean(0)) +
           0.5 * (at::kl_div(q, p, at::Reduction::Mean, true) + at::kl_div(p, q, at::Reduction::Mean, true));
  }

  at::MemoryFormat format_;
  std::map<std::string, at::Tensor> tensors_;
  at::Tensor window_;
  std::unique_ptr<torch::optim::Adam> optimiser_;
};

}  // namespace hemafed::learning::testing_support
