// SPDX-License-Identifier: Apache-2.0
#include "learning/models/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "learning/models/depthwise_kernel.h"

namespace hemafed::learning {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

DepthwiseShape ShapeOf(const at::Tensor& x, int kernel, int stride) {
  const SamePadding rows = SamePaddingOf(x.size(2), kernel, stride);
  const SamePadding columns = SamePaddingOf(x.size(3), kernel, stride);
  return {x.size(1),
          x.size(2),
          x.size(3),
          rows.out,
          columns.out,
          kernel,
          stride,
          static_cast<int>(rows.before),
          static_cast<int>(columns.before)};
}

at::Tensor ChannelsLast(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

// Calls work(picture, scratch) for every picture, on as many threads as LibTorch is set to use.
template <typename Work>
void ForEachPicture(std::int64_t pictures, const Work& work) {
  at::parallel_for(0, pictures, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch;
    for (std::int64_t picture = begin; picture < end; ++picture) work(picture, scratch);
  });
}

// Depthwise convolution as one differentiable step, with ReLU6 where asked: the clamp costs no pass of its own.
class Depthwise : public torch::autograd::Function<Depthwise> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, std::int64_t stride, bool relu6) {
    const auto kernel = static_cast<int>(weight.size(2));
    const DepthwiseShape shape = ShapeOf(x, kernel, static_cast<int>(stride));
    const at::Tensor pictures = ChannelsLast(x);
    const at::Tensor by_place = weight.reshape({shape.channels, std::int64_t{kernel} * kernel}).t().contiguous();
    const at::Tensor shift = bias.contiguous();
    at::Tensor y = at::empty({x.size(0), shape.channels, shape.out_height, shape.out_width}, x.options(),
                             at::MemoryFormat::ChannelsLast);
    const float* in = pictures.const_data_ptr<float>();
    const float* w = by_place.const_data_ptr<float>();
    const float* b = shift.const_data_ptr<float>();
    float* out = y.mutable_data_ptr<float>();
    ForEachPicture(x.size(0), [&](std::int64_t n, std::vector<float>& scratch) {
      DepthwiseForward(shape, in + n * InSize(shape), w, b, relu6, out + n * OutSize(shape), scratch);
    });
    context->save_for_backward({pictures, by_place, relu6 ? y : at::Tensor()});
    context->saved_data["stride"] = stride;
    context->saved_data["kernel"] = std::int64_t{kernel};
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const auto kernel = static_cast<int>(context->saved_data["kernel"].toInt());
    const DepthwiseShape shape = ShapeOf(x, kernel, static_cast<int>(context->saved_data["stride"].toInt()));
    const std::int64_t pictures = x.size(0);
    at::Tensor dy = ChannelsLast(gradients[0]);
    if (saved[2].defined()) dy = at::hardtanh_backward(dy, saved[2], 0.0, 6.0);
    const float* out = dy.const_data_ptr<float>();

    at::Tensor dx;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      float* in = dx.mutable_data_ptr<float>();
      const float* w = weight.const_data_ptr<float>();
      ForEachPicture(pictures, [&](std::int64_t n, std::vector<float>& scratch) {
        DepthwiseBackwardInput(shape, out + n * OutSize(shape), w, in + n * InSize(shape), scratch);
      });
    }
    at::Tensor dw;
    at::Tensor dbias;
    if (context->needs_input_grad(1) || context->needs_input_grad(2)) {
      // One share a picture, added in picture order: the same bits on any number of threads.
      const std::int64_t places = std::int64_t{kernel} * kernel;
      at::Tensor weight_shares = at::empty({pictures, places, shape.channels}, x.options());
      at::Tensor bias_shares = at::empty({pictures, shape.channels}, x.options());
      const float* in = x.const_data_ptr<float>();
      float* to_weight = weight_shares.mutable_data_ptr<float>();
      float* to_bias = bias_shares.mutable_data_ptr<float>();
      ForEachPicture(pictures, [&](std::int64_t n, std::vector<float>& scratch) {
        DepthwiseBackwardWeight(shape, in + n * InSize(shape), out + n * OutSize(shape),
                                to_weight + n * places * shape.channels, to_bias + n * shape.channels, scratch);
      });
      for (std::int64_t n = 1; n < pictures; ++n) {
        weight_shares[0].add_(weight_shares[n]);
        bias_shares[0].add_(bias_shares[n]);
      }
      dw = weight_shares[0].t().reshape({shape.channels, 1, kernel, kernel});
      dbias = bias_shares[0].clone();
    }
    return {dx, dw, dbias, at::Tensor(), at::Tensor()};
  }

 private:
  static std::int64_t InSize(const DepthwiseShape& s) { return s.in_height * s.in_width * s.channels; }
  static std::int64_t OutSize(const DepthwiseShape& s) { return s.out_height * s.out_width * s.channels; }
};

