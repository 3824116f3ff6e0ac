// SPDX-License-Identifier: Apache-2.0
#include "studies/local_federation/poison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "codec/exact.h"
#include "codec/reports.h"
#include "common/bytes.h"
#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"

namespace hemafed::studies {

namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kScale = 100;

std::int32_t Held(std::int64_t value) { return static_cast<std::int32_t>(std::clamp(value, kLeast, kMost)); }

std::vector<float> ReadTensor(const SafetensorsReader& model, const TensorInfo& tensor) {
  std::vector<float> values(tensor.Values());
  model.Read(tensor, 0, std::span(reinterpret_cast<std::uint8_t*>(values.data()), tensor.bytes));
  return values;
}

}  // namespace

const std::vector<std::string_view>& PoisonNames() {
  static const std::vector<std::string_view> names{"sign_flipped", "scaled",     "random",
                                                   "not_a_number", "stale_base", "other_base"};
  return names;
}

std::string_view PoisonName(PoisonKind kind) noexcept { return PoisonNames()[static_cast<std::size_t>(kind)]; }

PoisonSettings PoisonSettings::FromText(std::string_view text) {
  const auto fail = [&](const std::string& why) -> PoisonSettings {
    std::string known;
    for (const std::string_view name : PoisonNames()) known.append(known.empty() ? "" : ", ").append(name);
    throw Error(ErrorCode::kInvalidInput, "poison '" + std::string(text) + "' " + why +
                                              "; write SITE:KIND:TASK with the first poisoned task from 1 on, for "
                                              "example raabin:sign_flipped:2; kinds: " +
                                              known);
  };
  const std::size_t first = text.find(':'), last = text.rfind(':');
  if (first == std::string_view::npos || first == last) return fail("does not have three parts");
  PoisonSettings settings;
  settings.site = text.substr(0, first);
  if (!IsPlainName(settings.site)) return fail("does not begin with the name of a site");
  const std::string_view kind = text.substr(first + 1, last - first - 1);
  const auto found = std::find(PoisonNames().begin(), PoisonNames().end(), kind);
  if (found == PoisonNames().end()) return fail("is of no known kind");
  settings.kind = static_cast<PoisonKind>(found - PoisonNames().begin());
  const std::string_view number = text.substr(last + 1);
  std::uint32_t task = 0;
  for (const char digit : number) {
    if (digit < '0' || digit > '9') return fail("does not end with the number of a task");
    task = std::min<std::uint32_t>(10 * task + static_cast<std::uint32_t>(digit - '0'), kMaxTasks + 1);
  }
  if (number.empty() || task < 1 || task > kMaxTasks) return fail("does not end with the number of a task");
  settings.from_task = task - 1;
  return settings;
}

std::string PoisonSettings::ToText() const {
  return site + ":" + std::string(PoisonName(kind)) + ":" + std::to_string(from_task + 1);
}

Poison::Poison(FileSystem& files, JobFolder jobs, PoisonSettings settings, Path memory)
    : files_(files), jobs_(std::move(jobs)), settings_(std::move(settings)), memory_(std::move(memory)) {
  files_.CreateFolders(memory_);
}

Path Poison::RememberedBase(const Job& job, std::uint32_t round) const {
  return memory_ / ("base-t" + std::to_string(job.task) + "-r" + std::to_string(round));
}

void Poison::Remember(const Job& job) {
  const Path kept = RememberedBase(job, job.round);
  if (!files_.Exists(kept)) {
    WriteFileAtomically(files_, kept, ReadFile(files_, jobs_.Object(job.model), std::size_t{1} << 30));
  }
  if (job.round > 1) files_.Remove(RememberedBase(job, job.round - 2));
}

void Poison::RewriteResults(const Plan& plan) {
  for (const std::string& name : files_.List(jobs_.Done())) {
    const Path todo = jobs_.JobFile(name);
    if (!files_.Exists(todo)) continue;
    const Job job = Job::FromText(ReadFile(files_, todo, kMaxJobBytes), todo.string());
    if (job.kind != JobKind::kTrain || job.site != settings_.site) continue;
    Remember(job);
    if (job.task >= settings_.from_task) Rewrite(job, plan);
  }
}

