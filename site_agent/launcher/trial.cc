// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>

#include "common/descriptor.h"
#include "common/error.h"

namespace hemafed {

namespace {

void WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // The parent reads less as an early end and says so.
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// First byte of an answer: 0 for a text, otherwise the code of the error whose message follows.
std::string Answer(const std::function<std::string()>& attempt) {
  try {
    std::string text = attempt();
    if (text.size() > kMaxTrialAnswerBytes) text.resize(kMaxTrialAnswerBytes);
    return std::string(1, '\0') + text;
  } catch (const Error& error) {
    return std::string(1, static_cast<char>(error.code())) + error.what();
  } catch (const std::exception& error) {
    return std::string(1, static_cast<char>(ErrorCode::kInternal)) + error.what();
  }
}

}  // namespace

void RequireOneThread() {
  std::size_t threads = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++threads;
  if (threads == 1) return;
  throw Error(ErrorCode::kInternal, "a restricted program must be started before the launcher has threads; it has " +
                                        std::to_string(threads));
}

std::string RunTrial(const std::function<std::string()>& attempt) {
  RequireOneThread();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  // Otherwise what is still buffered here would be printed by the child too.
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw Error(ErrorCode::kUnavailable, std::string("cannot fork: ") + std::strerror(errno));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    WriteAll(writer.number(), Answer(attempt));
    ::_exit(0);
  }
  writer.Reset();

  std::string answer;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(reader.number(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (answer.size() <= kMaxTrialAnswerBytes) answer.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    throw Error(ErrorCode::kInternal, "a trial in a child process died of signal " + std::to_string(WTERMSIG(status)));
  }
  if (answer.empty()) throw Error(ErrorCode::kInternal, "a trial in a child process ended without an answer");
  const auto code = static_cast<std::uint8_t>(answer.front());
  answer.erase(0, 1);
  if (code != 0) throw Error(static_cast<ErrorCode>(code), answer);
  return answer;
}

}  // namespace hemafed
