// SPDX-License-Identifier: Apache-2.0
#include "learning/models/classifier.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

std::string ShapeText(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// The number of classes is whatever the head says; its shape is checked with the others.
std::int64_t ClassesOf(const std::map<std::string, at::Tensor>& tensors) {
  const auto head = tensors.find(std::string(kHeadWeight));
  if (head == tensors.end()) return 0;
  if (head->second.dim() != 2) Fail("tensor 'head.weight' is not a matrix");
  return head->second.size(0);
}

void CheckTensor(const TensorSpec& spec, const std::map<std::string, at::Tensor>& tensors, at::ScalarType type) {
  const auto found = tensors.find(spec.name);
  if (found == tensors.end()) Fail("tensor '" + spec.name + "' is missing");
  const at::Tensor& value = found->second;
  if (value.scalar_type() != type) Fail("tensor '" + spec.name + "' has another type than the rest of the model");
  if (value.sizes() != at::IntArrayRef(spec.shape)) {
    Fail("tensor '" + spec.name + "' has shape " + ShapeText(value.sizes()) + " instead of " + ShapeText(spec.shape));
  }
}

}  // namespace

Classifier::Classifier(Architecture architecture, std::vector<NamedTensor> tensors) : architecture_(architecture) {
  std::map<std::string, at::Tensor> by_name;
  for (NamedTensor& tensor : tensors) {
    if (!tensor.value.defined()) Fail("tensor '" + tensor.name + "' has no value");
    if (!by_name.emplace(tensor.name, std::move(tensor.value)).second)
      Fail("tensor '" + tensor.name + "' occurs twice");
  }
  classes_ = ClassesOf(by_name);
  if (classes_ == 0 && by_name.contains(std::string(kHeadWeight))) Fail("tensor 'head.weight' has no rows");
  const at::ScalarType type = by_name.empty() ? at::kFloat : by_name.begin()->second.scalar_type();
  if (type != at::kFloat && type != at::kDouble) {
    Fail("tensor '" + by_name.begin()->first + "' is neither float32 nor float64");
  }
  for (const TensorSpec& spec : TensorsOf(architecture, classes_)) {
    CheckTensor(spec, by_name, type);
    tensors_.push_back({spec.name, by_name.at(spec.name)});
  }
  if (by_name.size() != tensors_.size()) {
    const auto known = [&](const std::string& name) {
      return std::any_of(tensors_.begin(), tensors_.end(), [&](const NamedTensor& t) { return t.name == name; });
    };
    for (const auto& [name, value] : by_name) {
      if (!known(name)) Fail("tensor '" + name + "' does not belong to " + std::string(ArchitectureName(architecture)));
    }
  }
  trunk_ = MakeTrunk(architecture, by_name);
  if (classes_ > 0) {
    head_weight_ = by_name.at(std::string(kHeadWeight));
    head_bias_ = by_name.at(std::string(kHeadBias));
  }
}

Classifier Classifier::Clone(at::ScalarType type) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    copies.push_back({tensor.name, tensor.value.detach().to(type, /*non_blocking=*/false, /*copy=*/true)});
  }
  return Classifier(architecture_, std::move(copies));
}

void Classifier::RequirePictures(const at::Tensor& pictures) const {
  if (pictures.dim() != 4 || pictures.size(1) != 3 || pictures.size(2) < 1 || pictures.size(3) < 1) {
    Fail("pictures have shape " + ShapeText(pictures.sizes()) + " instead of [N, 3, height, width]");
  }
}

at::Tensor Classifier::TrunkBefore(const at::Tensor& pictures) const {
  RequirePictures(pictures);
  return trunk_->Before(pictures);
}

at::Tensor Classifier::TrunkAfter(const at::Tensor& activations) const { return trunk_->After(activations); }

at::Tensor Classifier::Features(const at::Tensor& pictures) const { return TrunkAfter(TrunkBefore(pictures)); }

at::Tensor Classifier::Head(const at::Tensor& features) const {
  if (classes_ == 0) Fail("the model has no head yet: it knows no class");
  return at::linear(features, head_weight_, head_bias_);
}

at::Tensor Classifier::Forward(const at::Tensor& pictures) const { return Head(Features(pictures)); }

std::vector<NamedTensor> Classifier::BeginTraining(bool freeze_affine) {
  std::vector<NamedTensor> trained;
  const std::vector<TensorSpec> specs = TensorsOf(architecture_, classes_);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const bool trains =
        specs[i].role != TensorRole::kBuffer && !(freeze_affine && specs[i].role == TensorRole::kAffine);
    tensors_[i].value.requires_grad_(trains);
    if (trains) trained.push_back(tensors_[i]);
  }
  return trained;
}

void Classifier::EndTraining() {
  for (NamedTensor& tensor : tensors_) {
    tensor.value.requires_grad_(false);
    tensor.value.mutable_grad().reset();
  }
}

std::int64_t ParameterCount(const Classifier& model) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : TensorsOf(model.architecture(), model.classes())) {
    if (spec.role == TensorRole::kBuffer) continue;
    std::int64_t values = 1;
    for (const std::int64_t side : spec.shape) values *= side;
    count += values;
  }
  return count;
}

}  // namespace hemafed::learning
