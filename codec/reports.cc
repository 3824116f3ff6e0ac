// SPDX-License-Identifier: Apache-2.0
#include "codec/reports.h"

#include <algorithm>

#include "codec/exact.h"
#include "codec/head_growth.h"
#include "codec/latent_moments.h"
#include "codec/merge_weights.h"
#include "codec/plan.h"
#include "codec/projection.h"
#include "codec/update.h"

namespace hemafed {

using nlohmann::json;

namespace {

// Largest compressed update: canonical integers of the largest model (see codec/update.h) hardly shrink when random.
constexpr std::uint64_t kMaxUpdateFileBytes = 2ull << 30;
constexpr std::uint64_t kMaxSteps = 1'000'000;
constexpr std::uint64_t kMaxGammaMillionths = 1'000'000'000;
// Tensors of one model, for the sensitivities of a report: ResNet-50 has 161 of its size; 1,024 of 17 characters each
// leave room in a log entry.
constexpr std::size_t kMaxReportTensors = 1'024;
constexpr std::uint64_t kMillion = 1'000'000;
// ln 2 in millionths, rounded up: the largest entropy of one class's target.
constexpr std::uint64_t kLn2Millionths = 693'148;

json CountsToJson(const ClassCounts& counts) {
  json list = json::array();
  for (const auto& count : counts) list.push_back(count ? json(*count) : json(nullptr));
  return list;
}

json OptionalToJson(const std::optional<Digest>& digest) { return digest ? json(digest->Hex()) : json(nullptr); }

}  // namespace

ClassCounts WithholdSmall(const std::vector<std::uint64_t>& counts, std::uint64_t min_pictures) {
  ClassCounts reported;
  for (const std::uint64_t count : counts) {
    reported.push_back(count > 0 && count >= min_pictures ? std::optional(count) : std::nullopt);
  }
  return reported;
}

json CommitmentReport::ToJson() const { return {{"pictures", pictures}, {"classes", CountsToJson(classes)}}; }

CommitmentReport CommitmentReport::FromJson(JsonFields fields) {
  CommitmentReport report;
  report.pictures = fields.Unsigned("pictures", kMaxPictures);
  report.classes = fields.Counts("classes", kMaxClasses, kMaxPictures);
  fields.RequireAllRead();
  return report;
}

json DistillationProbe::ToJson() const {
  return {{"pictures", pictures},
          {"before_millionths", before_millionths},
          {"after_millionths", after_millionths},
          {"disagreement_millionths", disagreement_millionths},
          {"sensitivity", sensitivity}};
}

DistillationProbe DistillationProbe::FromJson(JsonFields fields) {
  DistillationProbe probe;
  probe.pictures = fields.Unsigned("pictures", kMaxPictures);
  probe.before_millionths = fields.Unsigned("before_millionths", kMaxLossMillionths);
  probe.after_millionths = fields.Unsigned("after_millionths", kMaxLossMillionths);
  probe.disagreement_millionths = fields.Numbers("disagreement_millionths", kMaxClasses, 0, kMillion);
  probe.sensitivity = fields.Numbers("sensitivity", kMaxReportTensors, kMinSensitivity, kMaxSensitivity);
  fields.RequireAllRead();
  return probe;
}

std::uint64_t SensitivityUnits(double sensitivity) {
  // Larger values saturate; the multiplication by a power of two is exact.
  const double units = RoundHalfEven(std::min(sensitivity, 4096.0) * 0x1p40);
  return std::clamp(static_cast<std::uint64_t>(std::max(units, 0.0)), kMinSensitivity, kMaxSensitivity);
}

std::optional<std::string> WhyImplausible(const DistillationProbe& probe, const UpdateLayout& layout,
                                          std::size_t old_classes, bool base_is_teacher) {
  if (probe.disagreement_millionths.size() != old_classes) {
    return "its probe has " + std::to_string(probe.disagreement_millionths.size()) + " old classes, the teacher " +
           std::to_string(old_classes);
  }
  if (probe.sensitivity.size() != layout.tensors.size()) {
    return "its probe has " + std::to_string(probe.sensitivity.size()) + " tensors, the model " +
           std::to_string(layout.tensors.size());
  }
  // Where student and teacher are the same, the loss is the entropy of the targets.
  if (base_is_teacher && probe.before_millionths > old_classes * kLn2Millionths) {
    return "its probe's first loss is above what " + std::to_string(old_classes) + " classes can have";
  }
  for (std::size_t i = 0; i < layout.tensors.size(); ++i) {
    if (layout.tensors[i].name != kHeadBias) continue;
    // dz_j / db_j = 1, so the mean over the C elements is at most C_old / (4 C) for each picture, and an estimate from
    // N pictures at most N times that.
    const std::uint64_t classes = layout.tensors[i].ValueCount();
    const UInt128 most = (UInt128{1} << 38) * old_classes * probe.pictures / classes + 1;
    if (probe.sensitivity[i] > most) return "its probe's sensitivity of head.bias is above what is possible";
  }
  return std::nullopt;
}

json UpdateReport::ToJson() const {
  return {{"values", values.Hex()},
          {"layout", layout.Hex()},
          {"file", file.Hex()},
          {"file_bytes", file_bytes},
          {"teacher", OptionalToJson(teacher)},
          {"gamma_millionths", gamma_millionths},
          {"pictures", pictures},
          {"classes", CountsToJson(classes)},
          {"steps", steps},
          {"loss_millionths", loss_millionths},
          {"distillation_millionths", distillation_millionths},
          {"probe", probe ? probe->ToJson() : json(nullptr)},
          {"residual", OptionalToJson(residual)}};
}

UpdateReport UpdateReport::FromJson(JsonFields fields) {
  UpdateReport report;
  report.values = fields.Sha256Digest("values");
  report.layout = fields.Sha256Digest("layout");
  report.file = fields.Sha256Digest("file");
  report.file_bytes = fields.Unsigned("file_bytes", kMaxUpdateFileBytes);
  report.teacher = fields.OptionalDigest("teacher");
  report.gamma_millionths = fields.Unsigned("gamma_millionths", kMaxGammaMillionths);
  report.pictures = fields.Unsigned("pictures", kMaxPictures);
  report.classes = fields.Counts("classes", kMaxClasses, kMaxPictures);
  report.steps = fields.Unsigned("steps", kMaxSteps);
  report.loss_millionths = fields.Unsigned("loss_millionths", kMaxLossMillionths);
  report.distillation_millionths = fields.Unsigned("distillation_millionths", kMaxLossMillionths);
  if (!fields.Raw("probe").is_null()) report.probe = DistillationProbe::FromJson(fields.Object("probe"));
  report.residual = fields.OptionalDigest("residual");
  fields.RequireAllRead();
  return report;
}

json JudgementReport::ToJson() const { return {{"pictures", pictures}, {"agrees", agrees}}; }

JudgementReport JudgementReport::FromJson(JsonFields fields) {
  JudgementReport report;
  report.pictures = fields.Unsigned("pictures", kMaxPictures);
  report.agrees = fields.Unsigned("agrees", report.pictures);
  fields.RequireAllRead();
  return report;
}

json SumsReport::ToJson() const {
  return {{"sums", sums.Hex()},
          {"file", file.Hex()},
          {"file_bytes", file_bytes},
          {"pictures", pictures},
          {"classes", CountsToJson(classes)},
          {"clamped", clamped}};
}

SumsReport SumsReport::FromJson(JsonFields fields) {
  SumsReport report;
  report.sums = fields.Sha256Digest("sums");
  report.file = fields.Sha256Digest("file");
  report.file_bytes = fields.Unsigned("file_bytes", kMaxUpdateFileBytes);
  report.pictures = fields.Unsigned("pictures", kMaxPictures);
  report.classes = fields.Counts("classes", kMaxClasses, kMaxPictures);
  report.clamped = fields.Unsigned("clamped", report.pictures * kMaxRandomFeatures);
  fields.RequireAllRead();
  std::uint64_t counted = 0;
  for (const auto& count : report.classes) counted += count.value_or(0);
  if (counted != report.pictures) fields.Fail("pictures", "are not those of the classes together");
  return report;
}

json FisherReport::ToJson() const {
  return {{"values", values.Hex()},
          {"layout", layout.Hex()},
          {"file", file.Hex()},
          {"file_bytes", file_bytes},
          {"pictures", pictures}};
}

FisherReport FisherReport::FromJson(JsonFields fields) {
  FisherReport report;
  report.values = fields.Sha256Digest("values");
  report.layout = fields.Sha256Digest("layout");
  report.file = fields.Sha256Digest("file");
  report.file_bytes = fields.Unsigned("file_bytes", kMaxUpdateFileBytes);
  report.pictures = fields.Unsigned("pictures", kMaxPictures);
  fields.RequireAllRead();
  return report;
}

json MeansReport::ToJson() const {
  return {
      {"values", values.Hex()}, {"file", file.Hex()}, {"file_bytes", file_bytes}, {"classes", CountsToJson(classes)}};
}

MeansReport MeansReport::FromJson(JsonFields fields) {
  MeansReport report;
  report.values = fields.Sha256Digest("values");
  report.file = fields.Sha256Digest("file");
  report.file_bytes = fields.Unsigned("file_bytes", kMaxUpdateFileBytes);
  report.classes = fields.Counts("classes", kMaxClasses, kMaxPictures);
  fields.RequireAllRead();
  return report;
}

json MomentsReport::ToJson() const { return {{"values", values.Hex()}, {"file_bytes", file_bytes}, {"cells", cells}}; }

MomentsReport MomentsReport::FromJson(JsonFields fields) {
  MomentsReport report;
  report.values = fields.Sha256Digest("values");
  report.file_bytes = fields.Unsigned("file_bytes", LatentMomentsBytes(kMaxLatentWidth));
  report.cells = fields.Unsigned("cells", kMaxPictures);
  fields.RequireAllRead();
  return report;
}

json ExemplarReport::ToJson() const {
  return {{"kept", kept}, {"classes", CountsToJson(classes)}, {"list", list.Hex()}};
}

ExemplarReport ExemplarReport::FromJson(JsonFields fields) {
  ExemplarReport report;
  report.kept = fields.Unsigned("kept", kMaxPictures);
  report.classes = fields.Counts("classes", kMaxClasses, kMaxPictures);
  report.list = fields.Sha256Digest("list");
  fields.RequireAllRead();
  return report;
}

}  // namespace hemafed
