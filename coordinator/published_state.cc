// SPDX-License-Identifier: Apache-2.0
#include "coordinator/published_state.h"

#include <functional>

#include "codec/plan.h"
#include "common/error.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/objects/object_store.h"
#include "protocol/report/consortium_report.h"

namespace hemafed::coordinator {

NoteKey LogKeyOf(const Consortium& consortium) {
  return {.name = consortium.settings.name, .type = NoteKeyType::kEd25519, .key = consortium.log_key.PublicKey()};
}

namespace {

using OnEntry = std::function<void(const FederationState& before, const Entry& entry)>;

// Applies every entry of the published log.
FederationState Fold(FileSystem& files, const Consortium& consortium, const RoundLogReader& log,
                     const OnEntry& on_entry) {
  const ObjectStore store(files, consortium.folder.root);
  FederationState state([&](const Digest& plan) { return ReadFile(files, store.PathOf(plan), kMaxPlanBytes); });
  const auto defect = log.ForEach([&](std::uint64_t /*index*/, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (on_entry) on_entry(state, entry);
    state.Apply(entry);
  });
  if (defect) throw Error(ErrorCode::kCorrupt, defect->message);
  return state;
}

}  // namespace

FederationState ReadPublishedState(FileSystem& files, const Consortium& consortium) {
  return Fold(files, consortium, RoundLogReader::Open(files, consortium.folder.Log(), LogKeyOf(consortium)), {});
}

std::string ReportPublished(FileSystem& files, const Consortium& consortium, const std::optional<Path>& folder) {
  const ObjectStore store(files, consortium.folder.root);
  const RoundLogReader log = RoundLogReader::Open(files, consortium.folder.Log(), LogKeyOf(consortium));
  FederationHistory history([&](const Digest& digest) { return files.OpenForRead(store.PathOf(digest)); });
  const FederationState state = Fold(
      files, consortium, log, [&](const FederationState& before, const Entry& entry) { history.Add(before, entry); });
  const ConsortiumReport report(state, history, {.entries = log.checkpoint().size, .root = log.checkpoint().root});
  if (folder) report.WriteTo(files, *folder);
  return report.Text();
}

}  // namespace hemafed::coordinator
