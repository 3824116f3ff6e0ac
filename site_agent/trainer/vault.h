// site_agent/trainer/vault.h
// SPDX-License-Identifier: Apache-2.0
//
// Which of a lab's pictures rehearse, encrypted at rest: one sealed file for each plan (AES-256-GCM,
// common/sealed_file.h) with a key that only the trainer can read. Pictures themselves stay where the lab keeps them;
// the vault holds digests and order. What other hospitals gave is apart: received_pictures.h.
//
//     vault/exemplars-<plan>.sealed   an exemplar store, written by the trainer
//     vault/withdrawn.sealed          digests of pictures that the lab's people took back, whatever the plan; written
//                                     by `hemafed-train withdraw` alone, so that it may run beside the trainer
//
// Errors: kCorrupt for an altered file or a wrong key. Thread-safety: one thread.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/continual/exemplar_store.h"

namespace hemafed::trainer {

// In the vault's folder.
inline constexpr std::string_view kVaultKeyName = "vault.key";

class Vault {
 public:
  // Makes the folder and the key if they are missing. `files` is borrowed.
  Vault(FileSystem& files, Path folder);

  // An empty store if nothing was kept for this plan yet. Without pictures that were withdrawn since.
  [[nodiscard]] learning::ExemplarStore Load(const Digest& plan) const;
  void Save(const Digest& plan, const learning::ExemplarStore& store) const;

  // Pictures that are not used any more. Error(kInvalidInput) for more than a vault takes.
  [[nodiscard]] std::set<Digest> Withdrawn() const;
  void AddWithdrawn(std::span<const Digest> pictures) const;

 private:
  [[nodiscard]] Path FileOf(const Digest& plan) const;
  [[nodiscard]] Path KeyFile() const { return folder_ / std::string(kVaultKeyName); }
  [[nodiscard]] Path WithdrawnFile() const { return folder_ / "withdrawn.sealed"; }

  FileSystem& files_;
  Path folder_;
};

}  // namespace hemafed::trainer
