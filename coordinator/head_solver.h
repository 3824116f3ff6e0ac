// coordinator/head_solver.h
// SPDX-License-Identifier: Apache-2.0
//
// Who solves the head of a task of strategy `analytic` (protocol/federation/head_solve.h), seen by the sequencer: it
// asks again and again and goes on with other work meanwhile. What is solved is a function of the request's files, so a
// solver that died, with the coordinator or alone, is simply asked again.
//
// Thread-safety: one thread.
#pragma once

#include <optional>
#include <string>

#include "common/file_system.h"
#include "protocol/federation/head_solve.h"

namespace hemafed::coordinator {

struct HeadSolveRequest {
  Path plan;  // The signed text.
  HeadSolveInput input;
  Path out;  // Folder for the results, emptied first.

  [[nodiscard]] Path TotalsOut() const { return out / "totals.raw"; }
  [[nodiscard]] Path HeadOut() const { return out / "head.hfr"; }
};

// Neither: still at work.
struct HeadSolveProgress {
  std::optional<SolvedHead> solved;
  std::optional<std::string> failed;  // Asking again will not help; the next process may be luckier.
};

class HeadSolver {
 public:
  HeadSolver() = default;
  virtual ~HeadSolver() = default;
  HeadSolver(const HeadSolver&) = delete;
  HeadSolver& operator=(const HeadSolver&) = delete;

  // Begins with a request that is new, says how it goes with one that is not.
  [[nodiscard]] virtual HeadSolveProgress Poll(const HeadSolveRequest& request) = 0;
};

// Solves inside the call: simulations, which have nothing else to do, and the process of solver_process.h.
class InlineHeadSolver final : public HeadSolver {
 public:
  // Borrowed.
  explicit InlineHeadSolver(FileSystem& files) : files_(files) {}

  // Throws the machine's own troubles; what the sums are to blame for is `failed`.
  [[nodiscard]] HeadSolveProgress Poll(const HeadSolveRequest& request) override;

 private:
  FileSystem& files_;
};

}  // namespace hemafed::coordinator
