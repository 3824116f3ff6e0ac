// site_agent/trainer/sent_bundles.h
// SPDX-License-Identifier: Apache-2.0
//
// What this trainer sealed to others, so that a picture can be taken back later: which picture has which place in which
// bundle (withdraw.h). In the vault, encrypted with its key.
//
//     vault/sent-<plan>.sealed    {"bundles":[{"task":n,"recipient":text,"file":hex,"pictures":[hex, ...]}, ...]}
//
// A bundle that was sealed again (another file, docs/job_folder.md) replaces the one before: only the last is stated.
//
// Errors: kCorrupt for an altered file or a wrong key. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed::trainer {

struct SealedToOther {
  std::uint32_t task = 0;
  std::string recipient;
  Digest file;
  std::vector<Digest> pictures;  // In the bundle's order.
};

class SentBundles {
 public:
  // `vault` is the vault's folder, with its key. `files` is borrowed.
  SentBundles(FileSystem& files, const Path& vault, const Digest& plan);

  // The plans that this vault has such a file of, ascending.
  [[nodiscard]] static std::vector<Digest> Plans(FileSystem& files, const Path& vault);

  [[nodiscard]] std::vector<SealedToOther> Load() const;
  void Record(const SealedToOther& bundle) const;

 private:
  FileSystem& files_;
  Path vault_;
  Digest plan_;
};

}  // namespace hemafed::trainer
