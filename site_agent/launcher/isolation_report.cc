// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/isolation_report.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <sstream>

#include "common/descriptor.h"
#include "common/error.h"
#include "site_agent/launcher/landlock.h"
#include "site_agent/launcher/namespaces.h"
#include "site_agent/launcher/syscall_filter.h"
#include "site_agent/launcher/trial.h"

namespace hemafed {

namespace {

// Entries looked at while searching a folder for one file to try; picture folders may hold millions.
constexpr int kMaxEntriesSearched = 1000;

// One thing that a restricted process tries. `attempt` returns 0 when it succeeded, otherwise the errno.
struct Attempt {
  std::string check;
  bool must_work = false;
  std::function<int()> attempt;
  std::string advice;  // Shown when the outcome is not the wanted one.
};

int ErrnoUnless(bool succeeded) { return succeeded ? 0 : errno; }

int TryList(const Path& folder) {
  DIR* listing = ::opendir(folder.c_str());
  if (listing == nullptr) return errno;
  ::closedir(listing);
  return 0;
}

int TryOpen(const Path& file, int flags) {
  const Descriptor opened(::open(file.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
  return ErrnoUnless(opened.valid());
}

int TryWriteIn(const Path& folder) {
  const Path file = folder / (".hemafed-check-" + std::to_string(::getpid()));
  const int error = TryOpen(file, O_WRONLY | O_CREAT | O_EXCL);
  if (error == 0) ::unlink(file.c_str());
  return error;
}

int TrySocket(int family, int type) {
  const Descriptor socket(::socket(family, type | SOCK_CLOEXEC, 0));
  return ErrnoUnless(socket.valid());
}

// Reads eight bytes of the parent's memory: the launcher stands for every other process of this user.
int TryOtherMemory() {
  static const std::uint64_t kSecret = 0;
  std::uint64_t copy = 0;
  const iovec here{&copy, sizeof copy}, there{const_cast<std::uint64_t*>(&kSecret), sizeof kSecret};
  return ErrnoUnless(::process_vm_readv(::getppid(), &here, 1, &there, 1, 0) == sizeof copy);
}

// Some regular file below `folder`, by name; the folder itself is enough where there is none.
std::optional<Path> AnyFileIn(const Path& folder) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(folder, error), end;
  for (int i = 0; !error && entry != end && i < kMaxEntriesSearched; ++i, entry.increment(error)) {
    if (entry->is_regular_file(error)) return entry->path();
  }
  return std::nullopt;
}

CheckRow Judge(const Attempt& attempt, int error) {
  CheckRow row{attempt.check, CheckResult::kHolds, "", ""};
  row.found = error == 0
                  ? "works"
                  : std::string(attempt.must_work ? "does not work (" : "refused (") + std::strerror(error) + ")";
  if ((error == 0) == attempt.must_work) return row;
  row.result = CheckResult::kFails;
  row.advice = attempt.advice;
  return row;
}

// All attempts in one restricted child; answers are errno values, one a line, in order.
std::vector<CheckRow> RunAttempts(const std::string& who, const Restrictions& restrictions,
                                  const std::vector<Attempt>& attempts) {
  std::vector<CheckRow> rows;
  try {
    const Mechanisms mechanisms = ChooseMechanisms(restrictions);
    const std::string answers = RunTrial([&] {
      ApplyRestrictions(restrictions, mechanisms, "");
      std::string lines;
      for (const Attempt& attempt : attempts) lines += std::to_string(attempt.attempt()) + "\n";
      return lines;
    });
    rows.push_back({who + " restrictions", mechanisms.remark.empty() ? CheckResult::kHolds : CheckResult::kNote,
                    mechanisms.Describe(), mechanisms.remark});
    std::istringstream errors(answers);
    for (const Attempt& attempt : attempts) {
      int error = 0;
      errors >> error;
      rows.push_back(Judge(attempt, error));
    }
  } catch (const Error& error) {
    rows.push_back({who + " restrictions", CheckResult::kFails, "cannot be put on", error.what()});
  }
  return rows;
}

void AddFolderAttempts(const std::string& who, const AccessRules& files, std::vector<Attempt>& attempts) {
  for (const Path& folder : files.denied) {
    const std::string advice = "move " + folder.string() + " out of the folders that the " + who + " may read";
    attempts.push_back({who + " lists " + folder.string(), false, [folder] { return TryList(folder); }, advice});
    if (const auto file = AnyFileIn(folder)) {
      attempts.push_back({who + " opens a file in " + folder.string(), false,
                          [path = *file] { return TryOpen(path, O_RDONLY); }, advice});
      const Path detour = Path("/proc") / std::to_string(::getpid()) / "root" / file->relative_path();
      attempts.push_back(
          {who + " opens it through another process", false, [detour] { return TryOpen(detour, O_RDONLY); }, advice});
    }
  }
  for (const Path& folder : files.read_write) {
    attempts.push_back({who + " writes in " + folder.string(), true, [folder] { return TryWriteIn(folder); },
                        "the folder must belong to the user that runs the launcher"});
  }
  attempts.push_back(
      {who + " reads another process's memory", false, TryOtherMemory, "report this with the table above"});
}

CheckRow MachineRow(const std::string& check, const std::string& refused, const std::string& advice) {
  if (refused.empty()) return {check, CheckResult::kHolds, "available", ""};
  return {check, CheckResult::kNote, refused, advice};
}

CheckRow LandlockRow() {
  const int abi = LandlockAbi();
  const std::string found = abi == 0 ? "absent" : "ABI " + std::to_string(abi);
  if (abi >= kOldestLandlockAbi) return {"Landlock", CheckResult::kHolds, found, ""};
  return {"Landlock", CheckResult::kNote, found,
          "a private root does its work where namespaces are available; for Landlock: Linux 5.19 or later, booted with "
          "landlock in lsm="};
}

// The agent opens the trainer's results with it (site_agent/agent/result_folder.h).
CheckRow OpenBeneathRow() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH;
  const Descriptor opened(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how)));
  if (opened.valid()) return {"openat2", CheckResult::kHolds, "available", ""};
  return {"openat2", CheckResult::kFails, std::strerror(errno),
          "Linux 5.6 or later is needed, and a container must not hide it"};
}

