// protocol/federation/enclosure.h
// SPDX-License-Identifier: Apache-2.0
//
// Files that go with statements: a site puts the file first, then states what it is; the coordinator takes both or
// neither. Which statements have one, how it is named in the job folder, and how large it can be.
//
//     update       update.hfu (codec/update.h), of the round's base model
//     evaluation   scores.hfh (codec/score_histograms.h); none where no class has enough pictures
//     fisher       fisher.hfu (codec/fisher.h), in the form of an update of the task's model
//     means        means.hfu (codec/prototype_head.h), in the form of an update with one tensor
//     moments      moments.hfl (codec/latent_moments.h), of the plan's latent
//     sums         sums.hfs (codec/feature_sums.h), of the plan's shape
//     bundle       bundle.hfx (codec/sealed_bundle.h), readable to its recipient's trainer alone
//
// Errors: Error(kInvalidInput) for a body that is not a report of its kind. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "codec/plan.h"
#include "codec/update.h"
#include "protocol/federation/entries.h"

namespace hemafed {

class FederationState;

struct Enclosure {
  std::string_view name;  // In the job's result folder.
  Digest file;            // SHA-256 of the file as it is sent.
  std::uint64_t bytes = 0;
};

// Nothing for most kinds of statements.
[[nodiscard]] std::optional<Enclosure> EnclosureOf(const SiteStatement& statement);

// Largest file that can go with a statement of this kind; `base` is the layout of the model it is about, needed where
// NeedsLayout. 0 where none goes with it.
[[nodiscard]] bool NeedsLayout(StatementKind kind) noexcept;
[[nodiscard]] std::uint64_t MaxEnclosureBytes(StatementKind kind, const Plan& plan, const UpdateLayout& base);

// The kind of statement that this site owes now and that a file goes with.
[[nodiscard]] std::optional<StatementKind> EnclosureDue(const FederationState& state, const std::string& site);

}  // namespace hemafed
