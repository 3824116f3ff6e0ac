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

void CheckTensor(const TensorSpec& spec, const std::map<std::string, at::Tensor>& tensors, const at::Tensor& like) {
  const auto found = tensors.find(spec.name);
  if (found == tensors.end()) Fail("tensor '" + spec.name + "' is missing");
  const at::Tensor& value = found->second;
  if (value.scalar_type() != like.scalar_type()) {
    Fail("tensor '" + spec.name + "' has another type than the rest of the model");
  }
  if (value.device() != like.device())
    Fail("tensor '" + spec.name + "' is on another device than the rest of the model");
  if (value.sizes() != at::IntArrayRef(spec.shape)) {
    Fail("tensor '" + spec.name + "' has shape " + ShapeText(value.sizes()) + " instead of " + ShapeText(spec.shape));
  }
}

}  // namespace

Classifier::Classifier(Architecture architecture, std::vector<NamedTensor> tensors)
    : Classifier(architecture, std::move(tensors), NormalisationOf(architecture)) {}

Classifier::Classifier(Architecture architecture, std::vector<NamedTensor> tensors, Normalisation normalisation)
    : architecture_(architecture), normalisation_(normalisation) {
  std::map<std::string, at::Tensor> by_name;
  for (NamedTensor& tensor : tensors) {
    if (!tensor.value.defined()) Fail("tensor '" + tensor.name + "' has no value");
    if (!by_name.emplace(tensor.name, std::move(tensor.value)).second)
      Fail("tensor '" + tensor.name + "' occurs twice");
  }
  classes_ = ClassesOf(by_name);
  if (classes_ == 0 && by_name.contains(std::string(kHeadWeight))) Fail("tensor 'head.weight' has no rows");
  if (by_name.empty()) Fail("a model without tensors");
  const at::Tensor like = by_name.begin()->second;
  if (like.scalar_type() != at::kFloat && like.scalar_type() != at::kDouble) {
    Fail("tensor '" + by_name.begin()->first + "' is neither float32 nor float64");
  }
  for (const TensorSpec& spec : TensorsOf(architecture, classes_, normalisation)) {
    CheckTensor(spec, by_name, like);
    tensors_.push_back({spec.name, by_name.at(spec.name)});
  }
  if (by_name.size() != tensors_.size()) {
    const auto known = [&](const std::string& name) {
      return std::any_of(tensors_.begin(), tensors_.end(), [&](const NamedTensor& t) { return t.name == name; });
    };
    for (const auto& [name, value] : by_name) {
      if (known(name)) continue;
      Fail("tensor '" + name + "' does not belong to " + std::string(ArchitectureName(architecture)) + " with " +
           std::string(NormalisationName(normalisation)));
    }
  }
  trunk_ = MakeTrunk(architecture, normalisation, by_name);
  if (classes_ > 0) {
    head_weight_ = by_name.at(std::string(kHeadWeight));
    head_bias_ = by_name.at(std::string(kHeadBias));
  }
}

Classifier Classifier::With(std::vector<NamedTensor> tensors, Normalisation normalisation) const {
  Classifier made(architecture_, std::move(tensors), normalisation);
  made.precision_ = precision_;
  return made;
}

Classifier Classifier::Clone(at::ScalarType type) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    copies.push_back({tensor.name, tensor.value.detach().to(type, /*non_blocking=*/false, /*copy=*/true)});
  }
  Classifier made = With(std::move(copies), normalisation_);
  if (type != at::kFloat) made.precision_ = Precision::kFloat32;
  return made;
}

Classifier Classifier::To(at::Device device) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    const at::Tensor value = tensor.value.detach();
    copies.push_back({tensor.name, value.to(device, value.scalar_type(), /*non_blocking=*/false, /*copy=*/true)});
  }
  return With(std::move(copies), normalisation_);
}

Classifier Classifier::WithNormalisation(Normalisation normalisation) const {
  std::map<std::string, at::Tensor> ours;
  for (const NamedTensor& tensor : tensors_) ours.emplace(tensor.name, tensor.value.detach());
  std::vector<NamedTensor> copies;
  for (const TensorSpec& spec : TensorsOf(architecture_, classes_, normalisation)) {
    const auto found = ours.find(spec.name);
    if (found != ours.end()) {
      copies.push_back({spec.name, found->second.clone()});
    } else {
      const double start = spec.name.ends_with(".running_var") ? 1.0 : 0.0;
      copies.push_back({spec.name, at::full(spec.shape, start, tensors_.front().value.options())});
    }
  }
  return With(std::move(copies), normalisation);
}

void Classifier::SetPrecision(Precision precision) {
  if (precision != Precision::kFloat32 && tensors_.front().value.scalar_type() != at::kFloat) {
    Fail("only a float32 model can compute with " + std::string(PrecisionName(precision)));
  }
  precision_ = precision;
}

void Classifier::RequirePictures(const at::Tensor& pictures) const {
  const std::int64_t channels = InputChannels(architecture_);
  if (pictures.dim() != 4 || pictures.size(1) != channels || pictures.size(2) < 1 || pictures.size(3) < 1) {
    Fail("pictures have shape " + ShapeText(pictures.sizes()) + " instead of [N, " + std::to_string(channels) +
         ", height, width]");
  }
  if (pictures.device() != device()) {
    Fail("pictures are on " + pictures.device().str() + ", the model is on " + device().str());
  }
}

at::Tensor Classifier::TrunkBefore(const at::Tensor& pictures) const {
  RequirePictures(pictures);
  const PrecisionScope scope(precision_, pictures.device().type());
  return trunk_->Before(pictures, phase_);
}

at::Tensor Classifier::TrunkAfter(const at::Tensor& activations) const {
  const PrecisionScope scope(precision_, activations.device().type());
  return trunk_->After(activations, phase_);
}

at::Tensor Classifier::Features(const at::Tensor& pictures) const { return TrunkAfter(TrunkBefore(pictures)); }

at::Tensor Classifier::Head(const at::Tensor& features) const {
  if (classes_ == 0) Fail("the model has no head yet: it knows no class");
  return at::linear(features, head_weight_, head_bias_);
}

at::Tensor Classifier::Forward(const at::Tensor& pictures) const { return Head(Features(pictures)); }

std::vector<NamedTensor> Classifier::BeginTraining(bool freeze_affine) {
  std::vector<NamedTensor> trained;
  const std::vector<TensorSpec> specs = TensorsOf(architecture_, classes_, normalisation_);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const bool trains =
        specs[i].role != TensorRole::kBuffer && !(freeze_affine && specs[i].role == TensorRole::kAffine);
    tensors_[i].value.requires_grad_(trains);
    if (trains) trained.push_back(tensors_[i]);
  }
  phase_ = Phase::kTraining;
  return trained;
}

void Classifier::EndTraining() {
  phase_ = Phase::kEvaluation;
  for (NamedTensor& tensor : tensors_) {
    tensor.value.requires_grad_(false);
    tensor.value.mutable_grad().reset();
  }
}

std::int64_t ParameterCount(const Classifier& model) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : TensorsOf(model.architecture(), model.classes(), model.normalisation())) {
    if (spec.role == TensorRole::kBuffer) continue;
    std::int64_t values = 1;
    for (const std::int64_t side : spec.shape) values *= side;
    count += values;
  }
  return count;
}

}  // namespace hemafed::learning
