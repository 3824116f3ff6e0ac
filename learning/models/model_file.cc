// SPDX-License-Identifier: Apache-2.0
#include "learning/models/model_file.h"

#include <ATen/ATen.h>

#include <bit>
#include <cmath>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "model files hold little-endian values");

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

// Names the first difference between what the file holds and what the architecture needs; both are sorted by name.
void CheckLayout(const SafetensorsReader& reader, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    const TensorInfo& info = reader.Require(spec.name);
    if (info.dtype != DType::kF32) Fail(reader.where() + ": tensor '" + spec.name + "' is not float32");
    if (info.shape != spec.shape)
      Fail(reader.where() + ": tensor '" + spec.name + "' has another shape than the model");
  }
  for (std::size_t i = 0; i < reader.tensors().size(); ++i) {
    const std::string& name = reader.tensors()[i].name;
    if (i >= specs.size() || name != specs[i].name) {
      Fail(reader.where() + ": tensor '" + name + "' does not belong to the model");
    }
  }
}

at::Tensor ReadTensor(const SafetensorsReader& reader, const TensorSpec& spec) {
  at::Tensor value = at::empty(spec.shape, at::kFloat);
  reader.Read(reader.Require(spec.name), 0,
              {static_cast<std::uint8_t*>(value.mutable_data_ptr()), static_cast<std::size_t>(value.nbytes())});
  if (!value.isfinite().all().item<bool>()) {
    Fail(reader.where() + ": tensor '" + spec.name + "' holds a value that is not a finite number");
  }
  if (spec.name.ends_with(".running_var") && value.lt(0).any().item<bool>()) {
    Fail(reader.where() + ": tensor '" + spec.name + "' holds a negative variance");
  }
  return value;
}

void FillKaimingUniform(at::Tensor& weight, std::uint64_t seed, std::uint32_t index) {
  const auto fan_in = static_cast<double>(weight.numel() / weight.size(0));
  const double bound = std::sqrt(6.0 / fan_in);
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
  CheckLayout(reader, specs);
  std::vector<NamedTensor> tensors;
  for (const TensorSpec& spec : specs) tensors.push_back({spec.name, ReadTensor(reader, spec)});
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
  std::vector<TensorInfo> infos;
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.value.scalar_type() != at::kFloat) Fail("cannot write " + path.string() + ": the model is not float32");
    infos.push_back({.name = tensor.name, .dtype = DType::kF32, .shape = tensor.value.sizes().vec()});
  }
  const Path beside = path.string() + ".tmp";
  SafetensorsWriter writer(files, beside, std::move(infos), metadata);
  for (const NamedTensor& tensor : model.tensors()) {
    const at::Tensor value = tensor.value.detach().cpu().contiguous();
    writer.Append(tensor.name, {static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  const Digest digest = writer.Finish();
  files.Rename(beside, path);
  files.SyncDirectory(path.parent_path().empty() ? Path(".") : path.parent_path());
  return digest;
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
