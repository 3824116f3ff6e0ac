// codec/reports.h
// SPDX-License-Identifier: Apache-2.0
//
// What a trainer reports about one job, as the canonical JSON that the agent signs and the log keeps. Counts of classes
// with fewer than the plan's `min_pictures` are withheld (null): such a statistic may not leave a lab (design, 11.5).
//
// FromJson functions bound every field and throw Error(kInvalidInput). Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/json_fields.h"
#include "common/sha256.h"

namespace hemafed {

struct UpdateLayout;  // codec/update.h

using ClassCounts = std::vector<std::optional<std::uint64_t>>;

// Losses are sums over classes of nats; 10^9 millionths is 1,000 nats, far beyond what training survives. What is above
// is reported as this.
inline constexpr std::uint64_t kMaxLossMillionths = 1'000'000'000;

// Counts with every one below `min_pictures` withheld. A count of zero is withheld as well.
[[nodiscard]] ClassCounts WithholdSmall(const std::vector<std::uint64_t>& counts, std::uint64_t min_pictures);

// Before a task: how many pictures the site will train with. Later counts may not exceed these.
struct CommitmentReport {
  std::uint64_t pictures = 0;  // Training pictures (active site) or exemplars (rehearsing site).
  ClassCounts classes;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static CommitmentReport FromJson(JsonFields fields);
};

// What distillation knows about an update (design, 4.4; formulas: learning/continual/distillation_probe.h). Measured on
// `pictures` of the site's pictures, un-augmented, with the task's teacher.
struct DistillationProbe {
  std::uint64_t pictures = 0;
  std::uint64_t before_millionths = 0;                 // L_dist of the round's base.
  std::uint64_t after_millionths = 0;                  // L_dist of the trained model.
  std::vector<std::uint64_t> disagreement_millionths;  // By old class: mean of |p - q| after training.
  std::vector<std::uint64_t> sensitivity;              // By tensor of the layout, at the round's base, in 2^-40.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static DistillationProbe FromJson(JsonFields fields);
  bool operator==(const DistillationProbe&) const = default;
};
// A sensitivity as a report says it: in units of 2^-40, within kMinSensitivity and kMaxSensitivity
// (codec/merge_weights.h).
[[nodiscard]] std::uint64_t SensitivityUnits(double sensitivity);

// One local training: the update and what it was made from (design, 4.4).
struct UpdateReport {
  Digest values;  // SHA-256 of the canonical integers.
  Digest layout;  // Names and shapes they belong to.
  Digest file;    // SHA-256 of the compressed update file.
  std::uint64_t file_bytes = 0;
  std::optional<Digest> teacher;
  std::uint64_t gamma_millionths = 0;
  std::uint64_t pictures = 0;  // What one epoch draws from: training pictures, or exemplars.
  ClassCounts classes;
  std::uint64_t steps = 0;
  // Means over the steps, of the whole loss and of its second term before its weight (learning/continual/local_loss.h):
  // L_dist, KD_T, EWC's penalty, distances to answers; of an autoencoder the alignment term.
  std::uint64_t loss_millionths = 0;
  std::uint64_t distillation_millionths = 0;
  std::optional<DistillationProbe> probe;  // Wherever there is a teacher.
  std::optional<Digest> residual;          // What rounding left over, kept at the site; its digest.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static UpdateReport FromJson(JsonFields fields);
};

// Why a probe cannot be what the formulas give, in words that name the tensor or class; nothing if it may be.
// `base_is_teacher`: in a task's first round old classes have the teacher's own rows.
[[nodiscard]] std::optional<std::string> WhyImplausible(const DistillationProbe& probe, const UpdateLayout& layout,
                                                        std::size_t old_classes, bool base_is_teacher);

// How a hospital's own pictures take a round's candidate: on how many of them, un-augmented and in no exemplar list,
// its best old class is the teacher's. Zero of zero where too few may be reported.
struct JudgementReport {
  std::uint64_t pictures = 0;
  std::uint64_t agrees = 0;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static JudgementReport FromJson(JsonFields fields);
};

// What a site sends of the Fisher information after its task (codec/fisher.h): roots on the grid, one for each value of
// the model, in the form of an update file.
struct FisherReport {
  Digest values;  // SHA-256 of the canonical integers.
  Digest layout;  // Of the task's model.
  Digest file;    // SHA-256 of the compressed file.
  std::uint64_t file_bytes = 0;
  std::uint64_t pictures = 0;  // That it was measured on.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static FisherReport FromJson(JsonFields fields);
};

// Class means of a site's exemplars (codec/prototype_head.h), in the form of an update file.
struct MeansReport {
  Digest values;  // SHA-256 of the canonical integers.
  Digest file;    // SHA-256 of the compressed file.
  std::uint64_t file_bytes = 0;
  ClassCounts classes;  // Exemplars behind each mean; null for a class that has none in the file.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static MeansReport FromJson(JsonFields fields);
};

// Moments of the latents of a site's cells (codec/latent_moments.h). The file is their canonical form, so one digest
// names both.
struct MomentsReport {
  Digest values;  // SHA-256 of the file.
  std::uint64_t file_bytes = 0;
  std::uint64_t cells = 0;  // That were summed.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static MomentsReport FromJson(JsonFields fields);
};

// What a site sends for the analytic head (codec/feature_sums.h, docs/feature_sums.md).
struct SumsReport {
  Digest sums;  // SHA-256 of the canonical form.
  Digest file;  // SHA-256 of the compressed file.
  std::uint64_t file_bytes = 0;
  std::uint64_t pictures = 0;  // That were summed: those of the classes below.
  ClassCounts classes;         // Exact; null for a class that was left out before summing.
  std::uint64_t clamped = 0;   // Features beyond the grid's reach.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static SumsReport FromJson(JsonFields fields);
};

// After a task: what the active site keeps for rehearsal. The list itself stays in its vault.
struct ExemplarReport {
  std::uint64_t kept = 0;
  ClassCounts classes;
  Digest list;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static ExemplarReport FromJson(JsonFields fields);
};

}  // namespace hemafed
