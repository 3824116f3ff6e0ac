// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/drift_check.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/exact.h"
#include "common/bytes.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::learning {

namespace {

constexpr std::uint64_t kMaxJsonInteger = (std::uint64_t{1} << 53) - 1;
constexpr std::uint64_t kMillion = 1'000'000;

void HashInteger(Sha256& hash, std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  StoreLittleEndian(value, bytes.data());
  hash.Update(bytes);
}

void HashDoubles(Sha256& hash, const std::vector<double>& values) {
  for (const double value : values) HashInteger(hash, std::bit_cast<std::uint64_t>(value));
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
  report.members_as_far = static_cast<std::uint64_t>(std::count_if(
      members.begin(), members.end(), [&](std::int64_t value) { return value >= report.mmd2_unbiased_millionths; }));
  return report;
}

void Check(const TwoSampleSettings& settings, std::span<const std::int64_t> members) {
  if (settings.seed > kMaxJsonInteger)
    throw Error(ErrorCode::kInvalidInput, "drift check: a seed above 2^53 - 1 cannot be written into the log");
  if (members.size() > kMaxDriftMembers)
    throw Error(ErrorCode::kInvalidInput,
                "drift check: more than " + std::to_string(kMaxDriftMembers) + " members to compare with");
}

}  // namespace

Digest ReferenceDigest(const GaussianReference& reference) {
  Sha256 hash;
  for (const GaussianComponent& component : reference.components()) {
    HashInteger(hash, component.rows);
    HashDoubles(hash, component.mean);
    HashDoubles(hash, component.covariance);
  }
  return hash.Finish();
}

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

nlohmann::json DriftReport::ToJson() const {
  return {{"format", kDriftReportFormat},
          {"reference", reference == DriftReferenceKind::kMoments ? "moments" : "features"},
          {"reference_digest", reference_digest.Hex()},
          {"reference_pictures", reference_pictures},
          {"columns", columns},
          {"pictures", pictures},
          {"pictures_used", pictures_used},
          {"reference_rows", reference_rows},
          {"seed", seed},
          {"bandwidth_squared_millionths", bandwidth_squared_millionths},
          {"mmd2_biased_millionths", mmd2_biased_millionths},
          {"mmd2_unbiased_millionths", mmd2_unbiased_millionths},
          {"p_numerator", p_numerator},
          {"p_denominator", p_denominator},
          {"members", members},
          {"members_as_far", members_as_far}};
}

DriftReport DriftReport::FromJson(std::string_view text, const std::string& where) {
  const nlohmann::json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  if (fields.Unsigned("format", kMaxJsonInteger) != kDriftReportFormat)
    fields.Fail("format", "is of another version of this program");
  DriftReport report;
  const std::string kind = fields.Text("reference", 16);
  if (kind != "moments" && kind != "features") fields.Fail("reference", "must be moments or features");
  report.reference = kind == "moments" ? DriftReferenceKind::kMoments : DriftReferenceKind::kFeatures;
  report.reference_digest = fields.Sha256Digest("reference_digest");
  report.reference_pictures = fields.Unsigned("reference_pictures", kMaxJsonInteger);
  report.columns = fields.Unsigned("columns", kMaxFeatureColumns);
  report.pictures = fields.Unsigned("pictures", kMaxFeatureRows);
  report.pictures_used = fields.Unsigned("pictures_used", std::min<std::uint64_t>(report.pictures, kMaxTwoSampleRows));
  report.reference_rows = fields.Unsigned("reference_rows", kMaxTwoSampleRows);
  report.seed = fields.Unsigned("seed", kMaxJsonInteger);
  report.bandwidth_squared_millionths = fields.Unsigned("bandwidth_squared_millionths", kMaxJsonInteger);
  // An average of kernel values less two others: within -2..2.
  const auto most = static_cast<std::int64_t>(2 * kMillion);
  report.mmd2_biased_millionths = fields.Integer("mmd2_biased_millionths", -most, most);
  report.mmd2_unbiased_millionths = fields.Integer("mmd2_unbiased_millionths", -most, most);
  report.p_denominator = fields.Unsigned("p_denominator", kMaxPermutations + 1);
  report.p_numerator = fields.Unsigned("p_numerator", report.p_denominator);
  if (report.p_numerator == 0) fields.Fail("p_numerator", "is at least 1: the observed division counts itself");
  report.members = fields.Unsigned("members", kMaxDriftMembers);
  report.members_as_far = fields.Unsigned("members_as_far", report.members);
  fields.RequireAllRead();
  return report;
}

}  // namespace hemafed::learning
