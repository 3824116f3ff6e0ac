// codec/drift_report.h
// SPDX-License-Identifier: Apache-2.0
//
// What a hospital says when its pictures were compared with the consortium's: the report of docs/drift_check.md, or why
// there can be none. The computation is learning/features/latent/drift_check.h; here is what agent, coordinator and
// auditor read without it.
//
// FromJson functions bound every field and throw Error(kInvalidInput). Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/json_fields.h"
#include "common/sha256.h"

namespace hemafed {

inline constexpr std::uint64_t kDriftReportFormat = 1;
// Of each side in the test. Below the first no shift of a plausible size could be found and a "no" would be misread;
// the second bounds the matrix of kernel values (learning/features/latent/two_samples.h).
inline constexpr std::uint64_t kMinDriftRows = 10;
inline constexpr std::uint64_t kMaxDriftRows = 2'000;
inline constexpr std::uint64_t kMaxDriftPermutations = 100'000;
// As many as a domain may have pictures (learning/data), and a flattened picture of 128 x 128 x 3 values.
inline constexpr std::uint64_t kMaxDriftPictures = 250'000;
inline constexpr std::uint64_t kMaxDriftColumns = 65'536;
inline constexpr std::size_t kMaxDriftMembers = 1'024;
inline constexpr std::uint64_t kMaxDriftSeed = (std::uint64_t{1} << 53) - 1;  // What JSON holds exactly everywhere.
// A mean of kernel values in 0..1, plus another, less two others: within -2..2.
inline constexpr std::int64_t kMaxDiscrepancyMillionths = 2'000'000;

enum class DriftReferenceKind : std::uint8_t { kMoments, kFeatures };

struct DriftReport {
  DriftReferenceKind reference = DriftReferenceKind::kMoments;
  Digest reference_digest;  // Of what the consortium's side was made from (DigestOfComponents).
  std::uint64_t reference_pictures = 0;
  std::uint64_t columns = 0;
  std::uint64_t pictures = 0;       // Of the hospital.
  std::uint64_t pictures_used = 0;  // Of them in the test.
  std::uint64_t reference_rows = 0;
  std::uint64_t seed = 0;
  std::uint64_t bandwidth_squared_millionths = 0;
  std::int64_t mmd2_biased_millionths = 0;
  std::int64_t mmd2_unbiased_millionths = 0;  // Can be below 0: closer than chance.
  std::uint64_t p_numerator = 1;
  std::uint64_t p_denominator = 1;
  std::uint64_t members = 0;  // Whose own discrepancy was known.
  std::uint64_t members_as_far = 0;

  // Whether p <= alpha.
  [[nodiscard]] bool IsSignificant(unsigned alpha_thousandths = 50) const {
    return p_numerator * 1000 <= p_denominator * alpha_thousandths;
  }
  // Whether the hospital is unlike the consortium: further off than every member, of which there is one at least, and
  // not by chance. Without members a distance says nothing.
  [[nodiscard]] bool IsUnlike() const { return members > 0 && members_as_far == 0 && IsSignificant(); }
  // One object; dump() of it is canonical: sorted keys, integers and digests only.
  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static DriftReport FromJson(JsonFields fields);
  bool operator==(const DriftReport&) const = default;
};

// How many of these members are at least as far off.
[[nodiscard]] std::uint64_t MembersAsFar(std::span<const std::int64_t> members, std::int64_t mmd2_unbiased_millionths);

enum class DriftRefusalReason : std::uint8_t {
  kTooFewPictures,     // Fewer than kMinDriftRows.
  kConstantFeatures,   // More than half of the pairs of latents are equal.
  kUnusableReference,  // The others' moments are no covariance that anything can be drawn from.
};
[[nodiscard]] std::string_view DriftRefusalName(DriftRefusalReason reason) noexcept;

// The check was due and could not be made.
struct DriftRefusal {
  DriftRefusalReason reason = DriftRefusalReason::kTooFewPictures;
  Digest reference_digest;
  std::uint64_t pictures = 0;  // Of the hospital.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static DriftRefusal FromJson(JsonFields fields);
  bool operator==(const DriftRefusal&) const = default;
};

// Of fewer pictures than the plan's min_pictures, or too few for a covariance, neither a comparison nor moments leave a
// lab; nor how many there are. The body of its `drift` and, under [drift], of its `moments` then.
struct BelowMinPictures {
  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static BelowMinPictures FromJson(JsonFields fields);
  bool operator==(const BelowMinPictures&) const = default;
};
// Whether a body is to be read as that.
[[nodiscard]] bool IsBelowMinPictures(const JsonFields& fields);

// The body of a `drift` statement: whoever has no numbers has the field "refused".
using DriftAnswer = std::variant<DriftReport, DriftRefusal, BelowMinPictures>;
[[nodiscard]] nlohmann::json DriftAnswerToJson(const DriftAnswer& answer);
[[nodiscard]] DriftAnswer DriftAnswerFromJson(const JsonFields& fields);
// Pictures of the hospital, and what they were, or were to be, compared with; nothing where neither may be said.
[[nodiscard]] std::optional<std::uint64_t> PicturesOf(const DriftAnswer& answer);
[[nodiscard]] std::optional<Digest> ReferenceOf(const DriftAnswer& answer);

}  // namespace hemafed
