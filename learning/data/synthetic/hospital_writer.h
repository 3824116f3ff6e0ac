// learning/data/synthetic/hospital_writer.h
// SPDX-License-Identifier: Apache-2.0
//
// Writes the pictures of one synthetic hospital as a domain folder that an import reads like a real one:
// `<folder>/<class>/<class>_0001.png` and manifest.csv with its own split. In each class the first pictures are the
// training part. Same arguments, same bytes.
//
// The manifest is written last and atomically: a folder with a manifest is complete. Called again for a complete folder
// of the same profile, seed and counts, it changes nothing (`synthetic.json` beside the manifest says what was drawn);
// any other non-empty folder is refused rather than mixed up, except one that this function began and did not finish.
//
// Errors: Error(kConflict) the folder holds something else; kInvalidInput counts out of range; kNoSpace; kInterrupted
// when `progress` asks to stop. Thread-safety: one thread for one folder.
#pragma once

#include <cstdint>

#include "common/file_system.h"
#include "learning/data/import.h"
#include "learning/data/synthetic/hospital_profile.h"

namespace hemafed::learning::synthetic {

// Pictures of one class and split. 5 classes of twice this stay below kMaxFilesPerDomain.
inline constexpr std::uint32_t kMaxDrawnPerClass = 20'000;

struct HospitalSettings {
  std::uint64_t seed = 0;
  std::uint32_t train_per_class = 0;
  std::uint32_t test_per_class = 0;
};

struct WrittenHospital {
  std::uint32_t pictures = 0;
  std::uint64_t bytes = 0;
  bool was_there = false;  // Nothing had to be drawn.
};

WrittenHospital WriteSyntheticHospital(FileSystem& files, const Path& folder, const HospitalProfile& profile,
                                       const HospitalSettings& settings, const ImportProgress& progress = {});

}  // namespace hemafed::learning::synthetic
