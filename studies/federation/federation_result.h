// studies/federation/federation_result.h
// SPDX-License-Identifier: Apache-2.0
//
// What one simulated federation leaves: what its log says of it, what it cost, what an auditor found, and every answer
// of every task's model. Files in the run's folder:
//
//     result.json        the answers, as a run of `hemafed-study uacl` leaves them (studies/uacl/run_result.h)
//     federation.json    the rest: canonical JSON
//
//   {"format": 1, "made_from": hex, "columns": [title, ..], "matrix_millionths": [[..], ..], "log_root": hex,
//    "model": hex, "entries": n, "rounds": n, "refused": n, "audit": "ok" or what is wrong, "bytes_to_sites": n,
//    "bytes_from_sites": n, "seconds_thousandths": n, "updates_kept": true,
//    "trained_sites": [site, ..], "losses": [[round, site, loss, alignment in millionths], ..]}
//
// The matrix is the log's: what the sites signed, with the small classes withheld that the plan withholds. The last two
// fields are there for plans that train an autoencoder, which have no matrix.
//
// Errors: kInvalidInput for another form. Thread-safety: value type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/evaluation.h"
#include "common/sha256.h"
#include "studies/uacl/run_result.h"

namespace hemafed::studies {

// 64 x 64 accuracies take 40 KB, losses about 60 bytes an update: 500 rounds of 64 hospitals are 2 MB.
inline constexpr std::size_t kMaxFederationResultBytes = 16 << 20;

// What one hospital signed of one round of an autoencoder's training.
struct SiteLosses {
  std::uint32_t round = 0;
  std::string site;
  std::uint64_t loss_millionths = 0;
  std::uint64_t domains_millionths = 0;  // The alignment term, before its weight.
  bool operator==(const SiteLosses&) const = default;
};

struct FederationResult {
  RunResult answers;
  std::vector<std::string> columns;  // Titles of the log's matrix: tasks in order, then observers.
  std::vector<std::vector<AccuracyMatrix::Cell>> matrix_millionths;  // Empty cells: null.
  Digest log_root, model;
  std::uint64_t entries = 0;
  std::uint64_t rounds = 0;   // That the audit computed again.
  std::uint64_t refused = 0;  // Updates.
  std::string audit;
  std::uint64_t bytes_to_sites = 0, bytes_from_sites = 0;
  std::uint64_t seconds_thousandths = 0;
  bool updates_kept = true;                // Whether the run's folder can still be replayed.
  std::vector<std::string> trained_sites;  // In plan order, with `losses`: in the order of the log.
  std::vector<SiteLosses> losses;
  std::string stood_still;  // Why the plan did not come to its end; then nothing else is here, and no file is written.

  // The log's metrics come from it, to the last digit.
  [[nodiscard]] AccuracyMatrix Matrix() const;
  // Everything but the answers.
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static FederationResult FromText(std::string_view text, RunResult answers, const std::string& where);
};

}  // namespace hemafed::studies
