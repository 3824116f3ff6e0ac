// SPDX-License-Identifier: Apache-2.0
#include "learning/models/model_file.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "learning/models/tensor_file.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kOwner = "the model";  // In messages.

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

std::string RequireMetadata(const SafetensorsReader& reader, std::string_view key) {
  const auto found = reader.metadata().find(std::string(key));
  if (found == reader.metadata().end()) {
    Fail(reader.where() + " has no metadata '" + std::string(key) +
         "'; make it with scripts/import_weights.py or hemafed-train init-weights");
  }
  return found->second;
}

// Architectures that had one normalisation only leave it unsaid.
bool SaysNormalisation(Architecture architecture, Normalisation normalisation) {
  const bool had_one_only = architecture == Architecture::kEfficientNetLite0 || architecture == Architecture::kSmallCnn;
  return !had_one_only || normalisation != NormalisationOf(architecture);
}

// One way of saying it only, so that equal models have equal digests.
Normalisation NormalisationIn(const SafetensorsReader& reader, Architecture architecture) {
  if (!reader.metadata().contains(std::string(kNormalisationKey)) &&
      !SaysNormalisation(architecture, NormalisationOf(architecture))) {
    return NormalisationOf(architecture);
  }
  return NormalisationFromName(RequireMetadata(reader, kNormalisationKey));
}

std::int64_t ClassesIn(const SafetensorsReader& reader) {
  const TensorInfo* head = reader.Find(kHeadWeight);
  if (head == nullptr) return 0;
  if (head->shape.size() != 2 || head->shape[0] < 1 || head->shape[0] > kMaxHeadClasses) {
    Fail(reader.where() + ": tensor 'head.weight' is not a matrix of 1 to " + std::to_string(kMaxHeadClasses) +
         " rows");
  }
  return head->shape[0];
}

void FillKaimingUniform(at::Tensor& weight, std::uint64_t seed, std::uint32_t index) {
  const std::int64_t fan_in = weight.numel() / weight.size(0);
  const double bound = std::sqrt(6.0 / static_cast<double>(fan_in));
  const auto elements = static_cast<std::uint32_t>(weight.numel());
  float* out = weight.mutable_data_ptr<float>();
  for (std::uint32_t first = 0; first < elements; first += 4) {
    const PhiloxBlock words = Philox4x32(seed, {first / 4, index, 0, 0});
    for (std::uint32_t i = 0; i < 4 && first + i < elements; ++i) {
      out[first + i] = static_cast<float>(bound * (2.0 * ((words[i] >> 8) * 0x1p-24) - 1.0));
    }
  }
}

}  // namespace

Classifier LoadModel(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  const Architecture architecture = ArchitectureFromName(RequireMetadata(reader, kArchitectureKey));
  const std::string width = std::to_string(FeatureWidth(architecture));
  if (RequireMetadata(reader, kFeatureWidthKey) != width) {
    Fail(reader.where() + ": metadata '" + std::string(kFeatureWidthKey) + "' is not " + width);
  }
  const Normalisation normalisation = NormalisationIn(reader, architecture);
  const std::vector<TensorSpec> specs = TensorsOf(architecture, ClassesIn(reader), normalisation);
  std::vector<std::string> names;
  std::vector<NamedTensor> tensors;
  for (const TensorSpec& spec : specs) {
    names.push_back(spec.name);
    tensors.push_back({spec.name, ReadTensor(reader, spec.name, spec.shape, kOwner)});
  }
  RequireNoOther(reader, names, kOwner);
  return Classifier(architecture, std::move(tensors), normalisation);
}

Digest SaveModel(FileSystem& files, const Path& path, const Classifier& model,
                 const std::map<std::string, std::string>& notes) {
  std::map<std::string, std::string> metadata = notes;
  for (const std::string_view key : {kArchitectureKey, kFeatureWidthKey, kNormalisationKey}) {
    if (notes.contains(std::string(key))) Fail("notes for " + path.string() + " set '" + std::string(key) + "'");
  }
  metadata[std::string(kArchitectureKey)] = ArchitectureName(model.architecture());
  metadata[std::string(kFeatureWidthKey)] = std::to_string(model.feature_width());
  if (SaysNormalisation(model.architecture(), model.normalisation())) {
    metadata[std::string(kNormalisationKey)] = NormalisationName(model.normalisation());
  }
  return WriteTensors(files, path, model.tensors(), metadata, kOwner);
}

Classifier InitialModel(Architecture architecture, std::uint64_t seed) {
  return InitialModel(architecture, seed, NormalisationOf(architecture));
}

Classifier InitialModel(Architecture architecture, std::uint64_t seed, Normalisation normalisation) {
  if (normalisation == Normalisation::kBatchFrozen) {
    Fail(std::string(ArchitectureName(architecture)) +
         " does not learn from random weights with frozen batch norm; import its weights with "
         "scripts/import_weights.py, or choose another normalisation (group_ws)");
  }
  std::vector<NamedTensor> tensors;
  std::uint32_t index = 0;
  for (const TensorSpec& spec : TensorsOf(architecture, 0, normalisation)) {
    at::Tensor value = at::zeros(spec.shape, at::kFloat);
    if (spec.role == TensorRole::kAffine && spec.name.ends_with(".weight")) value.fill_(1.0);
    if (spec.name.ends_with(".running_var")) value.fill_(1.0);
    if (spec.role == TensorRole::kWeight) FillKaimingUniform(value, seed, index);
    tensors.push_back({spec.name, std::move(value)});
    if (spec.role != TensorRole::kBuffer) ++index;
  }
  return Classifier(architecture, std::move(tensors), normalisation);
}

Digest WriteInitialModel(FileSystem& files, const Path& path, Architecture architecture, std::uint64_t seed) {
  return WriteInitialModel(files, path, architecture, seed, NormalisationOf(architecture));
}

Digest WriteInitialModel(FileSystem& files, const Path& path, Architecture architecture, std::uint64_t seed,
                         Normalisation normalisation) {
  return SaveModel(files, path, InitialModel(architecture, seed, normalisation),
                   {{"hemafed.initial_seed", std::to_string(seed)}});
}

}  // namespace hemafed::learning
