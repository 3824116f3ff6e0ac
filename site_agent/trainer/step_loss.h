// site_agent/trainer/step_loss.h
// SPDX-License-Identifier: Apache-2.0
//
// The loss that a training job's plan and job ask for (learning/continual/local_loss.h), with what it needs of earlier
// tasks: models and Fisher information that the job names, and answers to this site's exemplars, which are computed
// here by forward passes. Nothing of that is kept: the job's models say it again.
//
// Which pictures are exemplars of this site's earlier tasks: at a rehearsing site all; at the active site those whose
// class is not the task's, since a hospital learns a class in one task.
//
// Errors: kInvalidInput naming the job and task where the job lacks what the strategy needs, or an object is not what
// it should be; kCorrupt for an object that does not have its digest; kInterrupted. Thread-safety: free function.
#pragma once

#include <memory>

#include "learning/continual/local_loss.h"
#include "site_agent/trainer/job_context.h"

namespace hemafed::trainer {

// `source` is the job's TrainingSource(), not yet read by other threads. The teacher is borrowed; null: none.
[[nodiscard]] std::unique_ptr<learning::LocalLoss> LossOf(const JobContext& context, learning::BatchSource& source,
                                                          const learning::Classifier* teacher);

}  // namespace hemafed::trainer
