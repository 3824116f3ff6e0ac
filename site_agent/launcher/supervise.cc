// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/supervise.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "common/error.h"
#include "site_agent/launcher/line_splitter.h"

namespace hemafed {

namespace {

constexpr int kUsageStatus = 2;

// Blocks the stop signals and makes them readable; restores the mask at the end.
class StopSignals {
 public:
  StopSignals() {
    sigset_t stop;
    ::sigemptyset(&stop);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&stop, signal);
    if (::sigprocmask(SIG_BLOCK, &stop, &before_) != 0) Throw();
    file_ = Descriptor(::signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!file_.valid()) Throw();
  }
  ~StopSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  [[nodiscard]] int number() const { return file_.number(); }
  // The next signal that arrived; 0 when there is none.
  [[nodiscard]] int Take() const {
    signalfd_siginfo info{};
    if (::read(file_.number(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  [[noreturn]] static void Throw() {
    throw Error(ErrorCode::kUnavailable, std::string("cannot watch for stop signals: ") + std::strerror(errno));
  }
  sigset_t before_{};
  Descriptor file_;
};

std::string Describe(const ProgramEnd& end) {
  if (!end.by_signal) return "ended with status " + std::to_string(end.value);
  return "was ended by signal " + std::to_string(end.value) + " (" + ::strsignal(end.value) + ")";
}

struct Sibling {
  Sibling(const ProgramSpec& program, const LineSink& sink)
      : spec(program),
        mechanisms(ChooseMechanisms(program.restrictions)),
        output(kMaxOutputLineBytes, [&sink, this](std::string_view line) { sink(spec.name, false, line); }),
        errors(kMaxOutputLineBytes, [&sink, this](std::string_view line) { sink(spec.name, true, line); }) {}

  const ProgramSpec& spec;
  Mechanisms mechanisms;
  LineSplitter output, errors;
  std::unique_ptr<RestrictedProgram> running;
  std::int64_t started_ms = 0;
  std::optional<std::int64_t> start_again_ms;
  int restarts_in_a_row = 0;
};

class Supervisor {
 public:
  Supervisor(const std::vector<ProgramSpec>& programs, const RestartLimits& limits, const Clock& clock,
             const LineSink& sink)
      : limits_(limits), clock_(clock), sink_(sink) {
    for (const ProgramSpec& program : programs) siblings_.push_back(std::make_unique<Sibling>(program, sink));
  }

  SupervisionResult Run() {
    for (const auto& sibling : siblings_) {
      Start(*sibling);
      Say(false, "the " + sibling->spec.name + " runs; " + sibling->mechanisms.Describe());
      if (!sibling->mechanisms.remark.empty()) Say(true, sibling->spec.name + ": " + sibling->mechanisms.remark);
    }
    while (AnyLeft()) {
      WaitForEvent();
      while (const int signal = signals_.Take()) {
        if (!stopping()) result_.asked_to_stop = true;
        Say(false, "stopping: " + std::string(::strsignal(signal)));
        StopAll();
      }
      for (const auto& sibling : siblings_) Serve(*sibling);
      if (kill_at_ms_ && clock_.MonotonicMs() >= *kill_at_ms_) KillAll();
    }
    return result_;
  }

 private:
  [[nodiscard]] bool stopping() const { return kill_at_ms_.has_value(); }

  [[nodiscard]] bool AnyLeft() const {
    return std::any_of(siblings_.begin(), siblings_.end(),
                       [](const auto& sibling) { return sibling->running || sibling->start_again_ms; });
  }

  void Say(bool is_error, const std::string& line) { sink_("launcher", is_error, line); }

  void Start(Sibling& sibling) {
    sibling.running = std::make_unique<RestrictedProgram>(sibling.spec, sibling.mechanisms);
    sibling.started_ms = clock_.MonotonicMs();
    sibling.start_again_ms.reset();
  }

  // Returns when something is readable or the nearest deadline is over; no deadline: waits without limit.
  void WaitForEvent() {
    std::vector<pollfd> watched{{signals_.number(), POLLIN, 0}};
    std::int64_t deadline_ms = std::numeric_limits<std::int64_t>::max();
    if (kill_at_ms_) deadline_ms = *kill_at_ms_;
    for (const auto& sibling : siblings_) {
      if (sibling->start_again_ms) deadline_ms = std::min(deadline_ms, *sibling->start_again_ms);
      if (!sibling->running) continue;
      for (const int number : {sibling->running->ended(), sibling->running->output(), sibling->running->errors()}) {
        if (number >= 0) watched.push_back({number, POLLIN, 0});
      }
    }
    int wait_ms = -1;
    if (deadline_ms != std::numeric_limits<std::int64_t>::max()) {
      // Rounded up by one: a wait that ends a little early would only go round again.
      const std::int64_t left_ms = std::max<std::int64_t>(0, deadline_ms - clock_.MonotonicMs());
      wait_ms = static_cast<int>(std::min<std::int64_t>(left_ms + 1, 3'600'000));
    }
    if (::poll(watched.data(), watched.size(), wait_ms) < 0 && errno != EINTR) {
      throw Error(ErrorCode::kUnavailable, std::string("cannot wait for the programs: ") + std::strerror(errno));
    }
  }

  void Serve(Sibling& sibling) {
    if (sibling.running) {
      // Asked before the output is read, so that what a program wrote before its end is never lost.
      pollfd end{sibling.running->ended(), POLLIN, 0};
      const bool ended = ::poll(&end, 1, 0) == 1;
      sibling.output.Add(sibling.running->TakeOutput());
      sibling.errors.Add(sibling.running->TakeErrors());
      if (ended) TakeEnd(sibling);
    } else if (sibling.start_again_ms && clock_.MonotonicMs() >= *sibling.start_again_ms) {
      StartAgain(sibling);
    }
  }

  void TakeEnd(Sibling& sibling) {
    sibling.output.Finish();
    sibling.errors.Finish();
    const ProgramEnd end = sibling.running->Wait();
    const std::int64_t ran_ms = clock_.MonotonicMs() - sibling.started_ms;
    sibling.running.reset();
    const std::string what = "the " + sibling.spec.name + " " + Describe(end);
    if (stopping()) {
      Say(false, what);
      return;
    }
    switch (JudgeEnd(end)) {
      case AfterEnd::kFinished: Finish(0, what); break;
      case AfterEnd::kGiveUp: Finish(end.value, what + "; trying again would not help"); break;
      case AfterEnd::kStartAgain:
        if (ran_ms >= limits_.stable_after_ms) sibling.restarts_in_a_row = 0;
        PlanRestart(sibling, what, end.by_signal ? ExitStatus(ErrorCode::kInternal) : end.value);
        break;
    }
  }

  void PlanRestart(Sibling& sibling, const std::string& what, int status) {
    if (sibling.restarts_in_a_row >= limits_.most_restarts_in_a_row) {
      Finish(status, what + "; " + std::to_string(limits_.most_restarts_in_a_row) + " restarts in a row did not help");
      return;
    }
    ++sibling.restarts_in_a_row;
    const std::int64_t delay_ms = RestartDelayMs(limits_, sibling.restarts_in_a_row);
    sibling.start_again_ms = clock_.MonotonicMs() + delay_ms;
    Say(true, what + "; starting it again in " + std::to_string(delay_ms) + " ms (" +
                  std::to_string(sibling.restarts_in_a_row) + " of at most " +
                  std::to_string(limits_.most_restarts_in_a_row) + " in a row)");
  }

  void StartAgain(Sibling& sibling) {
    try {
      Start(sibling);
      Say(false, "the " + sibling.spec.name + " runs again");
    } catch (const Error& error) {
      sibling.start_again_ms.reset();
      PlanRestart(sibling, error.what(), ExitStatus(error.code()));
    }
  }

  void Finish(int status, const std::string& reason) {
    result_.exit_status = status;
    result_.reason = reason;
    Say(status != 0, reason);
    StopAll();
  }

  void StopAll() {
    if (!kill_at_ms_) kill_at_ms_ = clock_.MonotonicMs() + limits_.stop_grace_ms;
    for (const auto& sibling : siblings_) {
      sibling->start_again_ms.reset();
      if (sibling->running) sibling->running->Signal(SIGTERM);
    }
  }

  void KillAll() {
    for (const auto& sibling : siblings_) {
      if (!sibling->running) continue;
      Say(true, "the " + sibling->spec.name + " did not stop within " + std::to_string(limits_.stop_grace_ms) +
                    " ms and is killed");
      sibling->running->Signal(SIGKILL);
    }
    kill_at_ms_ = std::numeric_limits<std::int64_t>::max();  // Once is enough.
  }

  const RestartLimits& limits_;
  const Clock& clock_;
  const LineSink& sink_;
  StopSignals signals_;
  std::vector<std::unique_ptr<Sibling>> siblings_;
  std::optional<std::int64_t> kill_at_ms_;
  SupervisionResult result_;
};

}  // namespace

void PrintLine(std::string_view program, bool is_error, std::string_view line) {
  std::FILE* file = is_error ? stderr : stdout;
  std::fprintf(file, "%.*s | %.*s\n", static_cast<int>(program.size()), program.data(), static_cast<int>(line.size()),
               line.data());
  std::fflush(file);
}

AfterEnd JudgeEnd(const ProgramEnd& end) {
  if (end.by_signal) return AfterEnd::kStartAgain;
  if (end.value == 0) return AfterEnd::kFinished;
  if (end.value == kUsageStatus) return AfterEnd::kGiveUp;
  for (const ErrorCode code : {ErrorCode::kInvalidInput, ErrorCode::kNotFound, ErrorCode::kConflict,
                               ErrorCode::kRefused, ErrorCode::kCorrupt, ErrorCode::kNoSpace}) {
    if (end.value == ExitStatus(code)) return AfterEnd::kGiveUp;
  }
  return AfterEnd::kStartAgain;
}

std::int64_t RestartDelayMs(const RestartLimits& limits, int number) {
  std::int64_t delay_ms = limits.first_delay_ms;
  for (int i = 1; i < number && delay_ms < limits.longest_delay_ms; ++i) delay_ms *= 2;
  return std::min(delay_ms, limits.longest_delay_ms);
}

SupervisionResult SuperviseSiblings(const std::vector<ProgramSpec>& programs, const RestartLimits& limits,
                                    const Clock& clock, const LineSink& sink) {
  return Supervisor(programs, limits, clock, sink).Run();
}

}  // namespace hemafed
