// site_agent/agent/site_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// One lab's folder, in three parts with different owners (docs/threat_model.md):
//
//     site.toml            where the pictures are, how they are laid out; written by `join`, edited by people
//     agent/               keys, membership, receipts, egress record: the network side's alone
//     jobs/                what crosses between the two sides (codec/job_folder.h)
//     trainer/             vault, tiles, residuals: the picture side's alone
//
// Errors: kNotFound, kConflict, kInvalidInput with file and what to do. Thread-safety: value types.
#pragma once

#include <string>

#include "codec/job_folder.h"
#include "common/file_system.h"
#include "protocol/federation/entries.h"
#include "protocol/federation/lab_withdrawals.h"
#include "protocol/identity/ed25519.h"
#include "protocol/wire/curve.h"

namespace hemafed::agent {

struct SiteFolder {
  Path root;

  [[nodiscard]] Path SettingsFile() const { return root / "site.toml"; }
  [[nodiscard]] Path Agent() const { return root / "agent"; }
  [[nodiscard]] Path Keys() const { return Agent() / "keys"; }
  [[nodiscard]] Path CurveKeyFile() const { return Keys() / "curve.key"; }
  [[nodiscard]] Path StatementKeyFile() const { return Keys() / "statement.pem"; }
  [[nodiscard]] Path WitnessKeyFile() const { return Keys() / "witness.pem"; }
  [[nodiscard]] Path MembershipFile() const { return Agent() / "membership.json"; }
  [[nodiscard]] Path ReceiptsFile() const { return Agent() / "receipts.jsonl"; }
  [[nodiscard]] Path EgressFile() const { return Agent() / "egress.jsonl"; }
  [[nodiscard]] Path OutgoingFile() const { return Agent() / "outgoing"; }
  [[nodiscard]] Path FinalModel() const { return Agent() / "model.safetensors"; }
  // Of plans over latents, and of plans that train an autoencoder (which then is the plan's model).
  [[nodiscard]] Path FinalDetector() const { return Agent() / "detector.safetensors"; }
  [[nodiscard]] Path FinalAutoencoder() const { return Agent() / "autoencoder.safetensors"; }
  [[nodiscard]] Path FinalHead() const { return Agent() / "head.hfr"; }  // Of strategy analytic.
  // What the lab's people decided about travelling pictures, for each side (protocol/federation/lab_agreement.h).
  [[nodiscard]] Path AgreementFile() const { return Agent() / "agreement.json"; }
  // Pictures that they withdrew at partners, and what of that the log holds (protocol/federation/lab_withdrawals.h).
  [[nodiscard]] Path WithdrawalsFile(const Digest& plan) const { return WithdrawalsFileOf(root, plan); }
  [[nodiscard]] Path SaidWithdrawalsFile() const { return Agent() / "withdrawals_said.json"; }
  [[nodiscard]] Path TrainersAgreementFile() const { return Trainer() / "agreement.json"; }
  [[nodiscard]] Path Jobs() const { return root / "jobs"; }
  [[nodiscard]] Path Trainer() const { return root / "trainer"; }
};

// What a lab knows of its consortium after it was admitted; public except for nothing: keys are in files of their own.
struct Membership {
  std::string slot;
  std::string work_endpoint;
  Bytes server_key;  // CURVE, 32 bytes.
  std::string log_name;
  Ed25519PublicKey log_key, operator_key;

  void Save(FileSystem& files, const Path& path) const;
  [[nodiscard]] static Membership Load(FileSystem& files, const Path& path);
};

struct SiteKeys {
  wire::CurveKeyPair curve;
  Ed25519KeyPair statement;

  [[nodiscard]] static SiteKeys Load(FileSystem& files, const SiteFolder& folder);
};

// Makes the three private keys unless they are there (an interrupted join goes on with the same ones) and returns the
// public identity.
[[nodiscard]] LabIdentity EnsureIdentity(FileSystem& files, const SiteFolder& folder, const std::string& slot);

}  // namespace hemafed::agent
