// protocol/report/consortium_report.h
// SPDX-License-Identifier: Apache-2.0
//
// The consortium's report: how good the model became, what it forgot, and what happened on the way, from a log alone
// (docs/report.md says what each figure means). It lies beside protocol/federation/ because the operator's and the
// auditor's programs write it both, from the same entries, to the same bytes: nothing in it depends on who writes it or
// when.
//
//     report.txt      tables as text                report.html     one page with charts, to be mailed and printed
//     report.json     every figure by its name, in millionths where it is a fraction
//     matrix.csv summary.csv curves.csv columns.csv classes.csv rounds.csv updates.csv sums.csv gate.csv refusals.csv
//     standstills.csv rehearsal_not_done.csv traffic.csv roc.csv losses.csv
//
// All fractions are the exact integers of codec/class_metrics.h, codec/evaluation.h and codec/score_histograms.h.
//
// Errors: kConflict where the log has no plan yet; those of FileSystem. Thread-safety: free functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/file_system.h"
#include "common/report/table.h"
#include "protocol/report/federation_history.h"

namespace hemafed {

struct ReportedLog {
  std::uint64_t entries = 0;
  Digest root;
};

class ConsortiumReport {
 public:
  // `state` and `history` after the last entry; borrowed.
  ConsortiumReport(const FederationState& state, const FederationHistory& history, ReportedLog log);

  [[nodiscard]] std::string Text() const;
  [[nodiscard]] nlohmann::json Json() const;
  [[nodiscard]] std::string Html() const;
  // File name and table, in the order of the text; without the curves of roc.csv.
  [[nodiscard]] std::vector<std::pair<std::string, report::Table>> Tables() const;

  // Every file above into the folder, which is made.
  void WriteTo(FileSystem& files, const Path& folder) const;

 private:
  const FederationState& state_;
  const FederationHistory& history_;
  ReportedLog log_;
};

}  // namespace hemafed
