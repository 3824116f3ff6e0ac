// protocol/federation/lab_agreement.h
// SPDX-License-Identifier: Apache-2.0
//
// What a lab's people decided about pictures that would travel under a plan (policy `sealed`): a small file that only
// `hemafed-site agree` writes, once for the agent (agent/agreement.json) and once for the trainer
// (trainer/agreement.json, which the agent can neither read nor write). Without it the answer is no.
//
// The trainer's copy also says whose word it relies on: the operator's key. So an agent that was taken over cannot have
// pictures sealed to a key of its own (protocol/federation/partner_word.h).
//
// Errors: kInvalidInput for a file that is none; those of FileSystem. Thread-safety: value type, free functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"
#include "protocol/identity/ed25519.h"

namespace hemafed {

struct LabAgreement {
  Digest plan;
  std::vector<std::string> partners;
  bool ended = false;  // Taken back: nothing more is sent or taken in.
  Ed25519PublicKey operator_key;

  // Whether pictures may travel between this lab and `partner` under the plan.
  [[nodiscard]] bool Allows(const Digest& of_plan, std::string_view partner) const;
  void Save(FileSystem& files, const Path& path) const;
};

// Nothing if the lab's people have not decided anything.
[[nodiscard]] std::optional<LabAgreement> LoadLabAgreement(FileSystem& files, const Path& path);

}  // namespace hemafed
