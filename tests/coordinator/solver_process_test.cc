// SPDX-License-Identifier: Apache-2.0
//
// Heads solved in a child process: the same bytes as in this one, whatever happens to the child.
#include "coordinator/solver_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "codec/analytic_head.h"
#include "common/error.h"
#include "tests/codec/feature_samples.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::coordinator {
namespace {

using testing_support::SampleSums;
using testing_support::Scratch;

const Path kProgram = Path(HEMAFED_BINARY_DIR) / "bin" / "hemafed-coordinator";

// A plan of 12 features and two classes, and the sums of two tasks.
struct Request {
  explicit Request(const FeatureSums& sums = SampleSums(12, 2, 0, 40)) {
    WriteFileAtomically(files, scratch / "plan.toml", testing_support::AnalyticPlanText(Sha256Of("weights")));
    WriteCanonicalSums(files, scratch / "sums", sums);
    WriteCanonicalSums(files, scratch / "totals", SampleSums(12, 2, 40, 90));
    request = {.plan = scratch / "plan.toml",
               .input = {.sums = scratch / "sums", .totals = scratch / "totals"},
               .out = scratch / "out"};
  }
  FileSystem& files = RealFileSystem();
  Scratch scratch;
  HeadSolveRequest request;
};

// Asks until there is an answer; waits for the child, not for a time.
HeadSolveProgress Finish(ProcessHeadSolver& solver, const HeadSolveRequest& request) {
  for (;;) {
    const HeadSolveProgress progress = solver.Poll(request);
    if (progress.solved || progress.failed) return progress;
    siginfo_t ended{};
    if (solver.child()) ::waitid(P_PID, static_cast<id_t>(*solver.child()), &ended, WEXITED | WNOWAIT);
  }
}

TEST(ProcessHeadSolver, SolvesToTheSameBytesAsThisProcess) {
  Request asked;
  ProcessHeadSolver solver(asked.files, kProgram);
  const HeadSolveProgress there = Finish(solver, asked.request);
  ASSERT_TRUE(there.solved.has_value()) << there.failed.value_or("");
  const std::string head = ReadFile(asked.files, asked.request.HeadOut(), 1 << 10);
  EXPECT_EQ(Sha256Of(head), there.solved->head);
  EXPECT_EQ(Sha256Of(ReadFile(asked.files, asked.request.TotalsOut(), 1 << 20)), there.solved->totals);
  EXPECT_EQ(AnalyticHead::FromBytes(AsBytes(head), 12, 2, "head").weights, SolveRidge(SampleSums(12, 2, 0, 90), 0.5));
  EXPECT_EQ(InlineHeadSolver(asked.files).Poll(asked.request).solved, there.solved);
}

TEST(ProcessHeadSolver, AChildThatIsKilledIsStartedAgainAndChangesNothing) {
  Request asked;
  ProcessHeadSolver solver(asked.files, kProgram);
  for (int kill = 0; kill + 1 < kMaxSolveAttempts; ++kill) {
    ASSERT_FALSE(solver.Poll(asked.request).failed.has_value());
    ASSERT_TRUE(solver.child().has_value());
    // It may have finished already; its result is then taken below.
    ::kill(*solver.child(), SIGKILL);
    siginfo_t ended{};
    ::waitid(P_PID, static_cast<id_t>(*solver.child()), &ended, WEXITED | WNOWAIT);
    if (ended.si_status != SIGKILL) break;
    (void)solver.Poll(asked.request);
  }
  const HeadSolveProgress progress = Finish(solver, asked.request);
  ASSERT_TRUE(progress.solved.has_value()) << progress.failed.value_or("");
  EXPECT_EQ(progress.solved, InlineHeadSolver(asked.files).Poll(asked.request).solved);
}

TEST(ProcessHeadSolver, SumsThatCannotBeSolvedFailWithTheReason) {
  // Features that are always 65,535: G is singular, and the smallest ridge is lost beside 2^22 such pictures, whose
  // square root and quotients are exact, so that the second pivot is 0.
  constexpr std::int64_t kPictures = std::int64_t{1} << 22, kFeature = 65'535;
  std::vector<std::int64_t> values(12 * 13 / 2, kPictures * kFeature * kFeature);
  for (int i = 0; i < 12; ++i) values.insert(values.end(), {kPictures * kFeature, 0});
  values.insert(values.end(), {kPictures, 0});
  Request asked(FeatureSums::FromValues(12, 2, values));
  asked.request.input.totals.reset();
  std::string plan = ReadFile(asked.files, asked.request.plan, kMaxPlanBytes);
  plan.replace(plan.find("ridge = 0.5"), 11, "ridge = 1e-6");
  WriteFileAtomically(asked.files, asked.request.plan, plan);
  ProcessHeadSolver solver(asked.files, kProgram);
  const HeadSolveProgress progress = Finish(solver, asked.request);
  EXPECT_NE(progress.failed.value_or("").find("a larger ridge"), std::string::npos) << progress.failed.value_or("-");
}

TEST(ProcessHeadSolver, AProgramThatLeavesNoResultIsTriedAFewTimesAndNamed) {
  Request asked;
  ProcessHeadSolver solver(asked.files, "/bin/false");
  const HeadSolveProgress progress = Finish(solver, asked.request);
  EXPECT_NE(progress.failed.value_or("").find("ended with status 1, 3 times"), std::string::npos)
      << progress.failed.value_or("-");
}

TEST(ProcessHeadSolver, TheCommandDoesNothingForAParentThatIsGone) {
  Request asked;
  EXPECT_EQ(RunSolveCommand(asked.files, asked.request, ::getpid()), 1);  // This process is not its own parent.
  EXPECT_FALSE(asked.files.Exists(asked.request.out));
}

TEST(ProcessHeadSolver, AProgramThatIsNotThereIsThisMachinesTrouble) {
  Request asked;
  ProcessHeadSolver solver(asked.files, "/nonexistent/hemafed");
  EXPECT_ERROR(ErrorCode::kUnavailable, "cannot start", (void)solver.Poll(asked.request));
}

}  // namespace
}  // namespace hemafed::coordinator
