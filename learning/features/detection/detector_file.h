// learning/features/detection/detector_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A detector as a safetensors file, and back. The metadata "hemafed.detector" holds all settings as canonical JSON
// (DetectorSettingsText): form and body, from which names and shapes of the tensors follow, and the rules. Tensors are
// float32, in ascending byte order of their names; the same detector and notes give the same bytes on every machine.
//
// Reading takes nothing on trust: settings are bounded, every tensor's name, type and shape is compared with what they
// ask for, a missing or surplus tensor is named, values must be finite and variances not negative.
//
// scripts/import_weights.py --architecture maskrcnn_resnet50_fpn writes such files from torchvision's weights.
//
// Errors: Error(kInvalidInput) with the path; those of FileSystem. Thread-safety: free functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/features/detection/detector.h"

namespace hemafed::learning {

inline constexpr std::string_view kDetectorKey = "hemafed.detector";
// Largest settings text in bytes; the usual one has 700.
inline constexpr std::size_t kMaxDetectorSettingsBytes = 4096;

[[nodiscard]] Detector LoadDetector(FileSystem& files, const Path& path);

// Writes the whole file beside `path`, then renames; afterwards it is durable. `notes` are further metadata (where the
// weights came from). Returns the file's SHA-256.
Digest SaveDetector(FileSystem& files, const Path& path, const Detector& detector,
                    const std::map<std::string, std::string>& notes = {});

}  // namespace hemafed::learning
