// protocol/federation/lab_withdrawals.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures that a lab's people took back after they had travelled: agent/withdrawals-<plan>.json, to which
// `hemafed-train withdraw` (run by a person, who can read the vault) appends and which the agent states one after the
// other while it runs under that plan. It names places in bundles, no pictures. A file for each plan: what is still
// unsaid when the lab goes over to another plan waits there.
//
//     {"plan":hex,"withdrawals":[{"bundle":hex,"items":[number, ...]}, ...]}
//
// Errors: kInvalidInput for a file that is none, or for more than fit; those of FileSystem. Thread-safety: value type,
// free functions.
#pragma once

#include <set>
#include <vector>

#include "codec/exchange.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

struct LabWithdrawals {
  Digest plan;
  std::vector<WithdrawalReport> reports;  // In the order in which they were decided; never changed, only appended.

  void Save(FileSystem& files, const Path& path) const;
};

// Below a lab's folder.
[[nodiscard]] Path WithdrawalsFileOf(const Path& lab, const Digest& plan);
// Nothing withdrawn if there is no such file.
[[nodiscard]] LabWithdrawals LoadLabWithdrawals(FileSystem& files, const Path& path);

// What of all of them is in a log, by SHA-256 of the statements' texts, which name the plan:
// agent/withdrawals_said.json, written by the agent.
void SaveSaidWithdrawals(FileSystem& files, const Path& path, const std::set<Digest>& said);
[[nodiscard]] std::set<Digest> LoadSaidWithdrawals(FileSystem& files, const Path& path);

}  // namespace hemafed
