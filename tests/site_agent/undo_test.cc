// SPDX-License-Identifier: Apache-2.0
//
// Both programs' restrictions cannot be undone from inside, root included; each way out is tried on its own.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

struct Program {
  const char* name;
  bool is_agent;
  FileMechanism files;
  NetworkMechanism network;
};

class Restricted : public testing::TestWithParam<Program> {
 protected:
  [[nodiscard]] Restrictions All() const {
    Restrictions restrictions = GetParam().is_agent ? lab.Agent() : lab.Trainer();
    restrictions.file_mechanism = GetParam().files;
    restrictions.network_mechanism = GetParam().network;
    return restrictions;
  }
  void SetUp() override { SKIP_UNLESS_POSSIBLE(All()); }
  // The outcome of one raw system call under the restrictions.
  [[nodiscard]] std::string Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) const {
    return TryRestricted(All(), [=] { return Outcome(::syscall(number, a, b, c, d, e) >= 0); });
  }

  Lab lab;
};

INSTANTIATE_TEST_SUITE_P(
    Program, Restricted,
    testing::Values(Program{"AgentByLandlock", true, FileMechanism::kLandlock, NetworkMechanism::kAutomatic},
                    Program{"AgentByPrivateRoot", true, FileMechanism::kPrivateRoot, NetworkMechanism::kAutomatic},
                    Program{"Trainer", false, FileMechanism::kAutomatic, NetworkMechanism::kAutomatic},
                    Program{"TrainerByFilter", false, FileMechanism::kNone, NetworkMechanism::kFilterOnly}),
    [](const auto& row) { return row.param.name; });

TEST_P(Restricted, HasNoCapabilitiesEvenAfterExec) {
  const Finished done = RunProgram(All(), {"/bin/cat", "/proc/self/status"});
  for (const char* line : {"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
                           "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"}) {
    EXPECT_NE(done.output.find(line), std::string::npos) << line << "not in\n" << done.output;
  }
  // An ordinary user may not empty the bounding set; no_new_privs keeps anything from being drawn from it.
  const bool bounded = done.output.find("CapBnd:\t0000000000000000\n") != std::string::npos;
  EXPECT_TRUE(bounded || ::geteuid() != 0) << done.output;
}

TEST_P(Restricted, MakesNoNamespaces) {
  for (const int kind : {CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUSER | CLONE_NEWNS}) {
    EXPECT_EQ(Call(SYS_unshare, kind), "EPERM") << kind;
    EXPECT_EQ(Call(SYS_clone, kind | SIGCHLD), "EPERM") << kind;
  }
  EXPECT_EQ(Call(SYS_clone3), "ENOSYS");
}

TEST_P(Restricted, EntersNoNamespaceOfAnotherProcess) {
  const Descriptor launcher(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  ASSERT_TRUE(launcher.valid());
  EXPECT_EQ(Call(SYS_setns, launcher.number(), CLONE_NEWNS), "EPERM");
  EXPECT_EQ(Call(SYS_setns, launcher.number(), CLONE_NEWNET), "EPERM");
}

TEST_P(Restricted, ChangesNoMounts) {
  const auto text = [](const char* value) { return reinterpret_cast<long>(value); };
  EXPECT_EQ(Call(SYS_mount, text("none"), text("/tmp"), text("tmpfs"), 0, 0), "EPERM");
  EXPECT_EQ(Call(SYS_mount, text("/"), text("/tmp"), 0, MS_BIND, 0), "EPERM");
  EXPECT_EQ(Call(SYS_umount2, text("/proc"), MNT_DETACH), "EPERM");
  EXPECT_EQ(Call(SYS_pivot_root, text("."), text(".")), "EPERM");
  EXPECT_EQ(Call(SYS_chroot, text("/")), "EPERM");
  EXPECT_EQ(Call(SYS_open_tree, AT_FDCWD, text("/"), OPEN_TREE_CLONE), "EPERM");
  EXPECT_EQ(Call(SYS_fsopen, text("tmpfs"), 0), "EPERM");
  EXPECT_EQ(Call(SYS_mount_setattr, AT_FDCWD, text("/"), 0, 0, 0), "EPERM");
}

TEST_P(Restricted, LooksIntoNoOtherProcess) {
  static std::uint64_t secret = 42;
  const pid_t launcher = ::getpid();
  EXPECT_EQ(
      TryRestricted(All(),
                    [launcher] {
                      std::uint64_t copy = 0;
                      const iovec here{&copy, sizeof copy}, there{&secret, sizeof secret};
                      const std::string read = Outcome(::process_vm_readv(launcher, &here, 1, &there, 1, 0) >= 0);
                      const std::string write = Outcome(::process_vm_writev(launcher, &here, 1, &there, 1, 0) >= 0);
                      const std::string attach = Outcome(::ptrace(PTRACE_ATTACH, launcher, nullptr, nullptr) == 0);
                      const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, launcher, 0)));
                      const std::string take = Outcome(::syscall(SYS_pidfd_getfd, handle.number(), 1, 0) >= 0);
                      return read + " " + write + " " + attach + " " + take;
                    }),
      "EPERM EPERM EPERM EPERM");
  EXPECT_EQ(secret, 42u);
}

