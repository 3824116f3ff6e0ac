// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/run_all.h"

namespace hemafed::studies {

std::vector<RunResult> RunAll(const RunPlace& place, const std::vector<PreparedRun>& runs, unsigned jobs,
                              Progress& progress) {
  std::vector<RunResult> results(runs.size());
  std::vector<ParallelRun> parallel;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const PreparedRun& run = runs[i];
    parallel.push_back({.name = place.study->RunName(run.key),
                        .pictures = PicturesOf(place, run.key),
                        .work = [&place, &run, &result = results[i]](const RunTalk& talk) {
                          result = MakeRun(place, run.key, *run.initial, run.made_from, [&](const RunProgress& made) {
                            talk("task " + std::to_string(made.task + 1) + "/" + std::to_string(made.tasks) + " " +
                                     made.what,
                                 made.pictures);
                          });
                          return result.train_pictures;
                        }});
  }
  RunInParallel(parallel, jobs, progress);
  return results;
}

}  // namespace hemafed::studies
