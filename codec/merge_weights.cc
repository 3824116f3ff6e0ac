// SPDX-License-Identifier: Apache-2.0
#include "codec/merge_weights.h"

#include <string>

#include "codec/integer_weights.h"
#include "codec/plan.h"
#include "common/error.h"

namespace hemafed {

MergeWeights DistillationWeights(const std::vector<std::uint64_t>& pictures,
                                 const std::vector<std::vector<std::uint64_t>>& sensitivities, double max_share) {
  if (pictures.empty() || pictures.size() != sensitivities.size()) {
    throw Error(ErrorCode::kInvalidInput, "there are sensitivities of " + std::to_string(sensitivities.size()) +
                                              " sites and pictures of " + std::to_string(pictures.size()));
  }
  const std::size_t tensors = sensitivities.front().size();
  for (std::size_t k = 0; k < pictures.size(); ++k) {
    const std::string site = "site " + std::to_string(k);
    if (pictures[k] > kMaxPictures) {
      throw Error(ErrorCode::kInvalidInput, site + " claims more pictures than a plan allows");
    }
    if (sensitivities[k].size() != tensors) {
      throw Error(ErrorCode::kInvalidInput, site + " gives " + std::to_string(sensitivities[k].size()) +
                                                " sensitivities, site 0 " + std::to_string(tensors));
    }
    for (std::size_t l = 0; l < tensors; ++l) {
      if (sensitivities[k][l] < kMinSensitivity || sensitivities[k][l] > kMaxSensitivity) {
        throw Error(ErrorCode::kInvalidInput,
                    "the sensitivity of tensor " + std::to_string(l) + " at " + site + " is not between 1 and 2^52");
      }
    }
  }
  MergeWeights weights;
  for (std::size_t l = 0; l < tensors; ++l) {
    std::vector<Int128> amounts;
    for (std::size_t k = 0; k < pictures.size(); ++k) {
      amounts.push_back(static_cast<Int128>(pictures[k]) * static_cast<Int128>(sensitivities[k][l]));
    }
    weights.rows.push_back(IntegerWeightsOfAmounts(amounts, max_share));
  }
  return weights;
}

}  // namespace hemafed
