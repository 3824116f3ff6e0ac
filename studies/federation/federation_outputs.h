// studies/federation/federation_outputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What a federated study leaves for people and for other programs, made anew from the runs' results every time; the
// same files under the same names as a central study's (studies/uacl/study_outputs.h):
//
//     report.html            everything below in one page
//     tables.md, tables.txt  accuracies, differences with paired intervals, unseen hospitals, cost, digests
//     summary.json           every metric by its name; for each run also what its log says, to the last digit
//     matrix.csv, predictions.csv   studies/uacl/comparison_outputs.h
//     losses.csv             of plans that train an autoencoder (autoencoder_outputs.h)
//     record.json            every setting, seed, digest and version
//     plots/*.svg, *.png     the charts of the report
//
// Plans with the same tasks in the same order are compared with each other; others get a section of their own.
//
// Errors: those of FileSystem. Thread-safety: free functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "studies/federation/federation_result.h"
#include "studies/report/run_record.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

// One plan with all its seeds.
struct ArmResults {
  std::string name;
  std::vector<std::uint64_t> seeds;
  std::vector<FederationResult> results;  // one a seed
};

// Plans over the same hospitals in the same order, and what is set beside them.
struct FederationComparison : Comparison {
  std::vector<ArmResults> arms;  // The first methods, in this order; methods beyond them are central ones.
};

struct FederationOutcome {
  std::vector<FederationComparison> comparisons;
  std::vector<ArmResults> autoencoders;  // Plans that train one: losses instead of accuracies, each by itself.
  // Runs that did not come to their end, by name, and why; their plans are nowhere above.
  std::map<std::string, std::string> stood_still;
};

void WriteFederationStudy(FileSystem& files, const Path& folder, const FederationOutcome& outcome,
                          const RunRecord& record);

// The tables as text, for the terminal.
[[nodiscard]] std::string FederationText(const FederationOutcome& outcome);

}  // namespace hemafed::studies
