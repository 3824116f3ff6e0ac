// SPDX-License-Identifier: Apache-2.0
#include "auditor/audit.h"

#include <vector>

#include "auditor/replay.h"
#include "codec/plan.h"
#include "common/error.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/objects/object_store.h"

namespace hemafed::auditor {

Path AuditedObject(const Path& folder, const Digest& digest) {
  const std::string hex = digest.Hex();
  return folder / "objects" / hex.substr(0, 2) / hex.substr(2);
}

namespace {

// Carries a finding out of the reader's loop.
struct Stop {};

}  // namespace

AuditResult Audit(FileSystem& files, const Trust& trust, const AuditOptions& options) {
  AuditResult result;
  const auto object = [&](const Digest& digest) { return AuditedObject(options.folder, digest); };
  const RoundLogReader log = RoundLogReader::Open(files, options.folder / "log", trust.log_key);
  result.entries = log.checkpoint().size;
  result.root = log.checkpoint().root;

  FederationState state([&](const Digest& plan) { return ReadFile(files, object(plan), kMaxPlanBytes); });
  std::optional<Replay> replay;
  if (options.replay) replay.emplace(files, options.scratch, object);
  const auto check = [&](std::uint64_t index, std::string_view text) {
    try {
      const Entry entry = ParseEntry(text);
      trust.RequireKnown(entry.body);
      if (replay) replay->Check(state, entry);
      if (options.on_entry) {
        state.Check(entry);
        options.on_entry(state, entry);
      }
      state.Apply(entry);
      if (options.progress && std::holds_alternative<TaskClosedEntry>(entry.body)) {
        options.progress("entry " + std::to_string(index + 1) + "/" + std::to_string(result.entries) + ": task " +
                         std::to_string(state.task()) + " agrees");
      }
    } catch (const Error& error) {
      result.finding = Finding{index, error.what()};
      throw Stop{};
    }
  };
  try {
    if (const auto defect = log.ForEach(check)) result.finding = Finding{defect->entry, defect->message};
  } catch (const Stop&) {
    // The finding is set.
  }
  if (replay) result.aggregates = replay->rounds();
  if (state.has_plan()) {
    result.model = state.scored_model();
    for (const Column& column : state.plan().Columns()) result.columns.push_back(column.title);
    result.matrix = state.matrix();
  }
  result.closed = state.phase() == Phase::kClosed;
  if (options.on_agreement && !result.finding) options.on_agreement(state, result);
  return result;
}

}  // namespace hemafed::auditor
