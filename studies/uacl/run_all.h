// studies/uacl/run_all.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes all chosen runs of a study (studies/setup/parallel_runs.h), each with its own learner; runs that are done are
// only read.
//
// Errors: those of RunInParallel.
#pragma once

#include <vector>

#include "common/progress.h"
#include "studies/setup/parallel_runs.h"
#include "studies/uacl/study_run.h"

namespace hemafed::studies {

// In the order of `runs`. `initials[i]`: the initial model of run i, and `made_from[i]` what its result depends on.
struct PreparedRun {
  RunKey key;
  const learning::Classifier* initial = nullptr;
  Digest made_from;
};
[[nodiscard]] std::vector<RunResult> RunAll(const RunPlace& place, const std::vector<PreparedRun>& runs, unsigned jobs,
                                            Progress& progress);

}  // namespace hemafed::studies
