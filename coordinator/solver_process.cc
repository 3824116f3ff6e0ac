// SPDX-License-Identifier: Apache-2.0
#include "coordinator/solver_process.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::coordinator {

using nlohmann::json;

namespace {

constexpr const char* kResultName = "result.json";
constexpr std::size_t kMaxResultBytes = 4 << 10;  // Two digests, or a sentence.
constexpr std::size_t kMaxFailureBytes = 2'000;

Path ResultFile(const HeadSolveRequest& request) { return request.out / kResultName; }

void Limit(decltype(RLIMIT_AS) resource, std::uint64_t most) {
  const rlimit limit{.rlim_cur = most, .rlim_max = most};
  if (::setrlimit(resource, &limit) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot bound the solving process: ") + std::strerror(errno));
  }
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

ProcessHeadSolver::ProcessHeadSolver(FileSystem& files, Path program) : files_(files), program_(std::move(program)) {}

ProcessHeadSolver::~ProcessHeadSolver() { End(); }

void ProcessHeadSolver::End() {
  if (!child_) return;
  ::kill(*child_, SIGKILL);
  while (::waitpid(*child_, nullptr, 0) < 0 && errno == EINTR) {
  }
  child_.reset();
}

HeadSolveProgress ProcessHeadSolver::Poll(const HeadSolveRequest& request) {
  if (request.input.sums != sums_) {
    End();
    sums_ = request.input.sums;
    attempts_ = 0;
  }
  if (!child_) {
    Start(request);
    return {};
  }
  int status = 0;
  const pid_t ended = ::waitpid(*child_, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return {};
  child_.reset();
  if (auto result = ReadResult(request)) return *result;
  if (attempts_ < kMaxSolveAttempts) return {};
  return {.solved = {},
          .failed = "the solving process " + HowItEnded(status) + ", " + std::to_string(kMaxSolveAttempts) +
                    " times; see that " + std::to_string(kMaxSolveBytes >> 20) + " MiB of memory and room in " +
                    request.out.string() + " are free, then start the coordinator again"};
}

void ProcessHeadSolver::Start(const HeadSolveRequest& request) {
  files_.Remove(request.out);
  files_.CreateFolders(request.out);
  std::vector<std::string> words{
      program_.string(), "solve-head",        "--plan", request.plan.string(), "--sums", request.input.sums.string(),
      "--out",           request.out.string()};
  words.insert(words.end(), {"--parent", std::to_string(::getpid())});
  if (request.input.totals) words.insert(words.end(), {"--totals", request.input.totals->string()});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (const int error = ::posix_spawn(&child, program_.c_str(), nullptr, nullptr, arguments.data(), environ);
      error != 0) {
    throw Error(ErrorCode::kUnavailable, "cannot start " + program_.string() + " to solve a head: " +
                                             std::strerror(error) + "; see how many processes this user may have");
  }
  child_ = child;
  ++attempts_;
}

std::optional<HeadSolveProgress> ProcessHeadSolver::ReadResult(const HeadSolveRequest& request) const {
  const Path path = ResultFile(request);
  if (!files_.Exists(path)) return std::nullopt;
  const json object = ParseJsonObject(ReadFile(files_, path, kMaxResultBytes), path.string());
  JsonFields fields(object, path.string());
  HeadSolveProgress progress;
  if (fields.Has("failed")) {
    progress.failed = fields.Text("failed", kMaxFailureBytes);
  } else {
    const Digest totals = fields.Sha256Digest("totals"), head = fields.Sha256Digest("head");
    progress.solved = SolvedHead{.totals = totals, .head = head};
  }
  fields.RequireAllRead();
  return progress;
}

int RunSolveCommand(FileSystem& files, const HeadSolveRequest& request, pid_t parent) {
  // Should the coordinator have died before this, the parent is another one already.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) return 1;
  Limit(RLIMIT_CPU, kMaxSolveSeconds);
  Limit(RLIMIT_CORE, 0);
#ifndef __SANITIZE_ADDRESS__  // Whose shadow memory is far larger than any bound.
  Limit(RLIMIT_AS, kMaxSolveBytes);
#endif
  // InlineHeadSolver empties the folder, and the parent has just made it; that is the same folder.
  const HeadSolveProgress progress = InlineHeadSolver(files).Poll(request);
  const json result = progress.solved
                          ? json{{"totals", progress.solved->totals.Hex()}, {"head", progress.solved->head.Hex()}}
                          : json{{"failed", progress.failed->substr(0, kMaxFailureBytes)}};
  WriteFileAtomically(files, ResultFile(request), result.dump());
  return 0;
}

}  // namespace hemafed::coordinator
