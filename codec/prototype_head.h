// codec/prototype_head.h
// SPDX-License-Identifier: Apache-2.0
//
// Prediction by the nearest mean of exemplars (iCaRL, Rebuffi et al., CVPR 2017, Algorithm 1) as a linear head, from
// what hospitals tell of their own exemplars:
//
//     m_sc = round_half_even(2^22 mean over site s's exemplars x of class c of f(x) / |f(x)|)
//     S_c  = sum over sites of n_sc m_sc,          mu_c = S_c / |S_c|
//     head.weight[c] = round_half_even(2^22 mu_c) 2^-22,    head.bias[c] = 0
//
// Among means of length 1 the nearest to a picture's features, themselves at length 1, is the one with the largest
// inner product with the features, so logits of this head rank classes as the distances do. A class without a mean gets
// the row 0 and the bias -1: all networks here have features that are not negative (they end with a ReLU and an
// average), so that products with means are not negative either, and it is never chosen.
//
// Sums are exact integers: below 2^22 * 10^7 pictures * 64 sites < 2^53; |S_c|^2 has 128 bits. One conversion to
// double, one root, one division and one rounding follow, each correctly rounded by IEEE 754, so the same bytes come
// out on every machine.
//
// A site's means travel in the file format of updates, with one tensor "means" of shape [classes, features].
//
// Errors: Error(kInvalidInput) naming file, class or field. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/reports.h"
#include "codec/update.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Of a model with a head; the layout of the model's updates says the width.
[[nodiscard]] UpdateLayout MeansLayout(const UpdateLayout& model);
[[nodiscard]] UpdateLayout MeansLayout(std::size_t classes, std::size_t features);

// Largest coordinate of a mean of vectors of length 1.
inline constexpr std::int32_t kMaxMean = 1 << kGridBits;

// The integers of a canonical form.
[[nodiscard]] std::vector<std::int32_t> ReadMeans(const ReadableFile& raw, const UpdateLayout& layout);

// Why these integers are not the means that the report describes: a class with a count that has no
// mean or too long a one, a mean of a class without a count. Nothing if they may be.
[[nodiscard]] std::optional<std::string> WhyNoMeans(std::span<const std::int32_t> means, const UpdateLayout& layout,
                                                    const ClassCounts& counts);

struct SiteMeans {
  Path values;  // Canonical integers.
  ClassCounts counts;
};

// Copies the model `in` to `out` with the head above. Returns the SHA-256 of `out`, which is synced.
[[nodiscard]] Digest WritePrototypeHead(FileSystem& files, const Path& in, const Path& out,
                                        std::span<const SiteMeans> sites);

}  // namespace hemafed
