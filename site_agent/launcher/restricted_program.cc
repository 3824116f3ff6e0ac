// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/restricted_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "common/error.h"
#include "site_agent/launcher/trial.h"

namespace hemafed {

namespace {

// A failure message of the child; a path of PATH_MAX bytes and some words fit.
constexpr std::size_t kMaxFailureBytes = 8192;

// The most that one pipe can hold (fs.pipe-max-size), in bytes: after a program's end one reading empties it.
constexpr std::size_t kMaxPipeBytes = 1 << 20;

struct Pipe {
  Descriptor reader, writer;
};

Pipe MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

[[noreturn]] void ThrowStart(const std::string& what, ErrorCode code = ErrorCode::kUnavailable) {
  throw Error(code, "cannot " + what + ": " + std::strerror(errno));
}

// The launcher blocks and handles signals in its own way; the program starts with the defaults.
void ResetSignals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) ThrowStart("unblock signals");
}

void SetUpDescriptors(const Pipe& output, const Pipe& errors) {
  const Descriptor null_device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null_device.valid() || ::dup2(null_device.number(), 0) < 0 || ::dup2(output.writer.number(), 1) < 0 ||
      ::dup2(errors.writer.number(), 2) < 0) {
    ThrowStart("connect the program's output");
  }
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) ThrowStart("keep the launcher's files from the program");
}

[[noreturn]] void RunChild(const ProgramSpec& spec, const Mechanisms& mechanisms, pid_t launcher, const Pipe& output,
                           const Pipe& errors) {
  ResetSignals();
  // A session of its own: no terminal to type into, and Ctrl-C reaches the program only through the launcher.
  if (::setsid() < 0) ThrowStart("leave the launcher's session");
  const rlimit no_cores{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_cores) != 0) ThrowStart("switch core dumps off");
  SetUpDescriptors(output, errors);

  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  std::vector<std::string> additions = spec.environment;
  if (!spec.working_folder.empty()) additions.push_back("TMPDIR=" + spec.working_folder.string());
  for (const std::string& addition : additions) {
    const std::string name = addition.substr(0, addition.find('=') + 1);
    std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(name); });
    environment.push_back(addition);
  }
  std::vector<std::string> arguments = spec.arguments;
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  };

  // Restricting changes credentials, which clears the signal, and the filter keeps it: so it is set in between.
  ApplyRestrictions(spec.restrictions, mechanisms, spec.working_folder, [launcher] {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) ThrowStart("tie the program to the launcher");
    if (::getppid() != launcher) ::_exit(1);
  });
  ::execve(arguments.front().c_str(), pointers(arguments).data(), pointers(environment).data());
  ThrowStart("execute " + arguments.front(), ErrorCode::kNotFound);
}

// Nothing when the exec succeeded (the pipe closes without a byte).
void ThrowFailureOfChild(const std::string& name, int reader) {
  std::string failure;
  std::array<char, 1024> buffer{};
  for (;;) {
    const ssize_t got = ::read(reader, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (failure.size() < kMaxFailureBytes) failure.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (failure.empty()) return;
  throw Error(static_cast<ErrorCode>(failure.front()), "the " + name + " is not started: " + failure.substr(1));
}

}  // namespace

RestrictedProgram::RestrictedProgram(const ProgramSpec& spec, const Mechanisms& mechanisms) {
  RequireOneThread();
  if (spec.arguments.empty() || !Path(spec.arguments.front()).is_absolute()) {
    throw Error(ErrorCode::kInvalidInput, "the " + spec.name + " must be named by its absolute path");
  }
  Pipe output = MakePipe(), errors = MakePipe(), failure = MakePipe();
  std::fflush(nullptr);
  const pid_t launcher = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) ThrowStart("fork");
  if (child == 0) {
    std::string message;
    try {
      RunChild(spec, mechanisms, launcher, output, errors);
    } catch (const Error& error) {
      message = std::string(1, static_cast<char>(error.code())) + error.what();
    } catch (const std::exception& error) {
      message = std::string(1, static_cast<char>(ErrorCode::kInternal)) + error.what();
    }
    (void)!::write(failure.writer.number(), message.data(), message.size());
    ::_exit(127);
  }
  process_id_ = child;
  failure.writer.Reset();
  handle_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  output_ = std::move(output.reader);
  errors_ = std::move(errors.reader);
  try {
    if (!handle_.valid()) ThrowStart("watch the " + spec.name);
    for (const Descriptor* pipe : {&output_, &errors_}) {
      if (::fcntl(pipe->number(), F_SETFL, O_NONBLOCK) != 0) ThrowStart("read from the " + spec.name);
    }
    ThrowFailureOfChild(spec.name, failure.reader.number());
  } catch (...) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    throw;
  }
}

RestrictedProgram::~RestrictedProgram() {
  if (!handle_.valid()) return;  // Moved from, or waited for.
  Signal(SIGKILL);
  (void)Wait();
}

std::string RestrictedProgram::Take(Descriptor& pipe) {
  std::string text;
  std::array<char, 16384> buffer{};
  while (pipe.valid() && text.size() < kMaxPipeBytes) {
    const ssize_t got = ::read(pipe.number(), buffer.data(), buffer.size());
    if (got > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      pipe.Reset();
    } else if (errno != EINTR) {
      break;
    }
  }
  return text;
}

void RestrictedProgram::Signal(int signal) const {
  // Not by number: that of a process which has ended may belong to another one.
  (void)::syscall(SYS_pidfd_send_signal, handle_.number(), signal, nullptr, 0);
}

ProgramEnd RestrictedProgram::Wait() {
  int status = 0;
  while (::waitpid(process_id_, &status, 0) < 0 && errno == EINTR) {
  }
  handle_.Reset();
  if (WIFSIGNALED(status)) return {true, WTERMSIG(status)};
  return {false, WEXITSTATUS(status)};
}

}  // namespace hemafed
