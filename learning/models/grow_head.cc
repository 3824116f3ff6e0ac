// SPDX-License-Identifier: Apache-2.0
#include "learning/models/grow_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "codec/head_growth.h"
#include "common/error.h"

namespace hemafed::learning {

namespace {

// float32 rows `begin` to `end` (excluded) of a head of `width` features.
at::Tensor NewRows(std::int64_t begin, std::int64_t end, std::int64_t width, std::uint64_t seed, std::uint32_t task) {
  at::Tensor rows = at::empty({end - begin, width}, at::kFloat);
  float* out = rows.mutable_data_ptr<float>();
  for (std::int64_t row = begin; row < end; ++row) {
    const std::vector<float> values =
        NewHeadRow(seed, task, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(width));
    out = std::copy(values.begin(), values.end(), out);
  }
  return rows;
}

}  // namespace

Classifier GrowHead(const Classifier& model, std::int64_t classes, std::uint64_t seed, std::uint32_t task) {
  const std::int64_t old = model.classes();
  if (classes < std::max<std::int64_t>(old, 1) || classes > kMaxHeadClasses) {
    throw Error(ErrorCode::kInvalidInput, "the model knows " + std::to_string(old) + " classes and cannot grow to " +
                                              std::to_string(classes) + "; possible are " +
                                              std::to_string(std::max<std::int64_t>(old, 1)) + " to " +
                                              std::to_string(kMaxHeadClasses));
  }
  const auto like = model.tensors().front().value.options();
  at::Tensor weight = NewRows(old, classes, model.feature_width(), seed, task).to(like);
  at::Tensor bias = at::zeros({classes - old}, like);
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& tensor : model.tensors()) {
    const at::Tensor value = tensor.value.detach();
    if (tensor.name == kHeadWeight) {
      weight = at::cat({value, weight});
    } else if (tensor.name == kHeadBias) {
      bias = at::cat({value, bias});
    } else {
      tensors.push_back({tensor.name, value.clone()});
    }
  }
  tensors.push_back({std::string(kHeadWeight), std::move(weight)});
  tensors.push_back({std::string(kHeadBias), std::move(bias)});
  Classifier grown(model.architecture(), std::move(tensors), model.normalisation());
  grown.SetPrecision(model.precision());
  return grown;
}

}  // namespace hemafed::learning
