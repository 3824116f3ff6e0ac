// protocol/report/federation_history.h
// SPDX-License-Identifier: Apache-2.0
//
// What a log says about the whole course of a plan: FederationState forgets a round when the next one opens, a report
// needs them all. Call Add with each entry and the state before it, as the auditor's replay is called; nothing is
// checked again, except that score histograms are those that the site signed.
//
// Memory: one record for each round and update; a plan of kMaxTasks x kMaxRounds is bounded by its log.
//
// Errors: kNotFound or kCorrupt for a missing or changed object of score histograms. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codec/score_histograms.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

// One update that was taken.
struct UpdateRecord {
  std::string site;
  std::uint64_t pictures = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t loss_millionths = 0;
  std::uint64_t distillation_millionths = 0;
  // L_dist on the site's probe, of the round's base and of what it trained; none without a teacher.
  std::optional<std::uint64_t> probe_before_millionths, probe_after_millionths;
  std::optional<std::uint32_t> weight;  // Of 2^15; none while the round is open.
};

// Moments of latents that one site stated before a round.
struct MomentsRecord {
  std::string site;
  std::uint64_t cells = 0;
  std::uint64_t file_bytes = 0;
};

// What the judges said of one candidate, all their pictures together.
struct GateRecord {
  std::uint32_t halvings = 0;
  std::uint64_t pictures = 0;
  std::uint64_t agreed_before = 0;  // With the round's base.
  std::uint64_t agrees = 0;
  bool accepted = false;
};

struct RoundRecord {
  std::uint32_t task = 0, round = 0;
  std::vector<UpdateRecord> updates;   // In the order in which they came.
  std::vector<MomentsRecord> moments;  // Likewise, of plans that align latents.
  std::vector<RefusedEntry> refused;
  std::vector<AbsentEntry> absent;  // From this round on.
  std::vector<GateRecord> gate;
  bool closed = false;
  bool rejected = false;
  std::uint32_t halvings = 0;
  Digest model;
};

// The task stood still, or the operator decided about a site.
struct StandstillRecord {
  std::uint32_t round = 0;
  std::vector<std::string> sites;
  std::string what;  // Reason of a pause; name of a decision.
  bool decision = false;
};

// What the analytic head was solved from (docs/feature_sums.md).
struct SumsRecord {
  std::string site;
  std::uint64_t pictures = 0;
  std::uint64_t clamped = 0;  // Features beyond the grid's reach.
  std::uint64_t file_bytes = 0;
  std::optional<Digest> head;  // None until it is solved.
};

// A file beside updates, scores and sums: Fisher information, class means, latent moments, or a bundle of exemplars.
struct OtherFileRecord {
  std::string site;
  std::uint64_t bytes = 0;
};

// How a hospital's latents were compared with those of the hospitals before it, under [drift].
struct DriftRecord {
  std::string site;
  std::vector<std::string> against;   // In the order of the log; none for the first hospital.
  std::vector<std::int64_t> members;  // MMD^2 in millionths of those of them that have one, beside which it was judged.
  std::uint64_t pictures = 0;         // Whose moments it has stated; 0 until then.
  bool too_few = false;               // It had fewer than min_pictures left, for a comparison or for moments.
  std::optional<DriftAnswer> answer;
};

struct TaskRecord {
  std::vector<std::string> participants;
  std::map<std::string, std::uint64_t> pictures;  // By site: what it committed to.
  std::optional<std::uint64_t> exemplars;         // That the active site keeps in all its lists.
  std::vector<AbsentEntry> absent;                // Before the first round.
  std::optional<DriftRecord> drift;               // Of the active site, in its first task under [drift].
  std::vector<RoundRecord> rounds;
  std::vector<AbsentEntry> without_means;  // Hospitals whose class means the task goes on without.
  std::vector<OtherFileRecord> other_files;
  std::vector<RefusedEntry> refused;  // Sums; refused updates stand in their rounds.
  std::optional<SumsRecord> sums;     // Of plans that solve the head.
  std::vector<StandstillRecord> standstills;
  std::vector<std::string> unscored;  // Sites whose evaluation the task was closed without.
  std::map<std::string, EvaluationReport> evaluations;
  std::map<std::string, ScoreHistograms> scores;  // Of those that may be shown.
  bool closed = false;
};

class FederationHistory {
 public:
  // Opens an object by its digest, or throws kNotFound.
  using OpenObject = std::function<std::unique_ptr<ReadableFile>(const Digest&)>;

  explicit FederationHistory(OpenObject open) : open_(std::move(open)) {}

  // `before` is the state that the entry is about to be applied to, and the entry may stand there.
  void Add(const FederationState& before, const Entry& entry);

  // Of the tasks opened so far.
  [[nodiscard]] const std::vector<TaskRecord>& tasks() const { return tasks_; }

 private:
  void Add(const FederationState& before, const StatementEntry& entry);
  // The open task's, begun if it is not there yet.
  [[nodiscard]] DriftRecord& DriftOf(const FederationState& before, const std::string& site);
  void CloseRound(const FederationState& before, const RoundClosedEntry& entry);
  // What the judges decided about the state's candidate.
  void Judge(const FederationState& before);
  [[nodiscard]] RoundRecord& Round() { return tasks_.back().rounds.back(); }

  OpenObject open_;
  std::vector<TaskRecord> tasks_;
  std::vector<MomentsRecord> moments_;           // For the round that opens next.
  std::vector<AbsentEntry> absent_;              // Likewise: who sent none.
  std::map<std::string, std::uint64_t> agreed_;  // By judge, on the open round's base; none in a task's first round.
};

}  // namespace hemafed
