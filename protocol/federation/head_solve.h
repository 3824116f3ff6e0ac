// protocol/federation/head_solve.h
// SPDX-License-Identifier: Apache-2.0
//
// One task of strategy `analytic`, as coordinator and auditor alike compute it: the task's sums are added to those of
// all tasks before, and the head is solved from the totals (codec/ridge_head.h). Sums lie as objects in canonical form,
// named by the digest that the site signed.
//
// About a second of processor time and 100 MB for the largest plan: a program that must not stand still does it in a
// process of its own (coordinator/solver_process.h).
//
// Errors: kInvalidInput where the sums cannot be solved (a larger ridge helps) or are none of the plan's shape;
// kInternal from the exact check; those of FileSystem. Thread-safety: free functions.
#pragma once

#include <optional>
#include <string>

#include "codec/feature_sums.h"
#include "codec/plan.h"
#include "codec/reports.h"
#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

struct HeadSolveInput {
  Path sums;                   // Of the task.
  std::optional<Path> totals;  // Of the tasks before; nothing in the first.
};

struct SolvedHead {
  Digest totals, head;
  bool operator==(const SolvedHead&) const = default;
};

// Writes both objects, synced.
[[nodiscard]] SolvedHead SolveHead(FileSystem& files, const Plan& plan, const HeadSolveInput& input,
                                   const Path& totals_out, const Path& head_out);

// The file that went with a statement, in the form that objects have. kInvalidInput.
[[nodiscard]] FeatureSums ReadSumsObject(FileSystem& files, const Path& path, const Plan& plan);

// Why these are not the sums that the report describes, or may not leave a lab; nothing if they are and may.
[[nodiscard]] std::optional<std::string> WhySumsDoNotFit(const FeatureSums& sums, const SumsReport& report,
                                                         const Plan& plan);

}  // namespace hemafed