bool CanRestrictFiles(const Restrictions& restrictions) {
  try {
    return ChooseMechanisms(restrictions).files != FileMechanism::kNone;
  } catch (const Error&) {
    return true;  // Reported by RunAttempts, which meets the same error.
  }
}

}  // namespace

std::vector<CheckRow> CheckMachine() {
  const std::string user_advice =
      "needed only without Landlock or for a second wall around the trainer; see docs/threat_model.md";
  std::vector<CheckRow> rows{LandlockRow(), OpenBeneathRow()};
  rows.push_back(MachineRow("mount namespace", WhyNamespacesAreRefused(CLONE_NEWNS), user_advice));
  rows.push_back(MachineRow("network namespace", WhyEmptyNetworkIsRefused(), user_advice));
  rows.push_back(
      MachineRow("system call filter", WhySyscallFilterIsRefused(), "the kernel needs CONFIG_SECCOMP_FILTER"));
  if (rows.back().result == CheckResult::kNote) rows.back().result = CheckResult::kFails;
  if (::geteuid() == 0) {
    rows.push_back({"user", CheckResult::kNote, "root",
                    "an ordinary user that owns the site's folders is enough and keeps more out of reach"});
  }
  return rows;
}

std::vector<CheckRow> CheckAgent(const Restrictions& agent) {
  std::vector<Attempt> attempts;
  AddFolderAttempts("agent", agent.files, attempts);
  attempts.push_back({"agent makes a TCP socket", true, [] { return TrySocket(AF_INET, SOCK_STREAM); },
                      "the agent must reach the coordinator; look for a filter around the launcher"});
  attempts.push_back({"agent makes a local socket", false, [] { return TrySocket(AF_UNIX, SOCK_STREAM); }, ""});
  return RunAttempts("agent", agent, attempts);
}

std::vector<CheckRow> CheckTrainer(const Restrictions& trainer) {
  std::vector<Attempt> attempts;
  AccessRules files = trainer.files;
  // A trainer whose files cannot be restricted reaches the agent's keys; the first row then says so.
  if (!trainer.files_required && !CanRestrictFiles(trainer)) files.denied.clear();
  AddFolderAttempts("trainer", files, attempts);
  const std::vector<Path> system = SystemRules().read_only;
  for (const Path& folder : trainer.files.read_only) {
    const bool is_system = std::find(system.begin(), system.end(), folder) != system.end();
    if (is_system || !std::filesystem::is_directory(folder)) continue;
    attempts.push_back({"trainer lists " + folder.string(), true, [folder] { return TryList(folder); },
                        "the folder must be readable for the user that runs the launcher"});
  }
  struct Family {
    const char* name;
    int family, type;
    bool stays_with_loopback;
  };
  for (const Family& family :
       {Family{"IPv4", AF_INET, SOCK_STREAM, true}, Family{"IPv4 datagram", AF_INET, SOCK_DGRAM, true},
        Family{"IPv6", AF_INET6, SOCK_STREAM, true}, Family{"local", AF_UNIX, SOCK_STREAM, false},
        Family{"netlink", AF_NETLINK, SOCK_RAW, true}, Family{"packet", AF_PACKET, SOCK_RAW, false}}) {
    if (trainer.network == NetworkPolicy::kLoopbackOnly && family.stays_with_loopback) continue;
    attempts.push_back({std::string("trainer makes a socket: ") + family.name, false,
                        [family] { return TrySocket(family.family, family.type); }, "do not run the trainer here"});
  }
  return RunAttempts("trainer", trainer, attempts);
}

bool AllHold(const std::vector<CheckRow>& rows) {
  return std::none_of(rows.begin(), rows.end(), [](const CheckRow& row) { return row.result == CheckResult::kFails; });
}

std::string FormatChecks(const std::vector<CheckRow>& rows) {
  std::size_t width = 0;
  for (const CheckRow& row : rows) width = std::max(width, row.check.size());
  std::string text;
  for (const CheckRow& row : rows) {
    const char* result = row.result == CheckResult::kHolds  ? "ok    "
                         : row.result == CheckResult::kNote ? "note  "
                                                            : "FAILS ";
    text += row.check + std::string(width - row.check.size() + 2, ' ') + result + row.found + "\n";
    if (!row.advice.empty()) text += std::string(width + 2, ' ') + "      " + row.advice + "\n";
  }
  return text;
}

}  // namespace hemafed
