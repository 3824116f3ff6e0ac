// codec/analytic_head.h
// SPDX-License-Identifier: Apache-2.0
//
// The head that strategy `analytic` solves, as the object that sites get: weights, and what they are for. Together with
// the trunk's model file it is a whole classifier (docs/feature_sums.md):
//
//     f = clamp(round_half_even(ReLU(R psi) 2^10), 0, 65535)     psi: the trunk's features, R: codec/projection.h
//     answer = the class with the largest  sum_i f_i W_ik,  among classes of which pictures were summed
//
// The sum is taken in integers, so two programs that round the features alike answer alike. Canonical: one head has one
// file (".hfr"), and its SHA-256 is how log and sites name the model of a task.
//
// Errors: kInvalidInput for a file that is not exactly one head of the plan's shape. Thread-safety: value type, free
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "codec/ridge_head.h"
#include "common/bytes.h"
#include "common/sha256.h"

namespace hemafed {

struct AnalyticHead {
  Digest trunk;            // Model file that gives the features.
  std::uint64_t seed = 0;  // Of the projection: the plan's.
  RidgeHead weights;

  // The class of one picture's scores (RidgeHead::ExactScores); the lowest among equals, 0 while nothing is learned.
  [[nodiscard]] std::uint32_t Best(std::span<const std::int64_t> scores) const;

  [[nodiscard]] Bytes ToBytes() const;
  // A file from anybody; `features` and `classes` are the plan's. `where` names it in errors.
  [[nodiscard]] static AnalyticHead FromBytes(ByteView bytes, std::uint32_t features, std::uint32_t classes,
                                              const std::string& where);
  bool operator==(const AnalyticHead&) const = default;
};

// Size of the file, exactly.
[[nodiscard]] std::uint64_t AnalyticHeadBytes(std::uint32_t features, std::uint32_t classes);

}  // namespace hemafed
