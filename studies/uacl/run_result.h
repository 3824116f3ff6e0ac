// studies/uacl/run_result.h
// SPDX-License-Identifier: Apache-2.0
//
// What one run of a continual-learning study leaves: every answer it gave, so that any metric can be computed later
// without training again. The file `result.json` of a run's folder.
//
// Format: canonical JSON (sorted keys), at most kMaxResultBytes:
//   {"format": 1, "made_from": hex, "model": hex, "train_pictures": n, "seconds_thousandths": n,
//    "columns": [[truth, ..], ..],                   class index of every picture of every test set
//    "answers": [[[predicted, ..], ..], ..],         [task][column][picture]
//    "score_classes": [class, ..], "scores_millionths": [[..], ..],   of the last model, [column][picture * C + c]
//    "exemplars": text}                              exemplar_store.h
//
// `made_from` is the digest of everything the result depends on; a result made from something else is not taken for it.
//
// Errors: kInvalidInput for another form. Thread-safety: value type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"
#include "learning/continual/exemplar_store.h"

namespace hemafed::studies {

// 20,000 test pictures x (12 tasks + 13 scores) x 9 bytes, and the exemplars.
inline constexpr std::uint64_t kMaxResultBytes = 256u << 20;

struct RunResult {
  Digest made_from;
  Digest model;  // of the last model's file
  std::uint64_t train_pictures = 0;
  std::uint64_t seconds_thousandths = 0;  // of training, over all resumptions
  std::vector<std::vector<std::int64_t>> columns;
  std::vector<std::vector<std::vector<std::int64_t>>> answers;
  std::vector<std::int64_t> score_classes;
  std::vector<std::vector<std::int64_t>> scores_millionths;
  learning::ExemplarStore exemplars;

  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] static RunResult FromText(std::string_view text, const std::string& where);
  // a[t][j]: share of pictures right.
  [[nodiscard]] double Accuracy(std::size_t task, std::size_t column) const;
};

}  // namespace hemafed::studies
