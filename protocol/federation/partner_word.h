// protocol/federation/partner_word.h
// SPDX-License-Identifier: Apache-2.0
//
// What the other lab of a sealed exchange signed, checked by whoever acts on it: neither the coordinator nor this lab's
// own agent is believed when it says whose key a picture is to be sealed to, or which file a partner sent.
//
//     operator's key -> the partner's roster entry (its statement key) -> its statement for this plan
//
// Errors: kRefused names what is not signed by whom it says, or is about something else; kInvalidInput for texts that
// are no log entries. What it cannot know: whether the operator has revoked the partner since. Thread-safety: free
// functions.
#pragma once

#include <string>

#include "codec/exchange.h"
#include "codec/job_folder.h"
#include "codec/sealed_bundle.h"
#include "protocol/federation/entries.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

// The texts that a job carries.
[[nodiscard]] JobPartner PartnerOf(const RosterEntry& lab, const StatementEntry& statement);

// Of a sealing job: the key that the recipient signed in its agreement, which must name this job's site as a partner.
[[nodiscard]] HpkePublicKey RecipientKeyOf(const Job& job, const Ed25519PublicKey& operator_key);

// Of a receiving job: which file the sender signed, and as what it must open.
struct ExpectedBundle {
  BundleAddress address;
  BundleReport report;
};
[[nodiscard]] ExpectedBundle ExpectedBundleOf(const Job& job, const Ed25519PublicKey& operator_key);

// Of a removing job: what its giver took back.
struct ExpectedRemoval {
  Digest id;  // SHA-256 of the withdrawal statement's text: what the removal is stated about.
  WithdrawalReport report;
};
[[nodiscard]] ExpectedRemoval ExpectedRemovalOf(const Job& job, const Ed25519PublicKey& operator_key);

}  // namespace hemafed
