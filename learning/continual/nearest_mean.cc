// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/nearest_mean.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/continual/training_step.h"

namespace hemafed::learning {

at::Tensor LengthOne(const at::Tensor& rows) {
  const at::Tensor length = rows.square().sum(-1, true).sqrt();
  return rows / at::where(length > 0, length, at::ones_like(length));
}

ExemplarMeans MeansOfExemplars(const Classifier& model, Memory& memory, bool by_domain, std::uint32_t batch) {
  if (memory.keys.empty()) {
    throw Error(ErrorCode::kConflict, "prediction by nearest mean needs exemplars, and none are stored");
  }
  const at::NoGradGuard no_gradients;
  std::map<std::pair<std::int64_t, std::string>, at::Tensor> sums;  // by (row, domain or nothing)
  for (std::size_t first = 0; first < memory.keys.size(); first += batch) {
    std::vector<std::uint32_t> indices(std::min<std::size_t>(batch, memory.keys.size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const at::Tensor images = memory.view.Get(indices, std::nullopt).images.to(DeviceOf(model));
    const at::Tensor features = LengthOne(model.Features(images).to(at::kCPU, at::kDouble));
    for (std::size_t k = 0; k < indices.size(); ++k) {
      const std::uint32_t item = indices[k];
      const at::Tensor row = features[static_cast<std::int64_t>(k)];
      const auto [place, fresh] = sums.try_emplace(
          {memory.view.Label(item), by_domain ? memory.keys[item].domain : std::string()}, row.clone());
      if (!fresh) place->second.add_(row);
    }
  }
  ExemplarMeans result;
  std::vector<at::Tensor> means;
  for (const auto& [key, sum] : sums) {
    means.push_back(LengthOne(sum));  // Dividing by the count first would not change the direction.
    result.rows.push_back(key.first);
  }
  result.means = at::stack(means);
  return result;
}

at::Tensor NearestMeanScores(const ExemplarMeans& means, const at::Tensor& features, std::int64_t classes) {
  const at::Tensor rows = LengthOne(features.to(at::kCPU, at::kDouble));
  at::Tensor scores = at::full({rows.size(0), classes}, -std::numeric_limits<double>::infinity(), at::kDouble);
  for (std::size_t l = 0; l < means.rows.size(); ++l) {
    const at::Tensor distance = (rows - means.means[static_cast<std::int64_t>(l)]).square().sum(1).sqrt();
    at::Tensor column = scores.select(1, means.rows[l]);
    column.copy_(at::maximum(column, -distance));
  }
  return scores;
}

}  // namespace hemafed::learning
