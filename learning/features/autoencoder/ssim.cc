// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/ssim.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

// [places, length]: row o holds the taps over the pixels o - w / 2 .. o - w / 2 + w - 1; those outside meet zeros.
at::Tensor Band(const at::Tensor& taps, std::int64_t length, const at::Tensor& like) {
  const std::int64_t window = taps.size(0);
  const std::int64_t padding = window / 2;
  const std::int64_t places = length + 2 * padding - window + 1;
  at::Tensor band = at::zeros({places, length}, at::kDouble);
  double* out = band.mutable_data_ptr<double>();
  const double* tap = taps.const_data_ptr<double>();
  for (std::int64_t o = 0; o < places; ++o) {
    for (std::int64_t i = std::max<std::int64_t>(0, padding - o); i < window && o + i - padding < length; ++i) {
      out[o * length + o + i - padding] = tap[i];
    }
  }
  return band.to(like.device(), like.scalar_type());
}

}  // namespace

void CheckSsim(const SsimSettings& settings) {
  const auto require = [](bool holds, const std::string& rule) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, "structural similarity: " + rule);
  };
  require(settings.window >= 1 && settings.window <= kMaxSsimWindow && settings.sigma > 0.0 &&
              std::isfinite(settings.sigma),
          "the window must have 1 to " + std::to_string(kMaxSsimWindow) + " taps and a sigma above 0");
  for (const double constant : {settings.c1, settings.c2}) {
    require(constant >= kLeastSsimConstant && constant <= 1.0, "C1 and C2 must be 1e-8 to 1");
  }
}

at::Tensor SsimTaps(const SsimSettings& settings) {
  CheckSsim(settings);
  at::Tensor taps = at::empty({settings.window}, at::kDouble);
  double* out = taps.mutable_data_ptr<double>();
  double sum = 0.0;
  for (std::int64_t i = 0; i < settings.window; ++i) {
    const auto distance = static_cast<double>(i - settings.window / 2);
    out[i] = std::exp(-distance * distance / (2.0 * settings.sigma * settings.sigma));
    sum += out[i];
  }
  return taps.div_(sum);
}

at::Tensor SsimMap(const at::Tensor& x, const at::Tensor& y, const SsimSettings& settings) {
  if (x.dim() != 4 || x.sizes() != y.sizes() || x.scalar_type() != y.scalar_type() || !x.is_floating_point() ||
      x.numel() == 0) {
    throw Error(ErrorCode::kInvalidInput, "structural similarity: both must be [N, C, H, W] and of one floating type");
  }
  const at::Tensor taps = SsimTaps(settings);
  const at::Tensor rows = Band(taps, x.size(2), x);
  const at::Tensor columns = Band(taps, x.size(3), x).t();
  const at::Tensor a = x.contiguous();
  const at::Tensor b = y.contiguous();
  // Each group is two large products, [k, N, C, H, W] x [W, W'], then [H', H] x that. The target's own group needs no
  // gradient in training.
  const auto filter = [&](at::TensorList pictures) {
    return at::matmul(rows, at::matmul(at::stack(pictures), columns));
  };
  const at::Tensor of_a = filter({a, a * a, a * b});
  const at::Tensor of_b = filter({b, b * b});
  const at::Tensor mean_a = of_a[0];
  const at::Tensor mean_b = of_b[0];
  const at::Tensor squares = mean_a * mean_a + mean_b * mean_b;
  const at::Tensor product = mean_a * mean_b;
  const at::Tensor variances = of_a[1] + of_b[1] - squares;
  const at::Tensor covariance = of_a[2] - product;
  return (2 * product + settings.c1) * (2 * covariance + settings.c2) /
         ((squares + settings.c1) * (variances + settings.c2));
}

at::Tensor Ssim(const at::Tensor& x, const at::Tensor& y, const SsimSettings& settings) {
  return SsimMap(x, y, settings).mean();
}

}  // namespace hemafed::learning
