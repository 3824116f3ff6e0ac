// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_file.h"

#include <ATen/ATen.h>

#include <bit>
#include <utility>

#include "common/error.h"
#include "common/safetensors.h"
#include "learning/features/detection/body_plan.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "detector files hold little-endian values");

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

DetectorSettings SettingsIn(const SafetensorsReader& reader) {
  const auto found = reader.metadata().find(std::string(kDetectorKey));
  if (found == reader.metadata().end()) {
    Fail(reader.where() + " is no detector: it has no metadata '" + std::string(kDetectorKey) +
         "'; make one with hemafed-study ae-cfe detect or scripts/import_weights.py");
  }
  if (found->second.size() > kMaxDetectorSettingsBytes) Fail(reader.where() + ": the detector's settings are too long");
  try {
    return DetectorSettingsFromText(found->second);
  } catch (const Error& error) {
    throw Error(error.code(), reader.where() + ": " + error.what());
  }
}

at::Tensor ReadTensor(const SafetensorsReader& reader, const DetectorTensor& spec) {
  const TensorInfo& info = reader.Require(spec.name);
  if (info.dtype != DType::kF32) Fail(reader.where() + ": tensor '" + spec.name + "' is not float32");
  if (info.shape != spec.shape) {
    Fail(reader.where() + ": tensor '" + spec.name + "' has another shape than the settings ask for");
  }
  at::Tensor value = at::empty(spec.shape, at::kFloat);
  reader.Read(info, 0,
              {static_cast<std::uint8_t*>(value.mutable_data_ptr()), static_cast<std::size_t>(value.nbytes())});
  if (!value.isfinite().all().item<bool>()) {
    Fail(reader.where() + ": tensor '" + spec.name + "' holds a value that is not a finite number");
  }
  if (spec.role == DetectorRole::kBuffer && spec.name.ends_with(".running_var") && value.lt(0).any().item<bool>()) {
    Fail(reader.where() + ": tensor '" + spec.name + "' holds a negative variance");
  }
  return value;
}

}  // namespace

Detector LoadDetector(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  const DetectorSettings settings = SettingsIn(reader);
  const std::vector<DetectorTensor> specs = DetectorTensors(settings);
  // Both lists are sorted by name: all of one are in the other if they are as long, once each has been found.
  for (const DetectorTensor& spec : specs) (void)reader.Require(spec.name);
  for (std::size_t i = 0; i < reader.tensors().size(); ++i) {
    const std::string& name = reader.tensors()[i].name;
    if (i >= specs.size() || name != specs[i].name) {
      Fail(reader.where() + ": tensor '" + name + "' does not belong to the detector");
    }
  }
  std::vector<NamedTensor> tensors;
  for (const DetectorTensor& spec : specs) tensors.push_back({spec.name, ReadTensor(reader, spec)});
  return {settings, std::move(tensors)};
}

Digest SaveDetector(FileSystem& files, const Path& path, const Detector& detector,
                    const std::map<std::string, std::string>& notes) {
  if (notes.contains(std::string(kDetectorKey))) {
    Fail("notes for " + path.string() + " set '" + std::string(kDetectorKey) + "'");
  }
  std::map<std::string, std::string> metadata = notes;
  metadata[std::string(kDetectorKey)] = DetectorSettingsText(detector.settings());
  std::vector<TensorInfo> infos;
  for (const NamedTensor& tensor : detector.tensors()) {
    if (tensor.value.scalar_type() != at::kFloat)
      Fail("cannot write " + path.string() + ": the detector is not float32");
    infos.push_back({.name = tensor.name, .dtype = DType::kF32, .shape = tensor.value.sizes().vec()});
  }
  const Path beside = path.string() + ".tmp";
  SafetensorsWriter writer(files, beside, std::move(infos), metadata);
  for (const NamedTensor& tensor : detector.tensors()) {
    const at::Tensor value = tensor.value.detach().cpu().contiguous();
    writer.Append(tensor.name, {static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  const Digest digest = writer.Finish();
  files.Rename(beside, path);
  files.SyncDirectory(path.parent_path().empty() ? Path(".") : path.parent_path());
  return digest;
}

}  // namespace hemafed::learning
