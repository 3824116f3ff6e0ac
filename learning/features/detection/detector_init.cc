// SPDX-License-Identifier: Apache-2.0
//
// First weights of a detector. Random values come from Philox: value e of a tensor from the stream that the seed and
// the tensor's name make, so the same weights result whatever else a detector consists of.
//
//     pyramid                        uniform within sqrt(3 / fan_in), torchvision's kaiming_uniform with a = 1
//     RPN                            normal, deviation 0.01
//     box head and its predictors    uniform within 1 / sqrt(fan_in), LibTorch's default for linear layers
//     mask head                      normal, deviation sqrt(2 / fan_out)
//     body, where none is given      normal, deviation sqrt(2 / fan_out)
//     biases                         0, those of linear layers too (LibTorch: random)
//     norms                          scale 1, shift 0, mean 0, variance 1
//
// Where no body is given, the last norm of each residual branch has scale 0.
#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/detection/body_plan.h"
#include "learning/features/detection/detector.h"

namespace hemafed::learning {

namespace {

constexpr double kRpnDeviation = 0.01;
const std::string kBodyPrefix = "backbone.body.";

std::int64_t FanIn(const DetectorTensor& tensor) {
  std::int64_t fan = 1;
  for (std::size_t i = 1; i < tensor.shape.size(); ++i) fan *= tensor.shape[i];
  return fan;
}

std::int64_t FanOut(const DetectorTensor& tensor) {
  std::int64_t fan = tensor.shape[0];
  for (std::size_t i = 2; i < tensor.shape.size(); ++i) fan *= tensor.shape[i];
  return fan;
}

// The norms whose scale starts at 0: then a random residual network is the identity at first and nothing explodes.
std::set<std::string> LastNorms(const DetectorSettings& settings) {
  std::set<std::string> names;
  for (const BodyBlock& block : BodyPlanOf(settings.form, settings.body).blocks) {
    if (block.adds) names.insert(block.branch.back().norm + ".weight");
  }
  return names;
}

at::Tensor Uniform(const DetectorTensor& tensor, double bound, RandomStream& random) {
  at::Tensor values = at::empty(tensor.shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(random.NextBetween(-bound, bound));
  return values;
}

at::Tensor Normal(const DetectorTensor& tensor, double deviation, RandomStream& random) {
  at::Tensor values = at::empty(tensor.shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(deviation * random.NextNormal());
  return values;
}

at::Tensor FirstWeight(const DetectorTensor& tensor, std::uint64_t seed) {
  RandomStream random(DeriveSeed(seed, "detector." + tensor.name));
  switch (tensor.part) {
    case DetectorPart::kPyramid: return Uniform(tensor, std::sqrt(3.0 / static_cast<double>(FanIn(tensor))), random);
    case DetectorPart::kRpn: return Normal(tensor, kRpnDeviation, random);
    case DetectorPart::kBoxHead: return Uniform(tensor, 1.0 / std::sqrt(static_cast<double>(FanIn(tensor))), random);
    case DetectorPart::kMaskHead:
    case DetectorPart::kBody: return Normal(tensor, std::sqrt(2.0 / static_cast<double>(FanOut(tensor))), random);
  }
  throw Error(ErrorCode::kInternal, "a part of a detector without first weights");
}

at::Tensor FirstValue(const DetectorTensor& tensor, std::uint64_t seed, const std::set<std::string>& last_norms) {
  if (tensor.role == DetectorRole::kWeight) return FirstWeight(tensor, seed);
  const bool scale = tensor.role == DetectorRole::kAffine && tensor.name.ends_with(".weight");
  const bool variance = tensor.name.ends_with(".running_var");
  if ((scale && !last_norms.contains(tensor.name)) || variance) return at::ones(tensor.shape, at::kFloat);
  return at::zeros(tensor.shape, at::kFloat);
}

}  // namespace

Detector InitialDetector(const DetectorSettings& settings, std::uint64_t seed, const std::vector<NamedTensor>& body) {
  std::map<std::string, at::Tensor> given;
  for (const NamedTensor& tensor : body) given.emplace(kBodyPrefix + tensor.name, tensor.value);
  const std::set<std::string> last_norms = LastNorms(settings);
  std::vector<NamedTensor> tensors;
  for (const DetectorTensor& spec : DetectorTensors(settings)) {
    const auto found = given.find(spec.name);
    if (spec.part == DetectorPart::kBody && !body.empty()) {
      // Classifiers have no biases in their convolutions; the published form starts with zeros there.
      if (found == given.end() && spec.role != DetectorRole::kBias) {
        throw Error(ErrorCode::kInvalidInput, "the weights given for the body have no tensor '" +
                                                  spec.name.substr(kBodyPrefix.size()) +
                                                  "'; they are of another network");
      }
      if (found != given.end()) {
        tensors.push_back({spec.name, found->second.detach().to(at::kCPU, at::kFloat).clone()});
        continue;
      }
    }
    tensors.push_back(
        {spec.name, FirstValue(spec, seed, spec.part == DetectorPart::kBody ? last_norms : std::set<std::string>{})});
  }
  return {settings, std::move(tensors)};
}

}  // namespace hemafed::learning
