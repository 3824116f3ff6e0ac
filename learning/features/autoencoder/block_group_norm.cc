// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/block_group_norm.h"

#include <ATen/ATen.h>

#include <string>

#include "common/error.h"

namespace hemafed::learning {

at::Tensor BlockGroupNorm(const at::Tensor& x, std::int64_t groups, const at::Tensor& gamma, const at::Tensor& beta,
                          double epsilon) {
  if (x.dim() != 4 || gamma.dim() != 1 || beta.dim() != 1 || gamma.size(0) != x.size(1) || beta.size(0) != x.size(1)) {
    throw Error(ErrorCode::kInvalidInput, "block group norm: x must be [N, C, H, W], scale and shift [C]");
  }
  const std::int64_t values = x.size(1) * x.size(2) * x.size(3);
  if (groups < 1 || values % groups != 0 || values / groups < 2) {
    throw Error(ErrorCode::kInvalidInput, "block group norm: " + std::to_string(values) +
                                              " values a sample cannot be cut into " + std::to_string(groups) +
                                              " blocks of equal length of at least 2");
  }
  const at::Tensor blocks = x.contiguous().view({x.size(0), groups, values / groups});
  const auto [variance, mean] = at::var_mean(blocks, /*dim=*/{2}, /*correction=*/1, /*keepdim=*/true);
  const at::Tensor normal = ((blocks - mean) * (variance + epsilon).rsqrt()).view(x.sizes());
  return at::addcmul(beta.view({1, -1, 1, 1}), normal, gamma.view({1, -1, 1, 1}));
}

}  // namespace hemafed::learning