void Poison::Rewrite(const Job& job, const Plan& plan) {
  const Path done = jobs_.DoneFolder(job.Name());
  const std::string report_text = ReadFile(files_, done / std::string(kReportFileName), kMaxReportBytes);
  const Path marker = memory_ / ("rewritten-" + job.Name());
  if (files_.Exists(marker) && ReadFile(files_, marker, 128) == Sha256Of(report_text).Hex()) return;
  if (plan.aggregation.encoding != UpdateEncoding::kInt32) {
    throw Error(ErrorCode::kInvalidInput,
                "poison needs a plan with update = \"int32\": the files of int8 hold no "
                "integers but those on their scales");
  }
  JobReport report = JobReport::FromText(report_text, done.string());
  auto update = UpdateReport::FromJson({report.body, done.string()});
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(job.model)));
  std::vector<std::int32_t> values;
  (void)DecodeUpdate(
      *files_.OpenForRead(done / std::string(kUpdateFileName)), layout,
      [&](std::span<const std::int32_t> part) { values.insert(values.end(), part.begin(), part.end()); });

  const Path work = jobs_.Work() / (job.Name() + "-poisoned");
  files_.Remove(work);
  files_.CreateFolders(work);
  UpdateWriter writer(files_, work / std::string(kUpdateFileName), layout);
  writer.Append(Poisoned(job, plan, std::move(values), layout));
  const UpdateFileInfo file = writer.Finish();
  update.values = file.values;
  update.file = file.file;
  update.file_bytes = file.file_bytes;
  report.body = update.ToJson();
  WriteFileAtomically(files_, work / std::string(kReportFileName), report.ToText());
  // Killed from here on, the trainer finds no result and makes the honest one again.
  WriteFileAtomically(files_, marker, Sha256Of(report.ToText()).Hex());
  files_.Remove(done);
  files_.Rename(work, done);
}

std::vector<std::int32_t> Poison::Poisoned(const Job& job, const Plan& plan, std::vector<std::int32_t> honest,
                                           const UpdateLayout& layout) const {
  switch (settings_.kind) {
    case PoisonKind::kSignFlipped:
      for (std::int32_t& q : honest) q = Held(-std::int64_t{q});
      return honest;
    case PoisonKind::kScaled:
      for (std::int32_t& q : honest) q = Held(kScale * q);
      return honest;
    case PoisonKind::kRandom: {
      double squares = 0;
      for (const std::int32_t q : honest) squares += static_cast<double>(q) * q;
      // The mean square of uniform integers within +-b is b (b + 1) / 3.
      const double mean = honest.empty() ? 0 : squares / static_cast<double>(honest.size());
      const auto bound = static_cast<std::uint32_t>(std::min(std::sqrt(3 * mean), static_cast<double>(kMost) / 2));
      RandomStream random(DeriveSeed(plan.seed, "poison of " + job.Name() + " at " + job.site));
      for (std::int32_t& q : honest) {
        q = static_cast<std::int32_t>(std::int64_t{random.NextBelow(2 * bound + 1)} - std::int64_t{bound});
      }
      return honest;
    }
    case PoisonKind::kNotANumber:
      std::fill(honest.begin(), honest.end(), static_cast<std::int32_t>(kLeast));
      return honest;
    case PoisonKind::kStaleBase:
    case PoisonKind::kOtherBase: {
      const bool stale = settings_.kind == PoisonKind::kStaleBase && job.round > 0;
      if (!stale && !job.teacher) return honest;  // Nothing came before.
      return Rebased(std::move(honest), stale ? RememberedBase(job, job.round - 1) : jobs_.Object(*job.teacher), job,
                     layout);
    }
  }
  return honest;
}

std::vector<std::int32_t> Poison::Rebased(std::vector<std::int32_t> honest, const Path& from, const Job& job,
                                          const UpdateLayout& layout) const {
  const SafetensorsReader base = SafetensorsReader::Open(files_, jobs_.Object(job.model));
  const SafetensorsReader other = SafetensorsReader::Open(files_, from);
  std::size_t at = 0;
  for (const TensorSpec& spec : layout.tensors) {
    const std::vector<float> to = ReadTensor(base, base.Require(spec.name));
    // A head may have grown since; its new rows stay as they are.
    const std::vector<float> then = ReadTensor(other, other.Require(spec.name));
    for (std::size_t i = 0; i < to.size(); ++i, ++at) {
      if (i >= then.size()) continue;
      const double steps = std::ldexp(static_cast<double>(then[i]) - static_cast<double>(to[i]), kGridBits);
      honest[at] = Held(honest[at] + static_cast<std::int64_t>(RoundHalfEven(std::clamp(steps, -1e12, 1e12))));
    }
  }
  return honest;
}

}  // namespace hemafed::studies
