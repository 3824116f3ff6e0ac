// learning/features/latent/drift_check.h
// SPDX-License-Identifier: Apache-2.0
//
// Do a new hospital's pictures look like the consortium's? Asked before training, on latents, at the new hospital: only
// the report leaves. docs/drift_check.md has the report's fields and how to read it.
//
// Federated: the consortium's side is a sample drawn from published moments (gaussian_reference.h); no features of
// single cells travel in either direction. Real latents are not Gaussian, so with enough pictures p is small for every
// hospital. The size of the discrepancy is what tells: each member publishes its own from the same check, and the
// report says how many members are at least as far off. A hospital that is further than all of them is unlike the
// consortium; p says whether that could be chance.
//
// Central (studies, one machine): the consortium's side is its features.
//
// The report holds integers only. Errors: those of two_samples.h and gaussian_reference.h; kInvalidInput for a seed
// above 2^53 - 1 or more than kMaxDriftMembers members. Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "common/sha256.h"
#include "learning/features/latent/gaussian_reference.h"
#include "learning/features/latent/two_samples.h"

namespace hemafed::learning {

inline constexpr std::uint64_t kDriftReportFormat = 1;
inline constexpr std::size_t kMaxDriftMembers = 1'024;

enum class DriftReferenceKind : std::uint8_t { kMoments, kFeatures };

struct DriftReport {
  DriftReferenceKind reference = DriftReferenceKind::kMoments;
  Digest reference_digest;  // of what the consortium's side was made from (ReferenceDigest)
  std::uint64_t reference_pictures = 0;
  std::uint64_t columns = 0;
  std::uint64_t pictures = 0;       // of the hospital
  std::uint64_t pictures_used = 0;  // of them in the test
  std::uint64_t reference_rows = 0;
  std::uint64_t seed = 0;
  std::uint64_t bandwidth_squared_millionths = 0;
  std::int64_t mmd2_biased_millionths = 0;
  std::int64_t mmd2_unbiased_millionths = 0;  // can be below 0: closer than chance
  std::uint64_t p_numerator = 1;
  std::uint64_t p_denominator = 1;
  std::uint64_t members = 0;  // whose own discrepancy was known
  std::uint64_t members_as_far = 0;

  // Whether p <= alpha.
  [[nodiscard]] bool IsSignificant(unsigned alpha_thousandths = 50) const {
    return p_numerator * 1000 <= p_denominator * alpha_thousandths;
  }
  // One object; dump() of it is canonical: sorted keys, integers and digests only.
  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static DriftReport FromJson(std::string_view text, const std::string& where);
  bool operator==(const DriftReport&) const = default;
};

// SHA-256 of the moments as little-endian doubles, component after component: rows, mean, covariance.
[[nodiscard]] Digest ReferenceDigest(const GaussianReference& reference);

// `members`: unbiased discrepancies of the members' own reports, in millionths; may be empty. As many rows are drawn
// from the reference as the hospital has in the test. `stop` as in two_samples.h.
[[nodiscard]] DriftReport CheckDrift(const FeatureMatrix& own, const GaussianReference& reference,
                                     const TwoSampleSettings& settings = {}, std::span<const std::int64_t> members = {},
                                     const StopQuestion& stop = {});
[[nodiscard]] DriftReport CheckDrift(const FeatureMatrix& own, const FeatureMatrix& consortium,
                                     const TwoSampleSettings& settings = {}, std::span<const std::int64_t> members = {},
                                     const StopQuestion& stop = {});

}  // namespace hemafed::learning
