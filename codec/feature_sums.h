// codec/feature_sums.h
// SPDX-License-Identifier: Apache-2.0
//
// What a site sends for the analytic head, once per task: integer sums over its pictures (RanPAC, McDonnell et al.,
// NeurIPS 2023, eqs. 5-6; ACIL, Zhuang et al., NeurIPS 2022). Nothing of a single picture is in them, and they add up
// exactly: in whatever order sites and tasks come, the sums are those of one data set of all pictures.
//
//     f   = clamp(round_half_even(phi * 2^10), 0, 65535)              phi >= 0 after the ReLU (codec/projection.h)
//     G   = sum f f^T    [M, M], symmetric: the upper triangle is kept
//     C   = sum f onehot(y)^T   [M, K]
//     n_k = pictures of class k                                       all int64; over the pictures of a task
//
// The grid: 2^-10 rounds random features of spread about 1 by a thousandth, far below what pictures of one class differ
// by, and 16 bits then reach 64, sixty times that spread. One product is below 2^32, so sums over kMaxSummedPictures
// stay below 2^62: exact, with room for the ridge. Larger features are clamped, and the number of clamped ones is told.
//
// Canonical form, of which the digest is SHA-256: the 16 bytes of the file's header, then G's triangle row by row, C
// row by row, n; each value as 8 bytes little-endian. File (".hfs"): docs/feature_sums.md.
//
// What a site may not send (design 11.5): statistics of a class with fewer than n_min pictures. Such pictures must not
// be added at all, since G has them too; MaySend() checks.
//
// Implausible() looks for what cannot hold for sums of any features. That is all that can be checked without the
// pictures: plausible lies pass.
//
// Errors: kInvalidInput for shapes that do not fit, labels, features that are no number, sums or files that cannot be;
// otherwise those of FileSystem. Thread-safety: value types; a builder belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/projection.h"
#include "common/file_system.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr int kFeatureGridBits = 10;
inline constexpr std::uint16_t kMaxFeatureSteps = 65'535;
// Pictures in one sum, all sites and tasks together: 64 tasks of kMaxPictures (codec/plan.h) are 6.4e8.
inline constexpr std::int64_t kMaxSummedPictures = std::int64_t{1} << 30;

// Rounds one picture's random features; both spans have the same length. Returns how many were clamped.
// kInvalidInput for a value that is not finite; negative ones (there are none after a ReLU) become 0 and count.
[[nodiscard]] std::size_t RoundFeatures(std::span<const double> features, std::span<std::uint16_t> out);

class FeatureSums {
 public:
  // The values in canonical order, from anybody: kInvalidInput unless there are as many as the shape has, and
  // plausible.
  [[nodiscard]] static FeatureSums FromValues(std::uint32_t features, std::uint32_t classes,
                                              std::span<const std::int64_t> values);

  // Zeros. 1 <= features <= kMaxRandomFeatures, 1 <= classes <= kMaxClasses (codec/plan.h).
  FeatureSums(std::uint32_t features, std::uint32_t classes);

  [[nodiscard]] std::uint32_t features() const { return features_; }  // M
  [[nodiscard]] std::uint32_t classes() const { return classes_; }    // K
  // G[i, j] for any order of i and j.
  [[nodiscard]] std::int64_t Moment(std::uint32_t i, std::uint32_t j) const;
  [[nodiscard]] std::int64_t Target(std::uint32_t i, std::uint32_t k) const;
  [[nodiscard]] std::int64_t Pictures(std::uint32_t k) const { return pictures_.at(k); }
  [[nodiscard]] std::int64_t TotalPictures() const;

  // Row i of the triangle: G[i, i], G[i, i+1], ..., G[i, M-1].
  [[nodiscard]] std::span<const std::int64_t> MomentRow(std::uint32_t i) const;
  [[nodiscard]] std::span<const std::int64_t> TargetRow(std::uint32_t i) const;

  // Exact. Nothing is changed when shapes differ or the total would exceed kMaxSummedPictures.
  void Add(const FeatureSums& other);
  // Takes out what was added, exactly: a withdrawn site or task. Nothing is changed when the rest cannot be.
  void Subtract(const FeatureSums& other);

  // Nothing, or why these numbers cannot be the sums of any pictures: n_k in 0 .. kMaxSummedPictures in total;
  // 0 <= C[i, k] <= 65535 n_k; with S_i = sum_k C[i, k]: S_i <= G_ii <= 65535 S_i and S_i^2 <= n G_ii; 0 <= G_ij and
  // G_ij^2 <= G_ii G_jj.
  [[nodiscard]] std::optional<std::string> Implausible() const;
  // Whether every class has no pictures or at least `min_pictures` (the plan's n_min).
  [[nodiscard]] bool MaySend(std::int64_t min_pictures) const;

  // Of the canonical form.
  [[nodiscard]] Digest Hash() const;

  bool operator==(const FeatureSums&) const = default;

 private:
  friend class FeatureSumsBuilder;

  [[nodiscard]] std::size_t RowBegin(std::uint32_t i) const;
  void CheckShape(const FeatureSums& other) const;

  std::uint32_t features_, classes_;
  std::vector<std::int64_t> moments_;   // Upper triangle, row by row.
  std::vector<std::int64_t> targets_;   // [M, K]
  std::vector<std::int64_t> pictures_;  // [K]
};

// Adds pictures one by one and sums them in batches; about 1 MB beside the sums.
class FeatureSumsBuilder {
 public:
  FeatureSumsBuilder(std::uint32_t features, std::uint32_t classes);

  // One picture: its M rounded features and its class.
  void Add(std::span<const std::uint16_t> features, std::uint32_t label);
  // The sums of all pictures so far; the builder is then empty.
  [[nodiscard]] FeatureSums Finish();

 private:
  void Flush();

  FeatureSums sums_;
  std::vector<std::uint16_t> batch_;  // [pictures waiting, M]
  std::vector<std::uint32_t> labels_;
};

struct FeatureSumsFileInfo {
  Digest sums;  // Of the canonical form.
  Digest file;
  std::uint64_t file_bytes = 0;
};

// Largest file that sums of this shape can need.
[[nodiscard]] std::uint64_t MaxFeatureSumsFileBytes(std::uint32_t features, std::uint32_t classes);

[[nodiscard]] FeatureSumsFileInfo WriteFeatureSums(FileSystem& files, const Path& path, const FeatureSums& sums,
                                                   Durability durability = Durability::kSynced);

// Reads a file from anybody: the shape is the plan's, lengths are checked before they are used, and what comes out is
// plausible. The digest is for the caller to compare.
[[nodiscard]] FeatureSums ReadFeatureSums(const ReadableFile& file, std::uint32_t features, std::uint32_t classes);

// The canonical form as a file, whose SHA-256 is Hash(): how sums lie in an object store.
void WriteCanonicalSums(FileSystem& files, const Path& path, const FeatureSums& sums,
                        Durability durability = Durability::kSynced);
// Reads it from anybody, as above.
[[nodiscard]] FeatureSums ReadCanonicalSums(const ReadableFile& file, std::uint32_t features, std::uint32_t classes);

}  // namespace hemafed
