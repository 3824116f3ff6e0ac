// studies/uacl/study_outputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What a study leaves for people and for other programs, made anew from the runs' results every time:
//
//     report.html            everything below in one page
//     tables.md, tables.txt  the same tables for a document and for the terminal
//     summary.json           every metric of every method by its name
//     matrix.csv             experiment, method, seed, task learned, test set, right, pictures
//     predictions.csv        experiment, method, seed, test set, file, truth, prediction, one score a class
//     imports.txt            what was read from each domain's folder, and what was left out and why (uacl_command.cc)
//     record.json            every setting, seed, digest and version (run_record.h)
//     plots/*.svg, *.png     the charts of the report
//
// Each file appears whole, by rename. Errors: those of FileSystem. Thread-safety: free function.
#pragma once

#include <vector>

#include "common/file_system.h"
#include "studies/report/run_record.h"
#include "studies/uacl/study_tables.h"

namespace hemafed::studies {

void WriteStudy(FileSystem& files, const Path& folder, const std::vector<ExperimentResults>& experiments,
                const RunRecord& record);

// The tables as text, for the terminal.
[[nodiscard]] std::string StudyText(const std::vector<ExperimentResults>& experiments);

}  // namespace hemafed::studies
