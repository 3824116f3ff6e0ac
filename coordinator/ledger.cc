// SPDX-License-Identifier: Apache-2.0
#include "coordinator/ledger.h"

#include <utility>

#include "common/error.h"

namespace hemafed::coordinator {

Ledger::Ledger(RoundLogWriter log, FederationState::PlanLoader load_plan, const Clock& clock)
    : log_(std::move(log)), state_(std::move(load_plan)), clock_(clock) {
  log_.ForEach(0, [&](std::uint64_t index, std::string_view text) {
    try {
      state_.Apply(ParseEntry(text));
    } catch (const Error& error) {
      throw Error(ErrorCode::kCorrupt, "log entry " + std::to_string(index) + " cannot stand where it does: " +
                                           error.what() + "; restore the log/ folder from a copy");
    }
  });
}

std::uint64_t Ledger::Append(EntryBody body) {
  const Entry entry{.at_ms = clock_.WallMs(), .body = std::move(body)};
  state_.Check(entry);
  const std::uint64_t index = log_.Append(EntryToText(entry));
  state_.Apply(entry);
  return index;
}

}  // namespace hemafed::coordinator
