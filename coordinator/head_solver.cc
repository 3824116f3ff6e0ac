// SPDX-License-Identifier: Apache-2.0
#include "coordinator/head_solver.h"

#include "codec/plan.h"
#include "common/error.h"

namespace hemafed::coordinator {

HeadSolveProgress InlineHeadSolver::Poll(const HeadSolveRequest& request) {
  files_.Remove(request.out);
  files_.CreateFolders(request.out);
  try {
    const Plan plan = ParsePlan(ReadFile(files_, request.plan, kMaxPlanBytes), request.plan.string());
    return {.solved = SolveHead(files_, plan, request.input, request.TotalsOut(), request.HeadOut()), .failed = {}};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput && error.code() != ErrorCode::kInternal) throw;
    return {.solved = {}, .failed = error.what()};
  }
}

}  // namespace hemafed::coordinator
