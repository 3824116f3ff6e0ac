// site_agent/agent/egress.h
// SPDX-License-Identifier: Apache-2.0
//
// What may leave a lab, and the record of what did. The trainer is trusted to compute, not to decide what is sent: the
// agent lets through only reports of the kinds that the plan needs, with exactly their fields, and updates with exactly
// the tensors of the round's base model. Names, shapes and bytes are bounded; meaning cannot be (docs/threat_model.md).
//
// The record (agent/egress.jsonl, one JSON line each) is synced before the thing is sent, so nothing leaves unrecorded.
//
// Errors: Error(kRefused) names what the contract does not allow. Thread-safety: one thread.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/reports.h"
#include "codec/update.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/hpke.h"
#include "protocol/federation/entries.h"
#include "protocol/federation/lab_agreement.h"

namespace hemafed::agent {

class EgressContract {
 public:
  // `plan` is borrowed.
  explicit EgressContract(const Plan& plan) : plan_(plan) {}
  // With what this lab's people decided about travelling pictures; nothing is no.
  EgressContract(const Plan& plan, std::optional<LabAgreement> agreement)
      : plan_(plan), agreement_(std::move(agreement)) {}

  // The report's body as it may leave: parsed and written anew, so nothing unknown is carried along.
  [[nodiscard]] nlohmann::json Permit(const Job& job, const nlohmann::json& body) const;
  // The file that goes with a statement whose body was permitted: an update's tensors must be those of the base model,
  // a size what they can take.
  void PermitEnclosure(const SiteStatement& statement, const UpdateLayout& base_layout) const;
  // The file itself, as copied out of the trainer's folder, where more than its size can be judged: score histograms
  // show no class of fewer than min_pictures, none but the plan's, and what the report beside them counts; feature sums
  // are of the plan's shape, hold the pictures that their report says, and of no class fewer than min_pictures; class
  // means are of classes that the report counts; latent moments are of as many cells as their report says, at least
  // min_pictures and two.
  void PermitContent(const SiteStatement& statement, const std::string& site, const ReadableFile& file,
                     const UpdateLayout& base_layout) const;
  // A bundle, as far as one who cannot open it can see: sealed to the key that the recipient signed, addressed to it,
  // as large as was said. `key` comes from RecipientKeyOf (protocol/federation/partner_word.h).
  void PermitBundle(const Job& job, const SiteStatement& statement, const ReadableFile& file,
                    const HpkePublicKey& key) const;

 private:
  // Pictures travel between this lab and the partner: its people must have said so.
  void RequireAgreement(const Job& job, const std::string& partner) const;

  const Plan& plan_;
  std::optional<LabAgreement> agreement_;
};

class EgressRecord {
 public:
  // Both borrowed.
  EgressRecord(FileSystem& files, const Clock& clock, Path path);
  // `what`: "commitment", "update file", ...
  void Write(const std::string& what, const Job& job, std::uint64_t bytes, const Digest& digest);

 private:
  FileSystem& files_;
  const Clock& clock_;
  Path path_;
};

}  // namespace hemafed::agent
