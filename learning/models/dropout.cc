// SPDX-License-Identifier: Apache-2.0
#include "learning/models/dropout.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

void RequireDropoutProbability(double probability) {
  if (probability >= 0.0 && probability < 1.0) return;  // Refuses NaN too.
  throw Error(ErrorCode::kInvalidInput,
              "dropout probability " + std::to_string(probability) + " is outside 0 (included) to 1 (excluded)");
}

at::Tensor DropoutMask(std::uint64_t seed, std::uint32_t pass, std::span<const std::uint64_t> picture_keys,
                       std::int64_t channels, std::int64_t height, std::int64_t width, double probability) {
  RequireDropoutProbability(probability);
  const auto pictures = static_cast<std::int64_t>(picture_keys.size());
  const auto drop_below = static_cast<std::uint64_t>(std::floor(probability * 0x1p32));
  const auto kept = static_cast<float>(1.0 / (1.0 - probability));
  const std::int64_t elements = channels * height * width;
  at::Tensor mask = at::empty({pictures, channels, height, width}, at::kFloat);
  float* out = mask.mutable_data_ptr<float>();
  for (const std::uint64_t key : picture_keys) {
    PhiloxBlock counter{0, pass, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
    for (std::int64_t first = 0; first < elements; first += 4, ++counter[0]) {
      const PhiloxBlock words = Philox4x32(seed, counter);
      for (std::int64_t i = 0; i < 4 && first + i < elements; ++i) {
        *out++ = words[static_cast<std::size_t>(i)] < drop_below ? 0.0f : kept;
      }
    }
  }
  return mask.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace hemafed::learning
