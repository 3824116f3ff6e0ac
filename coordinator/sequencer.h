// coordinator/sequencer.h
// SPDX-License-Identifier: Apache-2.0
//
// Moves a plan forward: looks at the state that the log gives and does what is due, one entry at a time. What is due is
// a function of the state, so a restart needs no other memory. Models that an entry names are in the object store,
// synced, before the entry is written; a crash in between costs computing them again.
//
//   phase           due when                                       entry
//   between tasks   every site of the plan has joined, and labs    task_opened (head grown from the plan's seed)
//                   have agreed where pictures travel
//                   no task is left                                plan_closed
//   between rounds  always                                         round_opened
//   round open      every participant answered                     round_closed (weighted integers, design 11.10-11)
//                   the same, and the task has judges              candidate
//                   the same, but the round cannot close           paused
//   summing         the active site's sums were refused            paused
//   judging         every judge has spoken                         round_closed, or candidate with the step halved
//   solving         the sums are there, and solved (head_solver.h)      head_solved
//   summarising     every holder of exemplars sent class means     model_derived
//   deriving        always                                         model_derived
//   evaluating      exemplars are chosen and their bundles sent,   task_closed
//                   every site has scored
//
// Errors: those of the ledger, the object store and Aggregate. Thread-safety: one thread.
#pragma once

#include <optional>
#include <string>

#include "codec/aggregate.h"
#include "coordinator/head_solver.h"
#include "coordinator/ledger.h"
#include "protocol/objects/object_store.h"

namespace hemafed::coordinator {

class Sequencer {
 public:
  // All borrowed. `scratch` is a folder on the store's disk for models being computed.
  Sequencer(FileSystem& files, Ledger& ledger, ObjectStore& store, HeadSolver& solver, Path scratch);

  // Does one due step; false if nothing is due.
  bool Step();
  // Writes into the log that the open step stands still.
  void Pause(const std::string& reason);
  // Why the plan cannot go on without a person, or a late site, if so.
  [[nodiscard]] std::optional<std::string> Stuck() const;

 private:
  void OpenTask();
  // A stored model as it is at the start of the next task: its head grown from the plan's seed.
  [[nodiscard]] Digest Grown(const Digest& model);
  void Derive();
  // Merges the round's updates into a model in the store; returns step and model.
  [[nodiscard]] AggregateResult MergeRound(std::uint32_t halvings);
  void OfferCandidate(std::uint32_t halvings);
  void CloseRound();
  // Starts solving, or takes what was solved; false while it is at work or failed.
  bool SolveTheHead();

  FileSystem& files_;
  Ledger& ledger_;
  ObjectStore& store_;
  HeadSolver& solver_;
  Path scratch_;
  std::optional<std::string> unsolvable_;  // Why the open task's head cannot be solved; found again after a restart.
};

}  // namespace hemafed::coordinator
