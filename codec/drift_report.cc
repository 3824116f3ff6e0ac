// SPDX-License-Identifier: Apache-2.0
#include "codec/drift_report.h"

#include <algorithm>
#include <array>

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMaxJsonInteger = (std::uint64_t{1} << 53) - 1;
constexpr std::array<std::string_view, 3> kRefusalNames{"too_few_pictures", "constant_features", "unusable_reference"};
constexpr std::string_view kBelowMinPictures = "below_min_pictures";

void RequireFormat(JsonFields& fields) {
  if (fields.Unsigned("format", kMaxJsonInteger) != kDriftReportFormat)
    fields.Fail("format", "is of another version of this program");
}

}  // namespace

json DriftReport::ToJson() const {
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

DriftReport DriftReport::FromJson(JsonFields fields) {
  RequireFormat(fields);
  DriftReport report;
  const std::string kind = fields.Text("reference", 16);
  if (kind != "moments" && kind != "features") fields.Fail("reference", "must be moments or features");
  report.reference = kind == "moments" ? DriftReferenceKind::kMoments : DriftReferenceKind::kFeatures;
  report.reference_digest = fields.Sha256Digest("reference_digest");
  report.reference_pictures = fields.Unsigned("reference_pictures", kMaxJsonInteger);
  report.columns = fields.Unsigned("columns", kMaxDriftColumns);
  report.pictures = fields.Unsigned("pictures", kMaxDriftPictures);
  report.pictures_used = fields.Unsigned("pictures_used", std::min(report.pictures, kMaxDriftRows));
  report.reference_rows = fields.Unsigned("reference_rows", kMaxDriftRows);
  report.seed = fields.Unsigned("seed", kMaxDriftSeed);
  report.bandwidth_squared_millionths = fields.Unsigned("bandwidth_squared_millionths", kMaxJsonInteger);
  const std::int64_t most = kMaxDiscrepancyMillionths;
  report.mmd2_biased_millionths = fields.Integer("mmd2_biased_millionths", -most, most);
  report.mmd2_unbiased_millionths = fields.Integer("mmd2_unbiased_millionths", -most, most);
  report.p_denominator = fields.Unsigned("p_denominator", kMaxDriftPermutations + 1);
  report.p_numerator = fields.Unsigned("p_numerator", report.p_denominator);
  if (report.p_numerator == 0) fields.Fail("p_numerator", "is at least 1: the observed division counts itself");
  report.members = fields.Unsigned("members", kMaxDriftMembers);
  report.members_as_far = fields.Unsigned("members_as_far", report.members);
  fields.RequireAllRead();
  return report;
}

std::uint64_t MembersAsFar(std::span<const std::int64_t> members, std::int64_t mmd2_unbiased_millionths) {
  return static_cast<std::uint64_t>(std::count_if(
      members.begin(), members.end(), [&](std::int64_t value) { return value >= mmd2_unbiased_millionths; }));
}

std::string_view DriftRefusalName(DriftRefusalReason reason) noexcept {
  return kRefusalNames[static_cast<std::size_t>(reason)];
}

json DriftRefusal::ToJson() const {
  return {{"format", kDriftReportFormat},
          {"refused", DriftRefusalName(reason)},
          {"reference_digest", reference_digest.Hex()},
          {"pictures", pictures}};
}

DriftRefusal DriftRefusal::FromJson(JsonFields fields) {
  RequireFormat(fields);
  DriftRefusal refusal;
  const std::string name = fields.Text("refused", 32);
  const auto found = std::find(kRefusalNames.begin(), kRefusalNames.end(), name);
  if (found == kRefusalNames.end()) fields.Fail("refused", "is not a reason that this program knows");
  refusal.reason = static_cast<DriftRefusalReason>(found - kRefusalNames.begin());
  refusal.reference_digest = fields.Sha256Digest("reference_digest");
  refusal.pictures = fields.Unsigned("pictures", kMaxDriftPictures);
  fields.RequireAllRead();
  return refusal;
}

json DriftAnswerToJson(const DriftAnswer& answer) {
  return std::visit([](const auto& of_kind) { return of_kind.ToJson(); }, answer);
}

json BelowMinPictures::ToJson() const { return {{"format", kDriftReportFormat}, {"refused", kBelowMinPictures}}; }

BelowMinPictures BelowMinPictures::FromJson(JsonFields fields) {
  RequireFormat(fields);
  if (fields.Text("refused", 32) != kBelowMinPictures) {
    fields.Fail("refused", "must be " + std::string(kBelowMinPictures));
  }
  fields.RequireAllRead();
  return {};
}

bool IsBelowMinPictures(const JsonFields& fields) {
  // A copy: who looks has not read.
  JsonFields copy = fields;
  if (!copy.Has("refused")) return false;
  const json& reason = copy.Raw("refused");
  return reason.is_string() && reason.get_ref<const std::string&>() == kBelowMinPictures;
}

std::optional<std::uint64_t> PicturesOf(const DriftAnswer& answer) {
  if (const auto* report = std::get_if<DriftReport>(&answer)) return report->pictures;
  if (const auto* refusal = std::get_if<DriftRefusal>(&answer)) return refusal->pictures;
  return std::nullopt;
}

std::optional<Digest> ReferenceOf(const DriftAnswer& answer) {
  if (const auto* report = std::get_if<DriftReport>(&answer)) return report->reference_digest;
  if (const auto* refusal = std::get_if<DriftRefusal>(&answer)) return refusal->reference_digest;
  return std::nullopt;
}

DriftAnswer DriftAnswerFromJson(const JsonFields& fields) {
  if (IsBelowMinPictures(fields)) return BelowMinPictures::FromJson(fields);
  if (fields.Has("refused")) return DriftRefusal::FromJson(fields);
  return DriftReport::FromJson(fields);
}

}  // namespace hemafed