bool TakesOwnKernel(const at::Tensor& x, const at::Tensor& weight, int stride, std::int64_t groups,
                    Activation activation) {
  return activation != Activation::kRelu && groups == x.size(1) && weight.size(0) == groups &&
         weight.size(2) == weight.size(3) && x.is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && DepthwiseSupported(ShapeOf(x, static_cast<int>(weight.size(2)), stride));
}

}  // namespace

at::Tensor Activate(at::Tensor x, Activation activation) {
  if (activation == Activation::kRelu) at::relu_(x);
  if (activation == Activation::kRelu6) at::hardtanh_(x, 0.0, 6.0);
  return x;
}

SamePadding SamePaddingOf(std::int64_t length, int kernel, int stride) {
  const std::int64_t out = (length + stride - 1) / stride;
  const std::int64_t zeros = std::max<std::int64_t>((out - 1) * stride + kernel - length, 0);
  return {zeros / 2, zeros - zeros / 2, out};
}

at::Tensor ConvolveSame(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int stride,
                        std::int64_t groups, Activation activation) {
  if (TakesOwnKernel(x, weight, stride, groups, activation)) {
    const at::Tensor shift = bias.defined() ? bias : at::zeros({groups}, weight.options());
    return Depthwise::apply(x, weight, shift, std::int64_t{stride}, activation == Activation::kRelu6);
  }
  const SamePadding rows = SamePaddingOf(x.size(2), static_cast<int>(weight.size(2)), stride);
  const SamePadding columns = SamePaddingOf(x.size(3), static_cast<int>(weight.size(3)), stride);
  const bool even = rows.before == rows.after && columns.before == columns.after;
  // Only even padding can be left to the convolution itself.
  const at::Tensor padded =
      even ? x : at::constant_pad_nd(x, {columns.before, columns.after, rows.before, rows.after}, 0);
  const std::vector<std::int64_t> padding = {even ? rows.before : 0, even ? columns.before : 0};
  return Activate(at::conv2d(padded, weight, bias, {stride, stride}, padding, {1, 1}, groups), activation);
}

at::Tensor ConvolveSymmetric(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int stride,
                             std::int64_t groups, Activation activation) {
  const std::vector<std::int64_t> padding = {weight.size(2) / 2, weight.size(3) / 2};
  return Activate(at::conv2d(x, weight, bias, {stride, stride}, padding, {1, 1}, groups), activation);
}

FoldedConvolution FoldBatchNorm(const at::Tensor& weight, const FrozenBatchNorm& norm, double epsilon) {
  const at::Tensor scale = norm.gamma / (norm.variance + epsilon).sqrt();
  return {weight * scale.view({-1, 1, 1, 1}), norm.beta - norm.mean * scale};
}

at::Tensor StandardiseWeight(const at::Tensor& weight) {
  constexpr double kEpsilon = 1e-10;
  const at::Tensor centred = weight - weight.mean({1, 2, 3}, /*keepdim=*/true);
  const at::Tensor variance = centred.square().mean({1, 2, 3}, /*keepdim=*/true);
  return centred / (variance + kEpsilon).sqrt();
}

}  // namespace hemafed::learning
