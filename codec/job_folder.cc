// SPDX-License-Identifier: Apache-2.0
#include "codec/job_folder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "codec/drift_report.h"
#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 14> kKindNames{"commit", "train",  "select",  "evaluate", "judge",
                                                      "sum",    "agree",  "seal",    "receive",  "fisher",
                                                      "means",  "remove", "moments", "drift"};
constexpr std::int64_t kJobFormat = 1;

void RequireFormat(JsonFields& fields) {
  const std::int64_t format = fields.Integer("format", 0, INT32_MAX);
  if (format != kJobFormat) {
    fields.Fail("format", "is " + std::to_string(format) + "; this program reads format " + std::to_string(kJobFormat));
  }
}

JobDrift ReadDrift(JsonFields fields, std::size_t hospitals) {
  JobDrift drift{.seed = fields.Unsigned("seed", kMaxDriftSeed),
                 .permutations = static_cast<std::uint32_t>(
                     fields.Integer("permutations", kMinPlanPermutations, kMaxPlanPermutations)),
                 .rows = static_cast<std::uint32_t>(fields.Unsigned("rows", kMaxDriftRows)),
                 .members = {}};
  if (drift.rows < kMinDriftRows) fields.Fail("rows", "are fewer than tell anything");
  drift.members = fields.Integers("members", hospitals, -kMaxDiscrepancyMillionths, kMaxDiscrepancyMillionths);
  fields.RequireAllRead();
  return drift;
}

}  // namespace

std::string_view JobKindName(JobKind kind) noexcept { return kKindNames[static_cast<std::size_t>(kind)]; }

std::string Job::Name() const {
  std::string name = plan.Hex().substr(0, 8) + "-t" + std::to_string(task);
  const bool of_round = kind == JobKind::kTrain || kind == JobKind::kJudge || kind == JobKind::kMoments;
  if (of_round) name += "-r" + std::to_string(round);
  name += "-" + std::string(JobKindName(kind));
  // A round has a candidate for each halving.
  if (kind == JobKind::kJudge) name += "-" + model.Hex().substr(0, 8);
  // A task has a bundle for each later hospital, and one comes from each earlier task.
  if (partner) name += "-" + partner->site + "-" + Sha256Of(partner->statement).Hex().substr(0, 8);
  return name;
}

std::string Job::ToText() const {
  json text = {{"format", kJobFormat},
               {"kind", JobKindName(kind)},
               {"plan", plan.Hex()},
               {"site", site},
               {"task", task},
               {"round", round},
               {"rehearsing", rehearsing},
               {"model", model.Hex()},
               {"teacher", teacher ? json(teacher->Hex()) : json(nullptr)},
               {"trunk", trunk ? json(trunk->Hex()) : json(nullptr)},
               {"carry_residual", carry_residual}};
  if (partner) {
    text["partner"] = {{"site", partner->site}, {"lab", partner->lab}, {"statement", partner->statement}};
  }
  for (const JobAnchor& anchor : anchors) {
    text["anchors"].push_back({{"task", anchor.task},
                               {"model", anchor.model.Hex()},
                               {"fisher", anchor.fisher ? json(anchor.fisher->Hex()) : json(nullptr)}});
  }
  if (slow) text["slow"] = slow->Hex();
  for (const JobMoments& other : moments) {
    text["moments"].push_back({{"site", other.site}, {"moments", other.moments.Hex()}});
  }
  if (drift) {
    text["drift"] = {{"seed", drift->seed},
                     {"permutations", drift->permutations},
                     {"rows", drift->rows},
                     {"members", drift->members}};
  }
  return text.dump();
}

