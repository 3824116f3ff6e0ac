// protocol/federation/signing.h
// SPDX-License-Identifier: Apache-2.0
//
// Who signs what in a federation. Every signature covers a context, the plan's digest, task, round and the model it is
// about (zero where there is none), so that no signature can be shown in another place (design, 11.12).
//
//   operator   plan (its digest); roster change ("join" or "revoke", then the lab's identity); decision ("leave_out" or
//              "try_again", a space, the site)
//   lab        its own identity, when it enrols; every statement about a step
//
// Thread-safety: free functions without state.
#pragma once

#include "protocol/federation/entries.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

[[nodiscard]] Ed25519Signature SignLabIdentity(const Ed25519KeyPair& lab_key, const LabIdentity& lab);
[[nodiscard]] bool VerifyLabIdentity(const LabIdentity& lab, const Ed25519Signature& signature);

// Fills entry.operator_signature from the other fields.
void SignOperatorRoster(const Ed25519KeyPair& operator_key, RosterEntry& entry);
[[nodiscard]] bool VerifyOperatorRoster(const Ed25519PublicKey& operator_key, const RosterEntry& entry);

[[nodiscard]] Ed25519Signature SignOperatorPlan(const Ed25519KeyPair& operator_key, const Digest& plan);
[[nodiscard]] bool VerifyOperatorPlan(const Ed25519PublicKey& operator_key, const Digest& plan,
                                      const Ed25519Signature& signature);

// Fills entry.operator_signature from the other fields.
void SignOperatorDecision(const Ed25519KeyPair& operator_key, const Digest& plan, DecisionEntry& entry);
[[nodiscard]] bool VerifyOperatorDecision(const Ed25519PublicKey& operator_key, const Digest& plan,
                                          const DecisionEntry& entry);

[[nodiscard]] Ed25519Signature SignSiteStatement(const Ed25519KeyPair& lab_key, const Digest& plan,
                                                 const SiteStatement& statement);
[[nodiscard]] bool VerifySiteStatement(const Ed25519PublicKey& lab_key, const Digest& plan,
                                       const SiteStatement& statement, const Ed25519Signature& signature);

// What a person compares on both screens: 16 base32 characters (80 bits) of SHA-256 over the lab's identity and the
// server's CURVE key, in groups of four.
[[nodiscard]] std::string Fingerprint(const LabIdentity& lab, ByteView server_key);

}  // namespace hemafed
