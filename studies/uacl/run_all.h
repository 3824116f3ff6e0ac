// studies/uacl/run_all.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes all chosen runs of a study, several at a time on threads of this process, each with its own learner; runs that
// are done are only read. Results do not depend on how many run at once.
//
// A person sees pictures drawn of all to draw, pace, time left, and what each run is doing. Ctrl-C stops all of them at
// their next step; the same command goes on from there.
//
// Errors: the first one of any run, after the others were stopped; kInterrupted when the person stopped.
#pragma once

#include <vector>

#include "common/progress.h"
#include "studies/uacl/study_run.h"

namespace hemafed::studies {

// Most runs at once: more than any machine we know has cores.
inline constexpr unsigned kMaxJobs = 256;

// In the order of `runs`. `initials[i]`: the initial model of run i, and `made_from[i]` what its result depends on.
struct PreparedRun {
  RunKey key;
  const learning::Classifier* initial = nullptr;
  Digest made_from;
};
[[nodiscard]] std::vector<RunResult> RunAll(const RunPlace& place, const std::vector<PreparedRun>& runs, unsigned jobs,
                                            Progress& progress);

}  // namespace hemafed::studies
