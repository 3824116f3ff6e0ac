// SPDX-License-Identifier: Apache-2.0
#include "codec/job_folder.h"

#include <array>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 12> kKindNames{"commit", "train", "select",  "evaluate", "judge", "sum",
                                                      "agree",  "seal",  "receive", "fisher",   "means", "remove"};
constexpr std::int64_t kJobFormat = 1;

void RequireFormat(JsonFields& fields) {
  const std::int64_t format = fields.Integer("format", 0, INT32_MAX);
  if (format != kJobFormat) {
    fields.Fail("format", "is " + std::to_string(format) + "; this program reads format " + std::to_string(kJobFormat));
  }
}

}  // namespace

std::string_view JobKindName(JobKind kind) noexcept { return kKindNames[static_cast<std::size_t>(kind)]; }

std::string Job::Name() const {
  std::string name = plan.Hex().substr(0, 8) + "-t" + std::to_string(task);
  if (kind == JobKind::kTrain || kind == JobKind::kJudge) name += "-r" + std::to_string(round);
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
  if ((!job.anchors.empty() || job.slow) && job.kind != JobKind::kTrain) {
    fields.Fail("anchors", "and slow belong to training jobs");
  }
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
