// protocol/federation/assignment.h
// SPDX-License-Identifier: Apache-2.0
//
// What a site has to do next, as a pure function of the federation's state: after a crash of either side the same state
// gives the same assignment, and nothing else has to be remembered.
//
// FromText bounds and checks what a coordinator sent. Errors: Error(kInvalidInput). Thread-safety: value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/job_folder.h"
#include "protocol/federation/federation_state.h"

namespace hemafed {

enum class Action : std::uint8_t {
  kWait,         // Nothing now; another assignment follows.
  kRunJob,       // Run `job` in the trainer and state its report.
  kAcknowledge,  // Fetch `model`, check its digest, state that it is held.
  kFinished,     // The plan is done; `model` is the final one.
};

// What the log holds of a site's agreement that pictures may travel.
enum class AgreementState : std::uint8_t { kNone, kGiven, kEnded };

struct Assignment {
  Action action = Action::kWait;
  std::optional<Digest> plan;
  std::optional<Ed25519Signature> plan_signature;  // The operator's; the site checks it itself.
  std::uint32_t task = 0, round = 0;
  std::optional<Job> job;
  std::optional<Digest> model;   // To acknowledge, or the final one.
  std::optional<Digest> trunk;   // That the final model, then an analytic head, stands on.
  std::optional<Digest> bundle;  // Of a receiving job: the file that its partner's statement names.
  AgreementState agreement = AgreementState::kNone;
  std::string note;  // For people: what the consortium is doing.

  // Objects that the site must hold for it: plan, model, teacher, trunk, bundle, slow model, anchors; and, if the plan
  // is given, what it names beside the weights. A site has the plan only once it has fetched the others.
  [[nodiscard]] std::vector<Digest> Objects(const Plan* plan_content) const;
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static Assignment FromText(std::string_view text);
};

[[nodiscard]] Assignment AssignmentFor(const FederationState& state, const std::string& site);

}  // namespace hemafed
