// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_file.h"

#include <ATen/ATen.h>

#include <bit>
#include <utility>

#include "common/error.h"
#include "common/safetensors.h"
#include "learning/features/detection/body_plan.h"
#include "learning/models/tensor_file.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "detector files hold little-endian values");

constexpr std::string_view kOwner = "the detector";  // In messages.

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

}  // namespace

Detector LoadDetector(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  const DetectorSettings settings = SettingsIn(reader);
  const std::vector<DetectorTensor> specs = DetectorTensors(settings);
  std::vector<std::string> names;
  names.reserve(specs.size());
  for (const DetectorTensor& spec : specs) names.push_back(spec.name);
  RequireNoOther(reader, names, kOwner);
  std::vector<NamedTensor> tensors;
  tensors.reserve(specs.size());
  for (const DetectorTensor& spec : specs) {
    tensors.push_back({spec.name, ReadTensor(reader, spec.name, spec.shape, kOwner)});
  }
  return {settings, std::move(tensors)};
}

Digest SaveDetector(FileSystem& files, const Path& path, const Detector& detector,
                    const std::map<std::string, std::string>& notes) {
  if (notes.contains(std::string(kDetectorKey))) {
    Fail("notes for " + path.string() + " set '" + std::string(kDetectorKey) + "'");
  }
  std::map<std::string, std::string> metadata = notes;
  metadata[std::string(kDetectorKey)] = DetectorSettingsText(detector.settings());
  return WriteTensors(files, path, detector.tensors(), metadata, kOwner);
}

}  // namespace hemafed::learning
