// SPDX-License-Identifier: Apache-2.0
#include "coordinator/published_state.h"

#include "codec/plan.h"
#include "common/error.h"
#include "protocol/log/round_log_reader.h"
#include "protocol/objects/object_store.h"

namespace hemafed::coordinator {

NoteKey LogKeyOf(const Consortium& consortium) {
  return {.name = consortium.settings.name, .type = NoteKeyType::kEd25519, .key = consortium.log_key.PublicKey()};
}

FederationState ReadPublishedState(FileSystem& files, const Consortium& consortium) {
  const ObjectStore store(files, consortium.folder.root);
  FederationState state([&](const Digest& plan) { return ReadFile(files, store.PathOf(plan), kMaxPlanBytes); });
  const RoundLogReader log = RoundLogReader::Open(files, consortium.folder.Log(), LogKeyOf(consortium));
  const auto defect =
      log.ForEach([&](std::uint64_t /*index*/, std::string_view text) { state.Apply(ParseEntry(text)); });
  if (defect) throw Error(ErrorCode::kCorrupt, defect->message);
  return state;
}

}  // namespace hemafed::coordinator
