// studies/ae_cfe/ae_cfe_outputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What `hemafed-study ae-cfe` leaves in its output folder:
//
//   report.html     everything below in one page
//   tables.md, tables.txt
//   summary.json    figures by arm, cells, differences, drift reports
//   matrix.csv      arm, seed, train, test, reading, right, pictures
//   plots/          charts as SVG
//   record.json     settings, seeds, digests, versions (studies/report/run_record.h)
//
// Thread-safety: free functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "studies/ae_cfe/ae_cfe_file.h"
#include "studies/ae_cfe/feature_maps.h"
#include "studies/ae_cfe/matrix_results.h"
#include "studies/report/run_record.h"

namespace hemafed::studies {

// Beside an arm's answers; in the order of the arms.
struct ArmExtras {
  std::optional<FeatureMaps> maps;
  std::vector<DomainDrift> drift;  // one a domain, or none
};

struct AeCfeOutputs {
  const AeCfeFile* study = nullptr;
  MatrixResults results;
  std::vector<ArmExtras> extras;
};

// Each domain against the others, by arm; nothing if no arm was checked.
[[nodiscard]] std::optional<Table> DriftTable(const AeCfeOutputs& outputs);
// The tables that say what came out, in reading order, for the terminal and tables.md.
[[nodiscard]] std::vector<Table> MainTables(const AeCfeOutputs& outputs);
[[nodiscard]] std::string MatrixCsv(const MatrixResults& results);
[[nodiscard]] nlohmann::json SummaryOf(const AeCfeOutputs& outputs);

void WriteAeCfe(FileSystem& files, const Path& folder, const AeCfeOutputs& outputs, const RunRecord& record);

}  // namespace hemafed::studies
