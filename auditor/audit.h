// auditor/audit.h
// SPDX-License-Identifier: Apache-2.0
//
// Checks a consortium's log from public keys only.
//
// Verify: the checkpoint is signed by the log's key; every entry is the one its tree covers; every entry may stand
// where it stands (order, signatures of operator and labs, weights, metrics: protocol/federation/federation_state.h).
//
// Replay does all of that and computes again, from the plan, the initial weights and the sites' integers: the grown
// head, each round's merged step and model (design, 11.10-11). Models are computed one from the other, starting at the
// initial weights; a stored model is only compared, never trusted.
//
// The first difference ends the audit and is named with its entry. Errors: a difference is a value (Finding); a folder
// that cannot be read throws. Thread-safety: one thread. Memory does not grow with log or model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "auditor/trust.h"
#include "common/file_system.h"
#include "protocol/federation/federation_state.h"

namespace hemafed::auditor {

struct Finding {
  std::optional<std::uint64_t> entry;  // First entry that is wrong; none if the entries themselves are intact.
  std::string message;
};

struct AuditResult {
  std::uint64_t entries = 0;  // In the checkpoint.
  Digest root;
  std::optional<Finding> finding;    // None: everything agrees.
  std::uint64_t aggregates = 0;      // Rounds computed again.
  Digest model;                      // The last model that the audit reached.
  bool closed = false;               // The plan was run to its end.
  std::vector<std::string> columns;  // Titles of the matrix's columns: tasks in order, then observers.
  AccuracyMatrix matrix;             // One row for each closed task, from the sites' signed confusion matrices.
};

struct AuditOptions {
  Path folder;   // With log/ and objects/; read only.
  Path scratch;  // For replay: holds three models at most; emptied afterwards.
  bool replay = false;
  std::function<void(const std::string&)> progress;  // One line now and then; may be empty.
  // Each entry that agrees, with the state before it; may be empty. What it throws ends the audit as a finding.
  std::function<void(const FederationState& before, const Entry& entry)> on_entry = {};
  // Called once, if there is no finding, with the state after the last entry; may be empty.
  std::function<void(const FederationState& state, const AuditResult& result)> on_agreement = {};
};

// Below a folder that may be mounted read-only: unlike an ObjectStore it creates nothing.
[[nodiscard]] Path AuditedObject(const Path& folder, const Digest& digest);

[[nodiscard]] AuditResult Audit(FileSystem& files, const Trust& trust, const AuditOptions& options);

}  // namespace hemafed::auditor
