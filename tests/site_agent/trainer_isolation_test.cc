// SPDX-License-Identifier: Apache-2.0
//
// What a process with the trainer's restrictions can and cannot do, by trying, under each network mechanism.
#include <fcntl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "tests/expect_error.h"
#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

struct Mode {
  const char* name;
  NetworkMechanism network;
  FileMechanism files;
};

class Trainer : public testing::TestWithParam<Mode> {
 protected:
  [[nodiscard]] Restrictions Restricted() const {
    Restrictions restrictions = lab.Trainer();
    restrictions.network_mechanism = GetParam().network;
    restrictions.file_mechanism = GetParam().files;
    return restrictions;
  }
  void SetUp() override { SKIP_UNLESS_POSSIBLE(Restricted()); }

  Lab lab;
};

constexpr Mode kModes[] = {
    {"NamespaceAndFilter", NetworkMechanism::kAutomatic, FileMechanism::kAutomatic},
    {"NamespaceOnly", NetworkMechanism::kNamespaceOnly, FileMechanism::kAutomatic},
    {"FilterOnly", NetworkMechanism::kFilterOnly, FileMechanism::kAutomatic},
    {"NamespaceOnlyWithoutLandlock", NetworkMechanism::kNamespaceOnly, FileMechanism::kNone},
    {"FilterOnlyWithoutLandlock", NetworkMechanism::kFilterOnly, FileMechanism::kNone},
    {"FilterInPrivateRoot", NetworkMechanism::kAutomatic, FileMechanism::kPrivateRoot},
};
INSTANTIATE_TEST_SUITE_P(By, Trainer, testing::ValuesIn(kModes), [](const auto& row) { return row.param.name; });

TEST_P(Trainer, ReadsPicturesAndWritesResults) {
  EXPECT_EQ(TryRestricted(Restricted(),
                          [&] {
                            FileSystem& files = RealFileSystem();
                            WriteFileAtomically(files, lab.folders.trainer[0] / "checkpoint", "weights");
                            files.CreateFolders(lab.folders.jobs / "work/one");
                            WriteFileAtomically(files, lab.folders.jobs / "work/one/report.json", "{}");
                            files.Rename(lab.folders.jobs / "work/one", lab.folders.jobs / "done/one");
                            return ReadFile(files, lab.picture, 100);
                          }),
            kPictureText);
  EXPECT_EQ(ReadFile(RealFileSystem(), lab.folders.jobs / "done/one/report.json", 100), "{}");
  const Finished cat = RunProgram(Restricted(), {"/bin/cat", lab.picture.string()});
  EXPECT_EQ(cat.output, kPictureText) << cat.errors;
}

TEST_P(Trainer, ReachesNoPortOfThisMachine) {
  const Listener coordinator;
  const std::string port = std::to_string(coordinator.port());
  // The same program without restrictions, so that the refusal means something.
  Restrictions open = lab.Agent();
  EXPECT_EQ(RunProgram(open, {TestProgram().string(), "connect", port}).output, "connected\n");
  EXPECT_TRUE(coordinator.WasReached());

  const Finished own = RunProgram(Restricted(), {TestProgram().string(), "connect", port});
  EXPECT_EQ(own.end, (ProgramEnd{false, 1})) << own.output;
  const std::string script = "import socket\ntry:\n  socket.create_connection(('127.0.0.1', " + port +
                             "), 5); print('connected')\nexcept OSError as e: print('refused')\n";
  const Finished python = RunProgram(Restricted(), {"/usr/bin/python3", "-c", script});
  EXPECT_EQ(python.output, "refused\n") << python.errors;
  EXPECT_FALSE(coordinator.WasReached());
}

TEST_P(Trainer, MakesNoSocketOfAnyFamilyButThoseThatTheNamespaceEmpties) {
  const bool filtered = GetParam().network != NetworkMechanism::kNamespaceOnly;
  EXPECT_EQ(TryRestricted(Restricted(),
                          [] {
                            std::string made;
                            for (int family = 0; family < 70; ++family) {
                              bool any = false;
                              for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET}) {
                                any |= Descriptor(::socket(family, type, 0)).valid();
                              }
                              if (any) made += std::to_string(family) + " ";
                            }
                            return made;
                          }),
            filtered ? "" : "2 10 16 ")
      << "IPv4, IPv6 and route netlink";
}

