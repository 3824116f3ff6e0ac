// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/hospital_writer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/data/manifest.h"
#include "learning/data/picture_sheet.h"
#include "learning/data/synthetic/smear.h"

namespace hemafed::learning::synthetic {

namespace {

constexpr std::string_view kDescription = "synthetic.json";
constexpr std::size_t kMaxDescriptionBytes = 4096;
// zlib's level: 3 is twice as fast as the default and costs 2 % in size on these grainy pictures.
constexpr int kPngLevel = 3;

std::string Describe(const HospitalProfile& profile, const HospitalSettings& settings) {
  // A new generator draws other pictures from the same seed; its version is part of the description.
  return nlohmann::json{{"generator", kGeneratorVersion},
                        {"hospital", profile.name},
                        {"seed", settings.seed},
                        {"test_per_class", settings.test_per_class},
                        {"train_per_class", settings.train_per_class}}
             .dump() +
         "\n";
}

// Whether the folder is complete; throws if it holds something else.
bool IsComplete(FileSystem& files, const Path& folder, const std::string& description) {
  const bool described = files.Exists(folder / kDescription);
  if (described && ReadFile(files, folder / kDescription, kMaxDescriptionBytes) == description) {
    return files.Exists(folder / kManifestFile);
  }
  if (described || !files.List(folder).empty()) {
    throw Error(ErrorCode::kConflict, folder.string() + " holds other pictures" +
                                          (described ? " (drawn with other settings)" : "") +
                                          "; name an empty folder, or remove this one");
  }
  return false;
}

}  // namespace

WrittenHospital WriteSyntheticHospital(FileSystem& files, const Path& folder, const HospitalProfile& profile,
                                       const HospitalSettings& settings, const ImportProgress& progress) {
  const std::uint32_t per_class = settings.train_per_class + settings.test_per_class;
  if (std::max(settings.train_per_class, settings.test_per_class) > kMaxDrawnPerClass || per_class == 0) {
    throw Error(ErrorCode::kInvalidInput, "a synthetic hospital has 1 to " + std::to_string(kMaxDrawnPerClass) +
                                              " pictures in each class and split");
  }
  WrittenHospital written;
  const auto total = static_cast<std::uint32_t>(per_class * kSmearClasses.size());
  const std::string description = Describe(profile, settings);
  files.CreateFolders(folder);
  if (IsComplete(files, folder, description)) return {.pictures = total, .was_there = true};
  WriteFileAtomically(files, folder / kDescription, description);
  std::vector<ManifestRow> rows;
  for (std::size_t class_index = 0; class_index < kSmearClasses.size(); ++class_index) {
    const std::string name(kSmearClasses[class_index]);
    files.CreateFolders(folder / name);
    for (std::uint32_t i = 0; i < per_class; ++i) {
      const cv::Mat picture = DrawSmear(profile, settings.seed, class_index, i);
      const Bytes file = EncodePng(picture, kPngLevel);
      std::array<char, 16> number{};
      std::snprintf(number.data(), number.size(), "_%04u.png", i + 1);
      const std::string relative = name + "/" + name + number.data();
      const auto out = files.Create(folder / relative);
      out->Append(file);
      out->Close();
      rows.push_back({relative, name, name, i < settings.train_per_class ? Split::kTrain : Split::kTest,
                      static_cast<std::uint32_t>(picture.cols), static_cast<std::uint32_t>(picture.rows),
                      Sha256Of(file)});
      ++written.pictures;
      written.bytes += file.size();
      if (progress && !progress(written.pictures, total)) {
        throw Error(ErrorCode::kInterrupted, "drawing into " + folder.string() + " was stopped; start again to finish");
      }
    }
  }
  WriteFileAtomically(files, folder / kManifestFile, FormatManifest(rows));
  return written;
}

}  // namespace hemafed::learning::synthetic
