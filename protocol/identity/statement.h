// protocol/identity/statement.h
// SPDX-License-Identifier: Apache-2.0
//
// What a signature of this project means. Every signature except those on notes (protocol/log/note.h) covers one
// canonical byte string, so that a signature given for one purpose, plan, round or base can never be shown as one for
// another. docs/round_log.md has worked bytes.
//
//   "hemafed-" context "-v1\n"
//   field(plan digest: 32 bytes) field(task: 8 bytes) field(round: 8 bytes) field(base digest: 32 bytes) field(body)
//
// field(x) = length of x in bytes as u32 little-endian, then x; task and round are little-endian. The context line ends
// with a newline and no context contains one, so the string can be read back in one way only.
//
// A context that has no plan, round or base yet (an enrolment before the first plan) leaves them zero.
//
// Errors: signing a body over the limit throws kInvalidInput; verifying one answers false.
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/sha256.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

// Bytes of a body. Bodies are canonical JSON, TOML files or digests; whatever is larger is signed by its digest.
inline constexpr std::size_t kMaxStatementBodyBytes = 1u << 20;

enum class StatementContext : std::uint8_t {
  kPlan,             // The operator's plan file.
  kRoster,           // The operator's roster or a change of it.
  kLabEntry,         // A lab's own line of the roster: it binds its keys to each other.
  kEnrolment,        // A lab's request to join.
  kCommitment,       // Counts that a lab commits to when a task opens.
  kUpdate,           // The manifest of an update.
  kAcknowledgement,  // The digest of the model that a lab received.
  kExemplars,        // What a lab keeps for rehearsal after a task.
  kEvaluation,       // A lab's evaluation report.
  kJudgement,        // How a lab's pictures take a round's candidate.
  kDecision,         // The operator's word on a paused task.
  kSums,             // Sums of random features, for the analytic head.
  kAgreement,        // A lab's people let pictures travel between it and named partners.
  kAgreementEnd,     // They do not any longer.
  kBundle,           // A file of pictures, sealed to one partner.
  kReceived,         // What became of it there.
  kFisher,           // Fisher information of a task.
  kMeans,            // Class means of exemplars.
  kWithdrawal,       // Pictures of a bundle are taken back.
  kRemoved,          // Its recipient does not hold them any longer.
  kMoments,          // Moments of the latents of a lab's cells.
  kDrift,            // How a lab's pictures compare with the consortium's.
};

// Stable lower-case name with hyphens ("lab-entry"), as in the signed bytes.
[[nodiscard]] std::string_view StatementContextName(StatementContext context) noexcept;

struct Statement {
  StatementContext context{};
  Digest plan_digest;
  std::uint64_t task = 0;
  std::uint64_t round = 0;
  Digest base_digest;  // The model that the round started from.
  std::string_view body;
};

// The signed bytes. Throws kInvalidInput for a body over kMaxStatementBodyBytes.
[[nodiscard]] std::string StatementBytes(const Statement& statement);

[[nodiscard]] Ed25519Signature SignStatement(const Ed25519KeyPair& key, const Statement& statement);
[[nodiscard]] bool VerifyStatement(const Ed25519PublicKey& key, const Statement& statement, ByteView signature);

}  // namespace hemafed