TEST_P(Trainer, ReachesNoLocalSocketOfAnotherProgram) {
  const Path path = lab.folders.jobs / "engine.sock";
  const Descriptor engine(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.native().size(), sizeof address.sun_path);
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  ASSERT_EQ(::bind(engine.number(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(engine.number(), 1), 0);
  EXPECT_EQ(TryRestricted(Restricted(),
                          [&] {
                            const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
                            if (!socket.valid()) return std::string("no socket");
                            return Outcome(::connect(socket.number(), generic, sizeof address) == 0);
                          }),
            "no socket");
}

TEST_P(Trainer, KeepsConnectedPairsButNoneThatCanBePointedElsewhere) {
  EXPECT_EQ(TryRestricted(Restricted(),
                          [] {
                            int pair[2];
                            const std::string stream =
                                Outcome(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
                            char byte = 'x', copy = 0;
                            const bool carried =
                                ::write(pair[0], &byte, 1) == 1 && ::read(pair[1], &copy, 1) == 1 && copy == byte;
                            return stream + " " + (carried ? "carried " : "lost ") +
                                   Outcome(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0) + " " +
                                   Outcome(::socketpair(AF_TIPC, SOCK_STREAM, 0, pair) == 0);
                          }),
            "ok carried EACCES EACCES");
}

TEST_P(Trainer, WorksWithThreads) {
  const Finished own = RunProgram(Restricted(), {TestProgram().string(), "threads", lab.picture.string()});
  EXPECT_EQ(own.output, std::to_string(8 * std::strlen(kPictureText)) + " bytes\n") << own.errors;
  const std::string script =
      "import threading, subprocess\nout = []\n"
      "ts = [threading.Thread(target=lambda: out.append(1)) for _ in range(4)]\n"
      "[t.start() for t in ts]; [t.join() for t in ts]\n"
      "print(len(out), subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout.strip())\n";
  const Finished python = RunProgram(Restricted(), {"/usr/bin/python3", "-c", script});
  EXPECT_EQ(python.output, "4 child\n") << python.errors;
}

TEST_P(Trainer, DoesNotReachTheAgentsKeysWhereFilesAreRestricted) {
  const std::string outcome = TryRestricted(
      Restricted(), [&] { return Outcome(Descriptor(::open(lab.network_key.c_str(), O_RDONLY)).valid()); });
  if (GetParam().files == FileMechanism::kNone) {
    EXPECT_EQ(outcome, "ok");
  } else {
    EXPECT_TRUE(outcome == "EACCES" || outcome == "ENOENT") << outcome;
  }
}

TEST_P(Trainer, SharesNoMemorySegmentsWithOthers) {
  EXPECT_EQ(TryRestricted(Restricted(), [] { return Outcome(::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0); }),
            "EPERM");
}

TEST(TrainerOnSeveralDevices, TalksToItselfOnALoopbackOfItsOwn) {
  const Lab lab;
  const Restrictions trainer = lab.Trainer(NetworkPolicy::kLoopbackOnly);
  SKIP_UNLESS_POSSIBLE(trainer);
  const Listener outside;
  EXPECT_EQ(
      TryRestricted(
          trainer,
          [&] {
            const Listener inside;
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            std::string outcomes;
            for (const int port : {inside.port(), outside.port() == inside.port() ? 1 : outside.port()}) {
              address.sin_port = htons(static_cast<std::uint16_t>(port));
              const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
              outcomes +=
                  Outcome(::connect(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) + " ";
            }
            address.sin_addr.s_addr = inet_addr("192.0.2.1");  // RFC 5737: documentation only, not this machine.
            const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
            return outcomes +
                   Outcome(::connect(socket.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
          }),
      "ok ECONNREFUSED ENETUNREACH");
  EXPECT_FALSE(outside.WasReached());
}

TEST(TrainerOnSeveralDevices, NeedsTheNamespace) {
  const Lab lab;
  Restrictions trainer = lab.Trainer(NetworkPolicy::kLoopbackOnly);
  trainer.network_mechanism = NetworkMechanism::kFilterOnly;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "network namespace", (void)ChooseMechanisms(trainer));
}

}  // namespace
}  // namespace hemafed
