// auditor/replay.h
// SPDX-License-Identifier: Apache-2.0
//
// Computes again what the coordinator claims to have computed: call Check with each entry and the state before it.
// Holds the current model in its scratch folder, computed by itself from the initial weights on.
//
// Errors: Error(kRefused) where the log and the computation differ, Error(kNotFound) or Error(kCorrupt) where an object
// is missing or is not what its name says. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "codec/update.h"
#include "common/file_system.h"
#include "protocol/federation/federation_state.h"

namespace hemafed::auditor {

class Replay {
 public:
  using ObjectPath = std::function<Path(const Digest&)>;

  // `files` is borrowed.
  Replay(FileSystem& files, Path scratch, ObjectPath object);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void Check(const FederationState& state, const Entry& entry);
  // Rounds merged and heads solved.
  [[nodiscard]] std::uint64_t rounds() const { return rounds_; }

 private:
  void CheckTaskOpened(const FederationState& state, const TaskOpenedEntry& entry);
  void CheckGrownHead(const FederationState& state, const TaskOpenedEntry& entry);
  void CheckFisher(const StatementEntry& entry) const;
  void CheckMeans(const FederationState& state, const StatementEntry& entry) const;
  void CheckMoments(const FederationState& state, const StatementEntry& entry) const;
  void CheckDrift(const FederationState& state, const StatementEntry& entry) const;
  // Derives the model to be scored again.
  void CheckDerived(const FederationState& state, const ModelDerivedEntry& entry);
  // Of the current model's updates.
  [[nodiscard]] UpdateLayout CurrentLayout() const;
  void CopyFile(const Path& from, const Path& to);
  void CheckUpdate(const FederationState& state, const StatementEntry& entry);
  // Score histograms must be there and be of the pictures that the evaluation counts.
  void CheckEvaluation(const FederationState& state, const StatementEntry& entry) const;
  // Computes the open round's merge again, into the scratch folder.
  void CheckMerge(const FederationState& state, std::uint32_t halvings, const Digest& step, const Digest& model);
  void CheckSums(const FederationState& state, const StatementEntry& entry) const;
  // Adds the task's sums and solves the head again.
  void CheckHeadSolved(const FederationState& state, const HeadSolvedEntry& entry);
  // Adds all tasks' sums in the opposite order: the same totals, so the same head.
  void CheckTotals(const FederationState& state) const;
  void CheckRoundClosed(const FederationState& state, const RoundClosedEntry& entry);
  void RequireObject(const Digest& digest, const std::string& what) const;

  FileSystem& files_;
  Path scratch_;
  ObjectPath object_;
  std::uint64_t rounds_ = 0;
  std::vector<Digest> sums_;  // Of the tasks whose head was solved.
};

}  // namespace hemafed::auditor
