// coordinator/solver_process.h
// SPDX-License-Identifier: Apache-2.0
//
// Solves heads in a child process (`hemafed-coordinator solve-head`, design 11.7), so that the coordinator goes on
// answering sites. Bytes that a site sent decide what is computed there, hence its bounds: kMaxSolveBytes of address
// space, kMaxSolveSeconds of processor time, no core file. It dies with the coordinator, and writes only below the
// request's folder, the result last:
//
//     out/totals.raw, out/head.hfr    the objects
//     out/result.json                 {"totals":hex,"head":hex} or {"failed":why}
//
// A child that ended without a result is started again, kMaxSolveAttempts times; a coordinator that starts anew begins
// anew. Nothing that a child left is believed but by its digest (ObjectStore::AdoptFile), and the auditor solves again.
//
// Errors: kUnavailable if no process can be started. Thread-safety: one thread.
#pragma once

#include <sys/types.h>

#include "coordinator/head_solver.h"

namespace hemafed::coordinator {

// The largest plan needs about 100 MB; the rest is libraries and the allocator.
inline constexpr std::uint64_t kMaxSolveBytes = std::uint64_t{1} << 30;
// The largest plan takes a few seconds on a slow core.
inline constexpr std::uint64_t kMaxSolveSeconds = 600;
inline constexpr int kMaxSolveAttempts = 3;

class ProcessHeadSolver final : public HeadSolver {
 public:
  // `files` is borrowed and must be the machine's. `program`: what has the subcommand; this one unless a test says.
  explicit ProcessHeadSolver(FileSystem& files, Path program = "/proc/self/exe");
  ~ProcessHeadSolver() override;  // Ends a child that is at work.

  [[nodiscard]] HeadSolveProgress Poll(const HeadSolveRequest& request) override;

  // Of the child at work; nothing while none is.
  [[nodiscard]] std::optional<pid_t> child() const { return child_; }

 private:
  void Start(const HeadSolveRequest& request);
  void End();
  [[nodiscard]] std::optional<HeadSolveProgress> ReadResult(const HeadSolveRequest& request) const;

  FileSystem& files_;
  Path program_;
  std::optional<pid_t> child_;
  Path sums_;  // Of the request that attempts_ counts for.
  int attempts_ = 0;
};

// What the child does, tied to the life of the process `parent`. Returns its exit status.
[[nodiscard]] int RunSolveCommand(FileSystem& files, const HeadSolveRequest& request, pid_t parent);

}  // namespace hemafed::coordinator
