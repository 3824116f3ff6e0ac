// coordinator/ledger.h
// SPDX-License-Identifier: Apache-2.0
//
// The round log and the state that follows from it, kept together: an entry is checked, written and synced, then
// applied. Opening rebuilds the state from the log alone, so a coordinator that was killed anywhere goes on where it
// was.
//
// Errors: those of FederationState::Check and RoundLogWriter::Append. After a failed append the ledger refuses
// everything until it is opened again. Thread-safety: one thread.
#pragma once

#include <functional>
#include <string>

#include "common/clock.h"
#include "protocol/federation/federation_state.h"
#include "protocol/log/round_log_writer.h"

namespace hemafed::coordinator {

class Ledger {
 public:
  // `clock` is borrowed and must outlive the ledger.
  Ledger(RoundLogWriter log, FederationState::PlanLoader load_plan, const Clock& clock);

  // Returns the entry's index once it is durable.
  std::uint64_t Append(EntryBody body);

  [[nodiscard]] const FederationState& state() const { return state_; }
  [[nodiscard]] const RoundLogWriter& log() const { return log_; }

 private:
  RoundLogWriter log_;
  FederationState state_;
  const Clock& clock_;
};

}  // namespace hemafed::coordinator
