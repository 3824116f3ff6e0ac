// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/head_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "codec/head_growth.h"
#include "common/error.h"

namespace hemafed::learning {

Classifier WithHeadRows(const Classifier& model, std::int64_t classes, std::uint64_t seed, std::uint32_t task) {
  const std::int64_t old = model.classes();
  if (classes < std::max<std::int64_t>(old, 1) || classes > std::int64_t{kMaxHeadClasses}) {
    throw Error(ErrorCode::kInvalidInput, "a head of " + std::to_string(old) + " rows cannot be given " +
                                              std::to_string(classes) + "; at most " + std::to_string(kMaxHeadClasses) +
                                              " are allowed");
  }
  const std::int64_t width = model.feature_width();
  at::Tensor weight = at::zeros({classes, width}, at::kFloat);
  at::Tensor bias = at::zeros({classes}, at::kFloat);
  for (std::int64_t row = old; row < classes; ++row) {
    const std::vector<float> values =
        NewHeadRow(seed, task, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(width));
    std::copy(values.begin(), values.end(), weight.mutable_data_ptr<float>() + row * width);
  }
  std::vector<NamedTensor> tensors;
  at::ScalarType type = at::kFloat;
  for (const NamedTensor& tensor : model.tensors()) {
    const at::Tensor value = tensor.value.detach();
    type = value.scalar_type();
    if (tensor.name == kHeadWeight || tensor.name == kHeadBias) continue;
    tensors.push_back({tensor.name, value.clone()});
  }
  weight = weight.to(type);
  bias = bias.to(type);
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == kHeadWeight) weight.narrow(0, 0, old).copy_(tensor.value.detach());
    if (tensor.name == kHeadBias) bias.narrow(0, 0, old).copy_(tensor.value.detach());
  }
  tensors.push_back({std::string(kHeadWeight), std::move(weight)});
  tensors.push_back({std::string(kHeadBias), std::move(bias)});
  return Classifier(model.architecture(), std::move(tensors));
}

void CopyValues(const Classifier& from, Classifier& to) {
  const at::NoGradGuard no_gradients;
  if (from.tensors().size() != to.tensors().size()) {
    throw Error(ErrorCode::kInvalidInput, "values can only be copied between models of the same architecture");
  }
  for (std::size_t i = 0; i < to.tensors().size(); ++i) {
    at::Tensor target = to.tensors()[i].value;
    if (target.sizes() != from.tensors()[i].value.sizes()) {
      throw Error(ErrorCode::kInvalidInput,
                  "tensor '" + to.tensors()[i].name + "' has another shape in the other model");
    }
    target.copy_(from.tensors()[i].value);
  }
}

}  // namespace hemafed::learning
