// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/stored_logits.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "common/error.h"
#include "learning/continual/training_step.h"

namespace hemafed::learning {

std::vector<std::vector<float>> LogitsOf(
    const Classifier& model, BatchSource& source, std::span<const std::uint32_t> positions, std::uint32_t batch,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& on_pictures) {
  const at::NoGradGuard no_gradients;
  std::vector<std::vector<float>> answers;
  for (std::size_t first = 0; first < positions.size(); first += batch) {
    const std::span<const std::uint32_t> part =
        positions.subspan(first, std::min<std::size_t>(batch, positions.size() - first));
    const at::Tensor images = source.Get(part, std::nullopt).images.to(DeviceOf(model));
    const at::Tensor logits = model.Forward(images).to(at::kCPU, at::kFloat).contiguous();
    const float* row = logits.const_data_ptr<float>();
    for (std::size_t k = 0; k < part.size(); ++k, row += logits.size(1))
      answers.emplace_back(row, row + logits.size(1));
    if (on_pictures) on_pictures(first + part.size(), positions.size());
  }
  return answers;
}

at::Tensor LogitDistance(const at::Tensor& logits, const std::vector<std::vector<float>>& stored,
                         bool sum_over_classes) {
  if (logits.dim() != 2 || static_cast<std::size_t>(logits.size(0)) != stored.size()) {
    throw Error(ErrorCode::kInvalidInput, "DER++ needs one list of stored logits for each picture of the batch");
  }
  at::Tensor target = at::zeros_like(logits, at::TensorOptions().dtype(at::kFloat).device(at::kCPU));
  at::Tensor weight = at::zeros_like(target);
  const auto pictures = static_cast<double>(
      std::count_if(stored.begin(), stored.end(), [](const std::vector<float>& list) { return !list.empty(); }));
  for (std::size_t n = 0; n < stored.size(); ++n) {
    const auto known = static_cast<std::int64_t>(stored[n].size());
    if (known == 0) continue;
    if (known > logits.size(1)) {
      throw Error(ErrorCode::kInvalidInput, "DER++ stored logits of more classes than the model knows");
    }
    const auto row = static_cast<std::int64_t>(n);
    target[row].narrow(0, 0, known).copy_(at::tensor(stored[n], at::kFloat));
    weight[row].narrow(0, 0, known).fill_(1.0 / (pictures * (sum_over_classes ? 1.0 : static_cast<double>(known))));
  }
  const at::Tensor difference = logits - target.to(logits.options());
  return (weight.to(logits.options()) * difference * difference).sum();
}

}  // namespace hemafed::learning
