// protocol/federation/entries.h
// SPDX-License-Identifier: Apache-2.0
//
// The entries of the round log: small canonical JSON texts (docs/round_log.md lists every field). Each says what
// happened; together they are the coordinator's only state. Weights, updates and plans are objects, named here by
// digest.
//
// ParseEntry bounds and checks the form of one entry; whether it may stand where it stands is FederationState's
// question. Errors: Error(kInvalidInput). Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/sha256.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

// A lab's public identity: what its roster entry binds together.
struct LabIdentity {
  std::string slot;                // The lab's name in plans, tables and logs.
  Bytes curve_key;                 // 32 bytes: the key of its connection.
  Ed25519PublicKey statement_key;  // Signs updates, evaluations and every other statement.
  Ed25519PublicKey witness_key;    // Signs what it has seen of the log.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static LabIdentity FromJson(const nlohmann::json& object, const std::string& where);
  bool operator==(const LabIdentity&) const = default;
};

// The first entry: who runs this log.
struct ConsortiumEntry {
  std::string name;
  Ed25519PublicKey operator_key;
  Ed25519PublicKey log_key;
  Bytes server_key;  // CURVE, 32 bytes.
};

struct RosterEntry {
  bool joins = true;  // False: the lab is revoked.
  LabIdentity lab;
  Ed25519Signature lab_signature{};       // By the lab's statement key over its identity.
  Ed25519Signature operator_signature{};  // By the operator over change and identity.
};

struct PlanEntry {
  Digest plan;
  Ed25519Signature operator_signature{};
};

struct TaskOpenedEntry {
  std::uint32_t task = 0;
  Digest base;                    // Current model with the head grown to this task's classes.
  std::optional<Digest> teacher;  // Model after the previous task.
  std::vector<std::string> participants;
  std::optional<Digest> slow;  // Under strategy slow_fast: the slow model, its head grown likewise.
};

struct RoundOpenedEntry {
  std::uint32_t task = 0, round = 0;
  Digest base;
};

// What a site can state; the number is the kind of a Submission on the wire.
enum class StatementKind : std::uint16_t {
  kCommitment = 1,
  kUpdate = 2,
  kAcknowledgement = 3,  // "I hold the model with this digest."
  kExemplars = 4,
  kEvaluation = 5,
  kJudgement = 6,
  kSums = 7,
  // Of exemplars that travel (codec/exchange.h). All but bundle and received are about the plan (IsAboutPlan).
  kAgreement = 8,
  kAgreementEnd = 9,
  kBundle = 10,
  kReceived = 11,
  kFisher = 12,
  kMeans = 13,
  kWithdrawal = 14,
  kRemoved = 15,
  kMoments = 16,
  kDrift = 17,
};
[[nodiscard]] std::string_view StatementKindName(StatementKind kind) noexcept;
// Whether it is about the plan as a whole: task and round 0, subject the plan's digest.
[[nodiscard]] bool IsAboutPlan(StatementKind kind) noexcept;

// A site's signed word about one step. `subject` is the model it is about: the base of a round, the model evaluated,
// the candidate judged.
struct SiteStatement {
  StatementKind kind = StatementKind::kCommitment;
  std::uint32_t task = 0, round = 0;
  Digest subject;
  nlohmann::json
      body;  // A report (codec/reports.h, codec/exchange.h, codec/drift_report.h); {} where the kind says everything.

  // Canonical JSON of everything above: the body of a Submission.
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static SiteStatement FromText(std::string_view text);
};

struct StatementEntry {
  std::string site;
  SiteStatement statement;
  Ed25519Signature signature{};
};

// A statement that was well formed and signed, yet broke a rule: kept so that nobody can claim it was never refused.
struct RefusedEntry {
  std::string site;
  std::uint32_t task = 0, round = 0;
  Digest update;  // Canonical digest that the site claimed.
  std::string reason;
};