Job Job::FromText(std::string_view text, const std::string& where) {
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  RequireFormat(fields);
  Job job;
  const std::string kind = fields.Text("kind", 16);
  std::size_t index = 0;
  while (index < kKindNames.size() && kKindNames[index] != kind) ++index;
  if (index == kKindNames.size()) fields.Fail("kind", "is not a kind of job that this program knows");
  job.kind = static_cast<JobKind>(index);
  job.plan = fields.Sha256Digest("plan");
  job.site = fields.Text("site", kMaxNameBytes);
  if (!IsPlainName(job.site)) fields.Fail("site", "is not a plain name");
  job.task = static_cast<std::uint32_t>(fields.Unsigned("task", kMaxTasks - 1));
  job.round = static_cast<std::uint32_t>(fields.Unsigned("round", kMaxRounds - 1));
  job.rehearsing = fields.Boolean("rehearsing");
  job.model = fields.Sha256Digest("model");
  job.teacher = fields.OptionalDigest("teacher");
  job.trunk = fields.OptionalDigest("trunk");
  job.carry_residual = fields.Boolean("carry_residual");
  if (fields.Has("partner")) {
    JsonFields partner = fields.Object("partner");
    job.partner = JobPartner{.site = partner.Text("site", kMaxNameBytes),
                             .lab = partner.Text("lab", kMaxPartnerTextBytes),
                             .statement = partner.Text("statement", kMaxPartnerTextBytes)};
    if (!IsPlainName(job.partner->site)) partner.Fail("site", "is not a plain name");
    partner.RequireAllRead();
  }
  const bool with_partner = job.kind == JobKind::kSeal || job.kind == JobKind::kReceive || job.kind == JobKind::kRemove;
  if (job.partner.has_value() != with_partner) {
    fields.Fail("partner", "does not fit the kind of job");
  }
  if (fields.Has("anchors")) {
    for (JsonFields& item : fields.Objects("anchors", kMaxTasks)) {
      JobAnchor anchor{.task = static_cast<std::uint32_t>(item.Unsigned("task", kMaxTasks - 1)),
                       .model = item.Sha256Digest("model"),
                       .fisher = item.OptionalDigest("fisher")};
      item.RequireAllRead();
      const bool ascends = job.anchors.empty() || job.anchors.back().task < anchor.task;
      if (!ascends || anchor.task >= job.task) item.Fail("task", "is not of an earlier task, each named once");
      job.anchors.push_back(anchor);
    }
  }
  if (fields.Has("slow")) job.slow = fields.Sha256Digest("slow");
  if (fields.Has("moments")) {
    for (JsonFields& item : fields.Objects("moments", kMaxSites - 1)) {
      JobMoments other{.site = item.Text("site", kMaxNameBytes), .moments = item.Sha256Digest("moments")};
      item.RequireAllRead();
      const bool known = std::any_of(job.moments.begin(), job.moments.end(),
                                     [&](const JobMoments& earlier) { return earlier.site == other.site; });
      if (!IsPlainName(other.site) || other.site == job.site || known) {
        item.Fail("site", "is not another site's plain name, each named once");
      }
      job.moments.push_back(std::move(other));
    }
  }
  const bool compares = job.kind == JobKind::kDrift;
  if ((!job.anchors.empty() || job.slow || (!job.moments.empty() && !compares)) && job.kind != JobKind::kTrain) {
    fields.Fail("anchors", "and slow and moments belong to training jobs");
  }
  if (fields.Has("drift") != compares) fields.Fail("drift", "does not fit the kind of job");
  if (compares && job.moments.empty()) fields.Fail("moments", "are missing: there is nothing to compare with");
  if (compares) job.drift = ReadDrift(fields.Object("drift"), job.moments.size());
  fields.RequireAllRead();
  return job;
}

std::string JobReport::ToText() const {
  return json{{"format", kJobFormat}, {"job", job.Hex()}, {"body", body}}.dump();
}

JobReport JobReport::FromText(std::string_view text, const std::string& where) {
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  RequireFormat(fields);
  JobReport report;
  report.job = fields.Sha256Digest("job");
  report.body = fields.Raw("body");
  if (!report.body.is_object()) fields.Fail("body", "is not an object");
  fields.RequireAllRead();
  return report;
}

std::string JobProgress::ToText() const {
  return json{{"format", kJobFormat}, {"job", job},     {"phase", phase},
              {"done", done},         {"total", total}, {"pictures_per_s_thousandths", pictures_per_s_thousandths}}
      .dump();
}

JobProgress JobProgress::FromText(std::string_view text, const std::string& where) {
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  RequireFormat(fields);
  constexpr std::uint64_t kAny = (1ull << 53) - 1;
  JobProgress progress;
  progress.job = fields.Text("job", 128);
  progress.phase = fields.Text("phase", 64);
  progress.done = fields.Unsigned("done", kAny);
  progress.total = fields.Unsigned("total", kAny);
  progress.pictures_per_s_thousandths = fields.Unsigned("pictures_per_s_thousandths", kAny);
  fields.RequireAllRead();
  return progress;
}

void JobFolder::CreateAll(FileSystem& files) const {
  for (const Path& folder : {root, Objects(), Plans(), Todo(), Work(), Done()}) files.CreateFolders(folder);
}

}  // namespace hemafed
