// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/drift_check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "codec/exact.h"
#include "common/bytes.h"
#include "common/error.h"

namespace hemafed::learning {

namespace {

// What reports are bounded by where nothing of this folder is known.
static_assert(kMinDriftRows == kMinTwoSampleRows && kMaxDriftRows == kMaxTwoSampleRows);
static_assert(kMaxDriftPermutations == kMaxPermutations);
static_assert(kMaxDriftPictures == kMaxFeatureRows && kMaxDriftColumns == kMaxFeatureColumns);

constexpr std::uint64_t kMaxJsonInteger = (std::uint64_t{1} << 53) - 1;
constexpr std::uint64_t kMillion = 1'000'000;

void HashInteger(Sha256& hash, std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  StoreLittleEndian(value, bytes.data());
  hash.Update(bytes);
}

std::int64_t Millionths(double value) {
  const double scaled = RoundHalfEven(value * static_cast<double>(kMillion));
  // A bandwidth of huge features; the exact number then means nothing to a reader.
  return static_cast<std::int64_t>(
      std::clamp(scaled, -static_cast<double>(kMaxJsonInteger), static_cast<double>(kMaxJsonInteger)));
}

DriftReport Report(const TwoSampleResult& result, const TwoSampleSettings& settings, const FeatureMatrix& own,
                   std::span<const std::int64_t> members) {
  DriftReport report;
  report.columns = own.columns;
  report.pictures = own.rows;
  report.pictures_used = result.rows_x;
  report.reference_rows = result.rows_y;
  report.seed = settings.seed;
  report.bandwidth_squared_millionths = static_cast<std::uint64_t>(Millionths(result.bandwidth_squared));
  report.mmd2_biased_millionths = Millionths(result.biased);
  report.mmd2_unbiased_millionths = Millionths(result.unbiased);
  report.p_numerator = result.p_numerator;
  report.p_denominator = result.p_denominator;
  report.members = members.size();
  report.members_as_far = MembersAsFar(members, report.mmd2_unbiased_millionths);
  return report;
}

void Check(const TwoSampleSettings& settings, std::span<const std::int64_t> members) {
  if (settings.seed > kMaxDriftSeed)
    throw Error(ErrorCode::kInvalidInput, "drift check: a seed above 2^53 - 1 cannot be written into the log");
  if (members.size() > kMaxDriftMembers)
    throw Error(ErrorCode::kInvalidInput,
                "drift check: more than " + std::to_string(kMaxDriftMembers) + " members to compare with");
}

}  // namespace

Digest ReferenceDigest(const GaussianReference& reference) { return DigestOfComponents(reference.components()); }

DriftReport CheckDrift(const FeatureMatrix& own, const GaussianReference& reference, const TwoSampleSettings& settings,
                       std::span<const std::int64_t> members, const StopQuestion& stop) {
  Check(settings, members);
  const std::size_t rows = std::max(kMinTwoSampleRows, std::min(own.rows, settings.rows_max));
  const TwoSampleResult result = CompareSamples(own, reference.Sample(rows, settings.seed), settings, stop);
  DriftReport report = Report(result, settings, own, members);
  report.reference = DriftReferenceKind::kMoments;
  report.reference_digest = ReferenceDigest(reference);
  report.reference_pictures = reference.pictures();
  return report;
}

DriftReport CheckDrift(const FeatureMatrix& own, const FeatureMatrix& consortium, const TwoSampleSettings& settings,
                       std::span<const std::int64_t> members, const StopQuestion& stop) {
  Check(settings, members);
  DriftReport report = Report(CompareSamples(own, consortium, settings, stop), settings, own, members);
  report.reference = DriftReferenceKind::kFeatures;
  Sha256 hash;
  HashInteger(hash, consortium.rows);
  for (const float value : consortium.values) HashInteger(hash, std::bit_cast<std::uint32_t>(value));
  report.reference_digest = hash.Finish();
  report.reference_pictures = consortium.rows;
  return report;
}

}  // namespace hemafed::learning
