// studies/uacl/study_run.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes one run of a study: learns the experiment's tasks in order by one method with one seed, scores every test set
// after every task, and leaves a RunResult. A run that was stopped anywhere goes on from its last checkpoint and ends
// with the same result.
//
// Folder of a run:
//     checkpoint/     learning/continual/checkpoint.h; removed when the run is done
//     answers.json    a RunResult of the tasks scored so far; from the first moment on, as it says what the run is of
//     result.json     the RunResult; its presence says that the run is done
//
// Errors: kConflict if the folder holds a result that was made from something else (another study, other pictures);
// those of the learner and of files. Thread-safety: one thread per run; several runs at once are independent.
#pragma once

#include <c10/core/Device.h>

#include <functional>

#include "common/clock.h"
#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/continual/learner.h"
#include "studies/setup/study_data.h"
#include "studies/setup/study_file.h"
#include "studies/uacl/run_result.h"

namespace hemafed::studies {

// Training is saved after so many steps: some 30 s of a small model's work on two cores; writing takes under 0.1 s.
inline constexpr std::uint32_t kStepsBetweenCheckpoints = 300;

struct RunProgress {
  std::size_t task = 0;  // from 0
  std::size_t tasks = 0;
  std::string what;            // "epoch 3 of 6, loss 0.41", "scoring raabin"
  std::uint64_t pictures = 0;  // drawn so far in the run, for pace and time left
};
// May throw to stop the run.
using RunObserver = std::function<void(const RunProgress&)>;

struct RunPlace {
  FileSystem* files = nullptr;
  const Clock* clock = nullptr;
  const StudyFile* study = nullptr;
  const StudyData* data = nullptr;
  Path folder;                     // of all runs; this one's is below, by its name
  c10::Device device = c10::kCPU;  // where the initial models are
  unsigned loaders = 1;            // threads that make batches ahead; no result depends on it
};

// Digest of everything the run's result depends on: settings, tasks, classes, pictures, initial weights,
// and whether a GPU computes it.
[[nodiscard]] Digest MadeFrom(const RunPlace& place, const RunKey& run, const Digest& initial_weights);
// The finished result of a run, or nothing. Throws kConflict if it was made from something else.
[[nodiscard]] std::optional<RunResult> FinishedResult(const RunPlace& place, const RunKey& run,
                                                      const Digest& made_from);
// Training draws of a whole run, for time left.
[[nodiscard]] std::uint64_t PicturesOf(const RunPlace& place, const RunKey& run);

// Makes the run, or goes on with it; returns what is now in result.json. `initial` has no head.
RunResult MakeRun(const RunPlace& place, const RunKey& run, const learning::Classifier& initial,
                  const Digest& made_from, const RunObserver& observer);

}  // namespace hemafed::studies
