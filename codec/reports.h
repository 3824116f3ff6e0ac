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

using ClassCounts = std::vector<std::optional<std::uint64_t>>;

// Counts with every one below `min_pictures` withheld. A count of zero is withheld as well.
[[nodiscard]] ClassCounts WithholdSmall(const std::vector<std::uint64_t>& counts, std::uint64_t min_pictures);

// Before a task: how many pictures the site will train with. Later counts may not exceed these.
struct CommitmentReport {
  std::uint64_t pictures = 0;  // Training pictures (active site) or exemplars (rehearsing site).
  ClassCounts classes;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static CommitmentReport FromJson(JsonFields fields);
};

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
  std::uint64_t loss_millionths = 0;          // Mean over the steps of CE + gamma L_dist.
  std::uint64_t distillation_millionths = 0;  // Mean over the steps of L_dist.
  std::optional<Digest> residual;             // What rounding left over, kept at the site; its digest.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static UpdateReport FromJson(JsonFields fields);
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
