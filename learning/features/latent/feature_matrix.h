// learning/features/latent/feature_matrix.h
// SPDX-License-Identifier: Apache-2.0
//
// Features of pictures as a matrix: one row a picture, one column a feature. What every part of this folder takes, so
// that none of them needs LibTorch: latents of the autoencoder, features of a trunk, or flattened pictures.
//
// Shape: values[row * columns + column], row-major, rows * columns values.
//
// Errors: RequireUsable throws Error(kInvalidInput), naming `what` and the first thing that is wrong.
// Thread-safety: value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hemafed::learning {

// As many as a domain may have pictures (learning/data).
inline constexpr std::size_t kMaxFeatureRows = 250'000;
// A flattened picture of 128 x 128 x 3 has 49,152.
inline constexpr std::size_t kMaxFeatureColumns = 65'536;
// Values of one matrix: 2 GiB as float32, half of what the smallest supported machine has.
inline constexpr std::size_t kMaxFeatureValues = std::size_t{1} << 29;

struct FeatureMatrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> values;

  FeatureMatrix() = default;
  FeatureMatrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}

  [[nodiscard]] std::span<const float> Row(std::size_t row) const {
    return std::span(values).subspan(row * columns, columns);
  }
  [[nodiscard]] std::span<float> Row(std::size_t row) { return std::span(values).subspan(row * columns, columns); }
};

// Limits above, sizes that fit, every value finite.
void RequireUsable(const FeatureMatrix& matrix, const std::string& what);

// The rows with these numbers, in this order.
[[nodiscard]] FeatureMatrix TakeRows(const FeatureMatrix& matrix, std::span<const std::uint32_t> rows);

// At most `most` of `count` rows, drawn without replacement and ascending: all of them where there are no more, else
// the first `most` of Permutation(count) from RandomStream(DeriveSeed(seed, "feature rows 1"), stream). Rows in the
// order of their pictures' SHA-256 make the choice independent of names and folders.
[[nodiscard]] std::vector<std::uint32_t> DrawRows(std::size_t count, std::size_t most, std::uint64_t seed,
                                                  std::uint64_t stream = 0);

// Sum over columns of (a - b)^2 in double. Four partial sums (columns modulo 4), added as (s0 + s1) + (s2 + s3): a
// fixed order, so the same bits on every machine.
[[nodiscard]] double SquaredDistance(std::span<const float> a, std::span<const float> b);

}  // namespace hemafed::learning