TEST_P(Restricted, HasNoSideDoorsOfTheKernel) {
  io_uring_params parameters{};
  EXPECT_EQ(Call(SYS_io_uring_setup, 8, reinterpret_cast<long>(&parameters)), "EPERM");
  EXPECT_EQ(Call(SYS_bpf, 0, 0, 0), "EPERM");
  EXPECT_EQ(Call(SYS_keyctl, 0, -3, 1), "EPERM");
  EXPECT_EQ(Call(SYS_perf_event_open), "EPERM");
  EXPECT_EQ(Call(SYS_userfaultfd, 1), "EPERM");
  EXPECT_EQ(Call(SYS_open_by_handle_at, AT_FDCWD, 0, 0), "EPERM");
  EXPECT_EQ(Call(SYS_finit_module, 0, 0, 0), "EPERM");
  EXPECT_EQ(Call(SYS_ioctl, 0, TIOCSTI, reinterpret_cast<long>("x")), "EPERM");
  EXPECT_EQ(Call(SYS_ioctl, 0, static_cast<long>(TIOCSTI | 0x100000000), reinterpret_cast<long>("x")), "EPERM");
}

TEST_P(Restricted, HasNoCallsNewerThanReviewed) {
  for (const long number : {451L, 452L, 470L, 600L, 100000L}) EXPECT_EQ(Call(number), "ENOSYS") << number;
}

#ifdef __x86_64__
TEST_P(Restricted, DiesOfCallsOfOtherArchitectures) {
  const auto expect_death = [&](const char* what, const std::function<std::string()>& attempt) {
    try {
      const std::string outcome = TryRestricted(All(), attempt);
      // Where the kernel has no such entry, there is none to misuse.
      EXPECT_TRUE(outcome == "ENOSYS") << what << " was answered: " << outcome;
    } catch (const Error& error) {
      const std::string signal = "signal " + std::to_string(SIGSYS);
      EXPECT_NE(std::string(error.what()).find(signal), std::string::npos) << error.what();
    }
  };
  expect_death("x32", [] { return Outcome(::syscall(SYS_socket | 0x40000000, AF_INET, SOCK_STREAM, 0) >= 0); });
  expect_death("32 bit", [] {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return std::to_string(result);
  });
}
#endif

TEST_P(Restricted, KeepsItsFilterWhenItAddsAnother) {
  EXPECT_EQ(TryRestricted(All(),
                          [] {
                            // A filter may be added (sandboxes inside do so); the older one still decides against.
                            (void)::prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
                            (void)::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr);
                            return Outcome(::unshare(CLONE_NEWNS) == 0) + " " +
                                   std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
                          }),
            "EPERM 1");
}

TEST_P(Restricted, GainsNothingFromASetUserIdProgram) {
  // su is set-user-id root on Debian; started by anyone it would have an effective id of 0 and all capabilities.
  if (!std::filesystem::exists("/usr/bin/su")) GTEST_SKIP() << "no /usr/bin/su here";
  const Finished done = RunProgram(
      All(),
      {"/usr/bin/su", "--command", "/bin/cat " + (GetParam().is_agent ? lab.picture : lab.network_key).string()});
  EXPECT_EQ(done.output, "");
  EXPECT_NE(done.end, (ProgramEnd{false, 0}));
}

}  // namespace
}  // namespace hemafed
