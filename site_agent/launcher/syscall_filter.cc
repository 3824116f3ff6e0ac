// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/syscall_filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>

#include "common/error.h"
#include "site_agent/launcher/trial.h"

namespace hemafed {

namespace {

// set_mempolicy_home_node (5.17). Numbers from 424 on are the same on all architectures.
constexpr unsigned kNewestKnownCall = 450;
// Larger than every address family (AF_MAX is 46); from here on one rule refuses all.
constexpr std::uint64_t kFamiliesEnd = 64;
constexpr std::uint64_t kSocketTypeMask = 0xf;  // The rest are SOCK_CLOEXEC and SOCK_NONBLOCK.
constexpr std::uint64_t kIntMask = 0xffffffff;  // Arguments that the kernel takes as int.
constexpr std::uint64_t kTiocLinux = 0x541c;

constexpr int kRefusedToBoth[] = {SCMP_SYS(ptrace),
                                  SCMP_SYS(process_vm_readv),
                                  SCMP_SYS(process_vm_writev),
                                  SCMP_SYS(process_madvise),
                                  SCMP_SYS(pidfd_getfd),
                                  SCMP_SYS(kcmp),
                                  SCMP_SYS(perf_event_open),
                                  SCMP_SYS(lookup_dcookie),  //
                                  SCMP_SYS(unshare),
                                  SCMP_SYS(setns),
                                  SCMP_SYS(mount),
                                  SCMP_SYS(umount),
                                  SCMP_SYS(umount2),
                                  SCMP_SYS(pivot_root),
                                  SCMP_SYS(chroot),
                                  SCMP_SYS(open_tree),
                                  SCMP_SYS(move_mount),
                                  SCMP_SYS(fsopen),
                                  SCMP_SYS(fsconfig),
                                  SCMP_SYS(fsmount),
                                  SCMP_SYS(fspick),
                                  SCMP_SYS(mount_setattr),
                                  SCMP_SYS(open_by_handle_at),
                                  SCMP_SYS(name_to_handle_at),  //
                                  SCMP_SYS(init_module),
                                  SCMP_SYS(finit_module),
                                  SCMP_SYS(delete_module),
                                  SCMP_SYS(kexec_load),
                                  SCMP_SYS(kexec_file_load),
                                  SCMP_SYS(bpf),
                                  SCMP_SYS(io_uring_setup),
                                  SCMP_SYS(io_uring_enter),
                                  SCMP_SYS(io_uring_register),
                                  SCMP_SYS(userfaultfd),
                                  SCMP_SYS(add_key),
                                  SCMP_SYS(request_key),
                                  SCMP_SYS(keyctl),
                                  SCMP_SYS(fanotify_init),
                                  SCMP_SYS(fanotify_mark),
                                  SCMP_SYS(swapon),
                                  SCMP_SYS(swapoff),
                                  SCMP_SYS(acct),
                                  SCMP_SYS(quotactl),
                                  SCMP_SYS(quotactl_fd),
                                  SCMP_SYS(reboot),
                                  SCMP_SYS(sethostname),
                                  SCMP_SYS(setdomainname),
                                  SCMP_SYS(settimeofday),
                                  SCMP_SYS(clock_settime),
                                  SCMP_SYS(adjtimex),
                                  SCMP_SYS(clock_adjtime),
                                  SCMP_SYS(iopl),
                                  SCMP_SYS(ioperm),
                                  SCMP_SYS(modify_ldt),
                                  SCMP_SYS(syslog),
                                  SCMP_SYS(vhangup),
                                  SCMP_SYS(uselib),
                                  SCMP_SYS(nfsservctl),  //
                                  SCMP_SYS(shmget),
                                  SCMP_SYS(shmat),
                                  SCMP_SYS(shmctl),
                                  SCMP_SYS(msgget),
                                  SCMP_SYS(msgsnd),
                                  SCMP_SYS(msgrcv),
                                  SCMP_SYS(msgctl),
                                  SCMP_SYS(semget),
                                  SCMP_SYS(semop),
                                  SCMP_SYS(semtimedop),
                                  SCMP_SYS(semctl),
                                  SCMP_SYS(mq_open),
                                  SCMP_SYS(mq_unlink)};

constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                             CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};

constexpr int kSocketCalls[] = {SCMP_SYS(socket), SCMP_SYS(socketcall), SCMP_SYS(bind),   SCMP_SYS(listen),
                                SCMP_SYS(accept), SCMP_SYS(accept4),    SCMP_SYS(connect)};

// The agent dials out; nothing dials in.
constexpr int kListeningCalls[] = {SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4)};

constexpr int kRefusedToAgent[] = {
    SCMP_SYS(link),          SCMP_SYS(linkat),           SCMP_SYS(symlink),      SCMP_SYS(symlinkat),
    SCMP_SYS(mknod),         SCMP_SYS(mknodat),          SCMP_SYS(chmod),        SCMP_SYS(fchmodat),
    SCMP_SYS(chown),         SCMP_SYS(lchown),           SCMP_SYS(fchownat),     SCMP_SYS(truncate),
    SCMP_SYS(utime),         SCMP_SYS(utimes),           SCMP_SYS(futimesat),    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),     SCMP_SYS(removexattr),      SCMP_SYS(lremovexattr), SCMP_SYS(getxattr),
    SCMP_SYS(lgetxattr),     SCMP_SYS(listxattr),        SCMP_SYS(llistxattr),   SCMP_SYS(inotify_init),
    SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch)};

