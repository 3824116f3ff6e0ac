// codec/latent_moments.h
// SPDX-License-Identifier: Apache-2.0
//
// What a site sends so that autoencoders can be aligned across hospitals: mean and covariance of its cells' latents, as
// integer sums. Nothing of a single cell is in them, and they add up exactly: in whatever order batches, sites and
// machines come, the moments are those of all cells together.
//
//     f = round_half_even(z 2^16)                    z: the latent of one cell, d values in [-1, 1] (they leave a tanh)
//     n = cells,   S = sum f  [d],   Q = sum f f^T  [d, d], symmetric: the upper triangle is kept        all int64
//
//     mean_i = S_i / (n 2^16)          covariance_ij = (n Q_ij - S_i S_j) / (n (n - 1) 2^32)        (n - 1: AE-CFE's)
//
// The grid: rounding moves a latent value by at most 2^-17, a few times the error of a float32 encoder, and a mean of
// many by far less; |f| <= 2^16 makes every product at most 2^32, so that sums over kMaxMomentCells stay within 2^62.
//
// Canonical form, which is also the file (".hfl") and of which the digest is SHA-256: docs/latent_moments.md.
//
// What a site may not send: moments of fewer than n_min cells (design 11.5); MaySend() checks, at both ends.
// Implausible() looks for what cannot hold for any cells. That is all that can be checked without them: plausible lies
// pass.
//
// Errors: kInvalidInput for widths that do not fit, latents that are no number or outside [-1, 1], moments or files
// that cannot be, and means of no cells; otherwise those of FileSystem. A call that throws changes nothing.
// Thread-safety: value type.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr int kLatentGridBits = 16;
inline constexpr std::int32_t kMaxLatentSteps = 1 << kLatentGridBits;  // Of one value: 1.0.
// Published bottlenecks are 5 to 1,000 wide.
inline constexpr std::uint32_t kMinLatentWidth = 1;
inline constexpr std::uint32_t kMaxLatentWidth = 1'000;
// Cells in one sum, all sites together: 64 sites of kMaxPictures (codec/plan.h) are 6.4e8.
inline constexpr std::int64_t kMaxMomentCells = std::int64_t{1} << 30;

class LatentMoments {
 public:
  // Of no cells. kMinLatentWidth <= width <= kMaxLatentWidth.
  explicit LatentMoments(std::uint32_t width);
  // The canonical form, from anybody: lengths are checked before anything is reserved, what comes out is plausible.
  [[nodiscard]] static LatentMoments FromCanonical(ByteView bytes, std::uint32_t width);

  [[nodiscard]] std::uint32_t width() const { return width_; }
  [[nodiscard]] std::int64_t cells() const { return cells_; }
  [[nodiscard]] std::int64_t Sum(std::uint32_t i) const { return sums_.at(i); }
  // Q[i, j] for any order of i and j.
  [[nodiscard]] std::int64_t Product(std::uint32_t i, std::uint32_t j) const { return products_.at(Place(i, j)); }

  // One cell: its `width` latent values.
  void AddCell(std::span<const float> latent);
  // Exact; refused where the total would exceed kMaxMomentCells.
  void Add(const LatentMoments& other);
  // Takes out what was added, exactly: a withdrawn site. Refused when the rest cannot be the moments of any cells.
  void Subtract(const LatentMoments& other);

  // Needs one cell; two for the covariance. Each is rounded from exact integers, so every machine has the same bits.
  [[nodiscard]] double Mean(std::uint32_t i) const;
  [[nodiscard]] double Covariance(std::uint32_t i, std::uint32_t j) const;

  // Nothing, or why these numbers cannot be the moments of any cells: n in 0 .. kMaxMomentCells; |S_i| <= 2^16 n;
  // |S_i| <= Q_ii <= 2^32 n; Q_ii = S_i modulo 2; S_i^2 <= n Q_ii; Q_ij^2 <= Q_ii Q_jj.
  [[nodiscard]] std::optional<std::string> Implausible() const;
  // Whether there are at least `min_cells` (the plan's n_min) and two.
  [[nodiscard]] bool MaySend(std::int64_t min_cells) const;

  [[nodiscard]] Bytes Canonical() const;
  // Of the canonical form.
  [[nodiscard]] Digest Hash() const;

  bool operator==(const LatentMoments&) const = default;

 private:
  [[nodiscard]] std::size_t Place(std::uint32_t i, std::uint32_t j) const;
  void CheckWidth(const LatentMoments& other) const;

  std::uint32_t width_;
  std::int64_t cells_ = 0;
  std::vector<std::int64_t> sums_;
  std::vector<std::int64_t> products_;  // Upper triangle, row by row.
};

// Bytes of the canonical form.
[[nodiscard]] std::uint64_t LatentMomentsBytes(std::uint32_t width);

// The whole file at once, by rename; afterwards it is durable. Returns its SHA-256.
Digest WriteLatentMoments(FileSystem& files, const Path& path, const LatentMoments& moments);
// A file from anybody. The width is the plan's; the digest is for the caller to compare.
[[nodiscard]] LatentMoments ReadLatentMoments(const ReadableFile& file, std::uint32_t width);

}  // namespace hemafed