// A site that did not answer in the plan's time, or that the operator left out: the task, or its closing, goes on
// without it. Whether it was late is the coordinator's word; that it had not answered, the log shows.
struct AbsentEntry {
  std::string site;
  std::uint32_t task = 0, round = 0;
  std::uint64_t exemplars = 0;  // What is not rehearsed because of it.
};

// The task stands still: sites that the plan does not go on without are late, or the active site's update was refused.
// It goes on when they answer, or as the operator decides.
struct PausedEntry {
  std::uint32_t task = 0, round = 0;
  std::vector<std::string> sites;  // Who keeps it from going on.
  std::string reason;              // For people.
};

// What the operator decides about a site while the task is paused.
enum class DecisionKind : std::uint8_t {
  kLeaveOut,  // Go on without this late site, for the open task.
  kTryAgain,  // Ask this site, without whose update the round cannot close, to train it (again).
};
[[nodiscard]] std::string_view DecisionName(DecisionKind kind) noexcept;
struct DecisionEntry {
  DecisionKind kind = DecisionKind::kLeaveOut;
  std::string site;
  std::uint32_t task = 0, round = 0;
  Ed25519Signature operator_signature{};
};

// A model that the round may end with, for the retention gate (design, 4.4).
struct CandidateEntry {
  std::uint32_t task = 0, round = 0;
  std::uint32_t halvings = 0;  // Of the merged step.
  Digest step;                 // Canonical digest of the merged integers.
  Digest model;
};

struct RoundClosedEntry {
  std::uint32_t task = 0, round = 0;
  std::uint32_t halvings = 0;  // Of the step that was taken.
  bool rejected = false;       // Every candidate lost too much: the model stays the round's base.
  std::vector<std::pair<std::string, std::uint32_t>> weights;  // Site and integer weight; they sum to 2^15.
  Digest step;                                                 // Canonical digest of the merged integers.
  Digest model;                                                // Of the next round's base.
  std::optional<Digest> slow;                                  // Under strategy slow_fast: after it followed.
};

// What the coordinator makes of a task's trained model by the plan's strategy (protocol/federation/derived_model.h).
struct ModelDerivedEntry {
  std::uint32_t task = 0;
  Digest model;
};

// The analytic head after a task (codec/ridge_head.h). What could not be solved, or left a residual that rounding does
// not explain, is never logged.
struct HeadSolvedEntry {
  std::uint32_t task = 0;
  Digest sums;    // Of the task, as its site signed them.
  Digest totals;  // Of all tasks so far, added.
  Digest head;    // The solved head (codec/analytic_head.h), of which the trunk is the plan's initial weights.
};

struct TaskClosedEntry {
  std::uint32_t task = 0;
  Digest model;
  // Accuracy in millionths, in the order of Plan::Columns(); nothing where a site did not score.
  std::vector<std::optional<std::uint64_t>> accuracy_millionths;
};

struct PlanClosedEntry {
  Digest model;
  // Of AccuracyMatrix (codec/evaluation.h).
  std::optional<std::int64_t> average_accuracy_millionths;
  std::optional<std::int64_t> de_lange_forgetting_millionths;
  std::optional<std::int64_t> first_task_drop_millionths;
};

using EntryBody = std::variant<ConsortiumEntry, RosterEntry, PlanEntry, TaskOpenedEntry, RoundOpenedEntry,
                               StatementEntry, RefusedEntry, AbsentEntry, PausedEntry, DecisionEntry, CandidateEntry,
                               RoundClosedEntry, HeadSolvedEntry, ModelDerivedEntry, TaskClosedEntry, PlanClosedEntry>;

struct Entry {
  std::int64_t at_ms = 0;  // The coordinator's wall clock; nothing is decided by it.
  EntryBody body;
};

[[nodiscard]] std::string EntryToText(const Entry& entry);
[[nodiscard]] Entry ParseEntry(std::string_view text);
// "round_closed", ...
[[nodiscard]] std::string_view EntryTypeName(const EntryBody& body) noexcept;

}  // namespace hemafed
