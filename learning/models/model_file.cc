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
         "'; make it with scripts/import_weights.py or hemafed-train init");
  }
  return found->second;
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

}  // namespace

Classifier LoadModel(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  const Architecture architecture = ArchitectureFromName(RequireMetadata(reader, kArchitectureKey));
  const std::string width = std::to_string(FeatureWidth(architecture));
  if (RequireMetadata(reader, kFeatureWidthKey) != width) {
    Fail(reader.where() + ": metadata '" + std::string(kFeatureWidthKey) + "' is not " + width);
  }
  const std::vector<TensorSpec> specs = TensorsOf(architecture, ClassesIn(reader));
  CheckLayout(reader, specs);
  std::vector<NamedTensor> tensors;
  for (const TensorSpec& spec : specs) tensors.push_back({spec.name, ReadTensor(reader, spec)});
  return Classifier(architecture, std::move(tensors));
}

Digest SaveModel(FileSystem& files, const Path& path, const Classifier& model,
                 const std::map<std::string, std::string>& notes) {
  std::map<std::string, std::string> metadata = notes;
  metadata[std::string(kArchitectureKey)] = ArchitectureName(model.architecture());
  metadata[std::string(kFeatureWidthKey)] = std::to_string(model.feature_width());
  if (metadata.size() != notes.size() + 2) Fail("notes for " + path.string() + " set the name or width of the model");
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
  if (architecture == Architecture::kEfficientNetLite0) {
    Fail(
        "efficientnet_lite0 does not learn from random weights with frozen batch norm; import its weights with "
        "scripts/import_weights.py");
  }
  std::vector<NamedTensor> tensors;
  std::uint32_t index = 0;
  for (const TensorSpec& spec : TensorsOf(architecture, 0)) {
    at::Tensor value = at::zeros(spec.shape, at::kFloat);
    if (spec.role == TensorRole::kAffine && spec.name.ends_with(".weight")) value.fill_(1.0);
    if (spec.role == TensorRole::kWeight) {
      const auto fan_in = static_cast<double>(value.numel() / value.size(0));
      const double bound = std::sqrt(6.0 / fan_in);
      float* out = value.mutable_data_ptr<float>();
      for (std::uint32_t e = 0; e < static_cast<std::uint32_t>(value.numel()); ++e) {
        const std::uint32_t word = Philox4x32(seed, {e / 4, index, 0, 0})[e % 4];
        out[e] = static_cast<float>(bound * (2.0 * ((word >> 8) * 0x1p-24) - 1.0));
      }
    }
    tensors.push_back({spec.name, std::move(value)});
    ++index;
  }
  return Classifier(architecture, std::move(tensors));
}

Digest WriteInitialModel(FileSystem& files, const Path& path, Architecture architecture, std::uint64_t seed) {
  return SaveModel(files, path, InitialModel(architecture, seed), {{"hemafed.initial_seed", std::to_string(seed)}});
}

}  // namespace hemafed::learning
