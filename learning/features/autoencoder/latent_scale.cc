// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/latent_scale.h"

#include <algorithm>
#include <cmath>

#include "common/error.h"

namespace hemafed::learning {

void LatentScale::Apply(std::span<float> latent) const {
  if (latent.size() != mean.size()) throw Error(ErrorCode::kInternal, "a latent of another width than its scale");
  for (std::size_t i = 0; i < latent.size(); ++i) {
    latent[i] = std::clamp((latent[i] - mean[i]) / (kLatentSpread * deviation[i]), -1.0F, 1.0F);
  }
}

LatentScale ScaleOf(const LatentMoments& moments) {
  LatentScale scale;
  for (std::uint32_t i = 0; i < moments.width(); ++i) {
    scale.mean.push_back(static_cast<float>(moments.Mean(i)));
    const double variance = std::max(moments.Covariance(i, i), 0.0);
    scale.deviation.push_back(std::max(static_cast<float>(std::sqrt(variance)), kLeastLatentDeviation));
  }
  return scale;
}

}  // namespace hemafed::learning