[[noreturn]] void ThrowFilter(int error) {
  throw Error(ErrorCode::kUnavailable, std::string("cannot install the system call filter: ") + std::strerror(error));
}

class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release) {
    if (context_ == nullptr) ThrowFilter(ENOMEM);
    Set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    Set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // A search tree instead of a chain: the list is long.
  }

  void Refuse(int call, int error, std::initializer_list<scmp_arg_cmp> when = {}) {
    // Calls that this architecture does not have carry negative pseudo numbers; libseccomp leaves them out.
    const int result = ::seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call,
                                                static_cast<unsigned>(when.size()), when.begin());
    if (result < 0 && result != -EDOM) ThrowFilter(-result);
  }
  void Load() {
    if (const int result = ::seccomp_load(context_.get()); result < 0) ThrowFilter(-result);
  }

 private:
  void Set(scmp_filter_attr attribute, std::uint32_t value) {
    if (const int result = ::seccomp_attr_set(context_.get(), attribute, value); result < 0) ThrowFilter(-result);
  }

  std::unique_ptr<void, decltype(&::seccomp_release)> context_;
};

void RefuseFamiliesOtherThanInternet(Filter& filter) {
  for (std::uint64_t family = 0; family < kFamiliesEnd; ++family) {
    if (family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
    filter.Refuse(SCMP_SYS(socket), EACCES, {SCMP_A0(SCMP_CMP_EQ, family)});
  }
  // Also catches set upper bits, which the kernel would ignore.
  filter.Refuse(SCMP_SYS(socket), EACCES, {SCMP_A0(SCMP_CMP_GE, kFamiliesEnd)});
  // Name look-up asks route netlink (protocol 0) for the machine's addresses; the other protocols stay out.
  filter.Refuse(SCMP_SYS(socket), EACCES, {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_NE, 0)});
  filter.Refuse(SCMP_SYS(socketcall), EACCES);
}

// A connected pair of stream or packet sockets ignores or refuses other addresses; a datagram pair would not.
void RefuseSocketPairsThatCanReachOthers(Filter& filter) {
  filter.Refuse(SCMP_SYS(socketpair), EACCES, {SCMP_A0(SCMP_CMP_NE, AF_UNIX)});
  for (std::uint64_t type = 0; type <= kSocketTypeMask; ++type) {
    if (type == SOCK_STREAM || type == SOCK_SEQPACKET) continue;
    filter.Refuse(SCMP_SYS(socketpair), EACCES, {SCMP_A1(SCMP_CMP_MASKED_EQ, kSocketTypeMask, type)});
  }
}

void RefuseToAgent(Filter& filter) {
  for (const int call : kRefusedToAgent) filter.Refuse(call, EPERM);
  for (const int call : kListeningCalls) filter.Refuse(call, EACCES);
  // Without a path (a null pointer), utimensat acts on a descriptor, as futimens does.
  filter.Refuse(SCMP_SYS(utimensat), EPERM, {SCMP_A1(SCMP_CMP_NE, 0)});
  filter.Refuse(SCMP_SYS(prctl), EPERM, {SCMP_A0(SCMP_CMP_MASKED_EQ, kIntMask, PR_SET_PDEATHSIG)});
  RefuseFamiliesOtherThanInternet(filter);
}

// The first of two filters: numbers above the newest known call. libseccomp has no rule for ranges of numbers.
void RefuseUnknownCalls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kNewestKnownCall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog code{sizeof program / sizeof program[0], program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &code, 0, 0) != 0) {
    ThrowFilter(errno);
  }
}

}  // namespace

void InstallSyscallFilter(NetworkPolicy policy) {
  Filter filter;
  for (const int call : kRefusedToBoth) filter.Refuse(call, EPERM);
  for (const std::uint64_t flag : kNamespaceFlags) {
    filter.Refuse(SCMP_SYS(clone), EPERM, {SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)});
  }
  filter.Refuse(SCMP_SYS(clone3), ENOSYS);
  for (const std::uint64_t request : {static_cast<std::uint64_t>(TIOCSTI), kTiocLinux}) {
    filter.Refuse(SCMP_SYS(ioctl), EPERM, {SCMP_A1(SCMP_CMP_MASKED_EQ, kIntMask, request)});
  }
  RefuseSocketPairsThatCanReachOthers(filter);
  switch (policy) {
    case NetworkPolicy::kOutbound: RefuseToAgent(filter); break;
    case NetworkPolicy::kLoopbackOnly: RefuseFamiliesOtherThanInternet(filter); break;
    case NetworkPolicy::kNone:
      for (const int call : kSocketCalls) filter.Refuse(call, EACCES);
      break;
  }
  RefuseUnknownCalls();
  filter.Load();
}

std::string WhySyscallFilterIsRefused() {
  return RunTrial([]() -> std::string {
    try {
      InstallSyscallFilter(NetworkPolicy::kNone);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  });
}

}  // namespace hemafed
