// learning/data/import_report.h
// SPDX-License-Identifier: Apache-2.0
//
// What an import found: pictures per class and split, the sizes that occur, every file it left out with the reason, and
// pictures in a folder that speaks of another class. As text for a person and as JSON for a program. Never contains
// pixels, but file names, which can identify people: it stays in the lab.
//
// Thread-safety: value type.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "learning/data/dataset_index.h"
#include "learning/data/skip_reason.h"

namespace hemafed::learning {

// Left-out files that are named one by one; beyond that only counts grow. Likewise misplaced ones.
inline constexpr std::size_t kMaxSkippedNamed = 10'000;

struct SkippedFile {
  std::string file;  // printable
  SkipReason reason = SkipReason::kHidden;
  std::string detail;  // the other file of a pair, the label, ...; may be empty
};

class ImportReport {
 public:
  // `file` and `detail` may hold any bytes.
  void Skip(const std::string& file, SkipReason reason, const std::string& detail = {});
  // A picture that is kept under `label` although it lies in `folder`.
  void Misplace(const std::string& file, const std::string& folder, const std::string& label);
  // Copies the counts of the finished index.
  void Summarise(const DatasetIndex& index);

  [[nodiscard]] std::uint64_t Skipped(SkipReason reason) const { return counts_[static_cast<std::size_t>(reason)]; }
  [[nodiscard]] std::uint64_t SkippedInAll() const;
  [[nodiscard]] const std::vector<SkippedFile>& skipped() const { return skipped_; }
  [[nodiscard]] std::uint64_t pictures() const;
  [[nodiscard]] std::uint64_t Misplaced() const { return misplaced_; }
  // Pictures by (width, height): a second size in one set can be a second microscope.
  [[nodiscard]] const std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>& sizes() const { return sizes_; }

  // A table of classes and splits, then reasons with counts and the first names of each. Labels left out on purpose are
  // summed by label.
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] nlohmann::json ToJson() const;

 private:
  std::string domain_;
  std::vector<std::string> classes_;
  std::vector<std::uint64_t> train_, test_;
  std::array<std::uint64_t, kSkipReasonCount> counts_{};
  std::map<std::string, std::uint64_t> dropped_labels_;
  std::vector<SkippedFile> skipped_;
  std::uint64_t misplaced_ = 0;
  std::vector<std::string> misplaced_files_;  // printable, with folder and label
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> sizes_;
};

}  // namespace hemafed::learning
