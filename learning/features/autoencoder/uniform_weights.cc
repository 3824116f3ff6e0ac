// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/uniform_weights.h"

#include <ATen/ATen.h>

#include <cmath>

#include "common/random.h"

namespace hemafed::learning {

void FillUniform(at::Tensor& weight, std::int64_t fan_in, std::uint64_t seed, std::uint32_t tensor) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  const auto elements = static_cast<std::uint32_t>(weight.numel());
  float* out = weight.mutable_data_ptr<float>();
  for (std::uint32_t first = 0; first < elements; first += 4) {
    const PhiloxBlock words = Philox4x32(seed, {first / 4, tensor, 0, 0});
    for (std::uint32_t i = 0; i < 4 && first + i < elements; ++i) {
      out[first + i] = static_cast<float>(bound * (2.0 * ((words[i] >> 8) * 0x1p-24) - 1.0));
    }
  }
}

}  // namespace hemafed::learning
