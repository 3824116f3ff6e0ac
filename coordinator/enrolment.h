// coordinator/enrolment.h
// SPDX-License-Identifier: Apache-2.0
//
// How a lab gets into the roster: the operator invites a slot, the lab presents the token's secret and its public keys,
// both people compare a fingerprint, the operator approves, and the running coordinator logs the signed decision.
//
// Operator commands and the running coordinator meet only in the consortium's folder (invites/, pending/, inbox/), so
// the operator needs no connection, and a decision made while the coordinator is down takes effect when it starts.
//
// Errors: kNotFound, kConflict, kRefused with what to do. Thread-safety: one thread per process; files appear by
// rename.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "coordinator/consortium_folder.h"
#include "protocol/federation/entries.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/invitation.h"
#include "protocol/wire/messages.h"

namespace hemafed::coordinator {

inline constexpr std::int64_t kInvitationValidMs = 7ll * 24 * 3600 * 1000;  // A week: long enough for a lab's IT desk.

// A lab that presented its invitation and waits for the operator.
struct PendingLab {
  LabIdentity lab;
  Ed25519Signature signature{};
  std::string fingerprint;
};

// --- The operator's commands ---

[[nodiscard]] Invitation Invite(FileSystem& files, const Consortium& consortium, const std::string& slot,
                                std::int64_t now_ms);
[[nodiscard]] std::vector<PendingLab> ListPending(FileSystem& files, const Consortium& consortium);
// Signs the admission of a pending lab, after checking that `fingerprint` is the one the lab sees.
void Approve(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
             const std::string& slot, const std::string& fingerprint);
// Signs the removal of an admitted lab.
void Revoke(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
            const LabIdentity& lab);
// Signs a plan and leaves text and signature for the coordinator. Checks it first.
void SubmitPlan(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
                const Path& plan_file);

// Signs a decision about a site of the paused task; `state` is what the log says now. kConflict where there is nothing
// to decide.
void Decide(FileSystem& files, const Consortium& consortium, const FederationState& state,
            const Ed25519KeyPair& operator_key, DecisionKind kind, const std::string& site);

// --- The running coordinator's side ---

// Answers a request to join; never throws for what a stranger sent.
[[nodiscard]] wire::Message AnswerEnrolment(FileSystem& files, const Consortium& consortium,
                                            const FederationState& state, const wire::EnrolRequest& request,
                                            ByteView connection_key, std::int64_t now_ms);
[[nodiscard]] wire::Message AnswerPoll(FileSystem& files, const Consortium& consortium, const FederationState& state,
                                       const wire::EnrolPoll& poll, ByteView connection_key);

// A signed decision from inbox/.
struct Decision {
  Path file;
  EntryBody entry;                       // RosterEntry, PlanEntry or DecisionEntry.
  std::optional<std::string> plan_text;  // With a PlanEntry.
};
[[nodiscard]] std::vector<Decision> ReadInbox(FileSystem& files, const Consortium& consortium);
// After the decision is logged: removes it with its invitation and pending file.
void Settle(FileSystem& files, const Consortium& consortium, const Decision& decision);

}  // namespace hemafed::coordinator
