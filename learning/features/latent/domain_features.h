// learning/features/latent/domain_features.h
// SPDX-License-Identifier: Apache-2.0
//
// The features of one domain's pictures with their labels and their split, and the file that holds them: what a study
// reads, and what an extractor that is not ours may write.
//
// File: safetensors (common/safetensors.h) with exactly three tensors
//
//   features  F32 [n, d]  one row a picture, in ascending order of the SHA-256 of the picture's file
//   labels    I32 [n]     place of the class among the classes of the file
//   test      U8  [n]     1: the picture is on the test side of the domain's own split, else 0
//
// and metadata "hemafed.features" = "1" (the format), "hemafed.domain" (a short name, learning/data/path_rules.h),
// "hemafed.classes" (such names, one a line) and "hemafed.made_from" (what the features depend on, at most
// kMaxMadeFromBytes; compared, never read).
//
// Errors: Error(kInvalidInput), naming file and field, for everything else than the above, a label out of range, a
// value that is NaN or infinite, or more than the limits of feature_matrix.h; those of FileSystem.
// Thread-safety: value type, free functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

inline constexpr std::size_t kMaxFeatureClasses = 64;
inline constexpr std::size_t kMaxMadeFromBytes = 4096;

struct DomainFeatures {
  std::string domain;
  std::vector<std::string> classes;
  FeatureMatrix features;
  std::vector<std::uint32_t> labels;  // one a row, below classes.size()
  std::vector<std::uint8_t> test;     // one a row, 0 or 1
  std::string made_from;
};

// Throws if sizes, labels or values do not fit; `where` names the source.
void RequireConsistent(const DomainFeatures& domain, const std::string& where);

// Appears by rename.
void SaveFeatures(FileSystem& files, const Path& path, const DomainFeatures& domain);
[[nodiscard]] DomainFeatures LoadFeatures(FileSystem& files, const Path& path);

}  // namespace hemafed::learning
