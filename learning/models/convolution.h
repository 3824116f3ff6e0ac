// learning/models/convolution.h
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions as the models here need them: two kinds of padding, optionally followed by ReLU or ReLU6, with
// normalisation folded into weight and bias. Differentiable in picture, weight and bias.
//
// 'Same' padding (TensorFlow's rule): along a side of length n with kernel k and stride s the output has
// p = ceil(n / s) places, max((p - 1) s + k - n, 0) zeros are added, half of them (rounded down) before the first pixel
// and the rest behind the last. With stride 2 on an even side there is one more behind than before.
//
// Symmetric padding: k / 2 (rounded down) zeros on every side; for the odd kernels here the output has the same size
// as above, but with stride 2 on an even side its places lie one pixel further to the top left.
//
// Shapes: x [N, C, H, W], best in channels-last memory format; weight [out, C / groups, k, k]; bias [out] or undefined.
//
// Depthwise convolutions with 'same' padding of float32 on the CPU take the kernels of depthwise_kernel.h; any other
// shape, type or device the library's.
//
// Thread-safety: free functions; LibTorch's own rules for concurrent use of one tensor apply.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hemafed::learning {

struct SamePadding {
  std::int64_t before;
  std::int64_t after;
  std::int64_t out;  // length of the output
};
[[nodiscard]] SamePadding SamePaddingOf(std::int64_t length, int kernel, int stride);

enum class Activation : std::uint8_t { kNone, kRelu, kRelu6 };
// In place; returns x.
at::Tensor Activate(at::Tensor x, Activation activation);

[[nodiscard]] at::Tensor ConvolveSame(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int stride,
                                      std::int64_t groups, Activation activation);
[[nodiscard]] at::Tensor ConvolveSymmetric(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                           int stride, std::int64_t groups, Activation activation);

// Batch norm with fixed statistics is y = scale * conv(x, w) + shift with scale = gamma / sqrt(var + eps) and
// shift = beta - mean * scale, hence conv(x, w * scale) + shift: no pass over the activations. Gradients with respect
// to w, gamma and beta are exact and flow through the two small tensors returned here.
struct FoldedConvolution {
  at::Tensor weight;
  at::Tensor bias;
};
struct FrozenBatchNorm {
  at::Tensor gamma, beta, mean, variance;  // each [out]
};
[[nodiscard]] FoldedConvolution FoldBatchNorm(const at::Tensor& weight, const FrozenBatchNorm& norm, double epsilon);

// Weight standardisation (Qiao et al., 2019, arXiv:1903.10520): every output channel's weights are shifted and scaled
// to mean 0 and population variance 1 over its C/groups*k*k inputs: (w - mean) / sqrt(var + 1e-10).
[[nodiscard]] at::Tensor StandardiseWeight(const at::Tensor& weight);

}  // namespace hemafed::learning
