// studies/setup/parallel_runs.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes the runs of a study, several at a time on threads of this process. What comes out must not depend on how many
// run at once.
//
// A person sees pictures drawn of all to draw, pace, time left, and what each run is doing. Ctrl-C stops all of them at
// their next sign of life; the same command goes on from there.
//
// Errors: the first one of any run, after the others were stopped; kInterrupted when the person stopped.
// Thread-safety: one call at a time; each run's work is called on one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/progress.h"

namespace hemafed::studies {

// Most runs at once: more than any machine we know has cores.
inline constexpr unsigned kMaxJobs = 256;

// What a run says of itself: a few words and the pictures drawn so far. Throws when the run is to stop.
using RunTalk = std::function<void(const std::string& words, std::uint64_t pictures)>;

struct ParallelRun {
  std::string name;
  std::uint64_t pictures = 0;  // To draw in all, for time left.
  // Does the work, or what is left of it; returns the pictures drawn.
  std::function<std::uint64_t(const RunTalk&)> work;
};

void RunInParallel(const std::vector<ParallelRun>& runs, unsigned jobs, Progress& progress);

// Runs at once where the person names no number: processor cores by the threads of a run.
[[nodiscard]] unsigned UsualJobs(unsigned threads_of_a_run);

}  // namespace hemafed::studies
