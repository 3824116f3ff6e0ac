// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/random_features.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "codec/projection.h"

namespace hemafed::learning {

at::Tensor RandomProjection(std::uint64_t seed, std::uint32_t features, std::int64_t width) {
  at::Tensor projection = at::empty({std::int64_t{features}, width}, at::kDouble);
  const std::vector<float> matrix = ProjectionMatrix(seed, features, static_cast<std::uint32_t>(width));
  std::copy(matrix.begin(), matrix.end(), projection.mutable_data_ptr<double>());
  return projection;
}

at::Tensor Lift(const at::Tensor& projection, const at::Tensor& psi) {
  return psi.to(at::kCPU, at::kDouble).matmul(projection.t()).relu();
}

}  // namespace hemafed::learning
