// SPDX-License-Identifier: Apache-2.0
#include "codec/reports.h"

#include "codec/plan.h"

namespace hemafed {

using nlohmann::json;

namespace {

// Largest compressed update: canonical integers of the largest model (see codec/update.h) hardly shrink when random.
constexpr std::uint64_t kMaxUpdateFileBytes = 2ull << 30;
// Losses are sums over classes of nats; 10^9 millionths is 1,000 nats, far beyond what training survives.
constexpr std::uint64_t kMaxLossMillionths = 1'000'000'000;
constexpr std::uint64_t kMaxSteps = 1'000'000;
constexpr std::uint64_t kMaxGammaMillionths = 1'000'000'000;

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
  report.residual = fields.OptionalDigest("residual");
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
