// SPDX-License-Identifier: Apache-2.0
//
// What a process with the agent's restrictions can and cannot do, by trying, under each file mechanism.
#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/error.h"
#include "site_agent/launcher/landlock.h"
#include "site_agent/launcher/namespaces.h"
#include "site_agent/launcher/syscall_filter.h"
#include "tests/expect_error.h"
#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

struct Mode {
  const char* name;
  FileMechanism mechanism;
  int newest_landlock_abi;
};

class Agent : public testing::TestWithParam<Mode> {
 protected:
  [[nodiscard]] Restrictions Restricted() const {
    Restrictions restrictions = lab.Agent();
    restrictions.file_mechanism = GetParam().mechanism;
    restrictions.newest_landlock_abi = GetParam().newest_landlock_abi;
    return restrictions;
  }
  // A trainer whose files are not restricted: the most that could be seen through it.
  [[nodiscard]] Restrictions WaitingTrainer() const {
    Restrictions restrictions = lab.Trainer();
    restrictions.file_mechanism = FileMechanism::kNone;
    restrictions.network_mechanism = NetworkMechanism::kFilterOnly;
    return restrictions;
  }
  void SetUp() override {
    SKIP_UNLESS_POSSIBLE(Restricted());
    ASSERT_EQ(ReadFile(RealFileSystem(), lab.picture, 100), kPictureText) << "the test itself must be able to read it";
  }
  // A path is out of reach when it is refused or does not exist there.
  static void ExpectOutOfReach(const std::string& outcomes) {
    std::istringstream lines(outcomes);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      const bool refused = line == "EACCES" || line == "ENOENT" || line == "EPERM" || line == "EROFS";
      EXPECT_TRUE(refused) << line << " in:\n" << outcomes;
    }
    EXPECT_GT(count, 0);
  }
  static std::string Open(const Path& path, int flags = O_RDONLY) {
    return Outcome(Descriptor(::open(path.c_str(), flags | O_CLOEXEC)).valid()) + "\n";
  }
  static std::string Follow(const Path& link) {
    char target[100];
    return Outcome(::readlink(link.c_str(), target, sizeof target) >= 0) + "\n";
  }
  static std::string List(const Path& path) {
    DIR* listing = ::opendir(path.c_str());
    if (listing == nullptr) return Outcome(false) + "\n";
    ::closedir(listing);
    return "ok\n";
  }

  Lab lab;
};

INSTANTIATE_TEST_SUITE_P(By, Agent,
                         testing::Values(Mode{"Landlock", FileMechanism::kLandlock, 1000},
                                         Mode{"LandlockOfDebian12", FileMechanism::kLandlock, 2},
                                         Mode{"PrivateRoot", FileMechanism::kPrivateRoot, 1000}),
                         [](const auto& row) { return row.param.name; });

TEST_P(Agent, CannotOpenPicturesOrTheVaultNorListThem) {
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    return Open(lab.picture) + Open(lab.picture, O_RDWR) + Open(lab.vault_key) + List(lab.folders.pictures[0]) +
           List(lab.folders.trainer[0]) + Open(lab.picture, O_WRONLY | O_TRUNC);
  }));
  EXPECT_EQ(ReadFile(RealFileSystem(), lab.picture, 100), kPictureText);
}

TEST_P(Agent, LearnsNoNamesFromTheFolderAboveItsOwn) {
  // A private root has that folder, as a way to the agent's own ones, with nothing else in it.
  EXPECT_EQ(TryRestricted(Restricted(),
                          [&] {
                            std::string names;
                            std::error_code error;
                            for (const auto& entry : std::filesystem::directory_iterator(lab.scratch.path(), error)) {
                              const std::string name = entry.path().filename().string();
                              if (name != "keys" && name != "jobs") names += name + " ";
                            }
                            return names;
                          }),
            "");
}

TEST_P(Agent, CannotReachAPictureThroughALink) {
  std::filesystem::create_symlink(lab.picture, lab.folders.jobs / "file-link");
  std::filesystem::create_directory_symlink(lab.folders.pictures[0], lab.folders.jobs / "folder-link");
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    return Open(lab.folders.jobs / "file-link") + Open(lab.folders.jobs / "folder-link/blast/cell.png") +
           List(lab.folders.jobs / "folder-link") + Open(lab.folders.jobs / "../pictures/blast/cell.png");
  }));
}

TEST_P(Agent, CannotReachAPictureThroughAnotherProcess) {
  const Descriptor held(::open(lab.picture.c_str(), O_RDONLY | O_CLOEXEC));
  const Descriptor folder(::open(lab.folders.pictures[0].c_str(), O_PATH | O_CLOEXEC));
  const Path other = Path("/proc") / std::to_string(::getpid());
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    return Open(other / "root" / lab.picture.relative_path()) + Open(other / "fd" / std::to_string(held.number())) +
           List(other / "fd" / std::to_string(folder.number())) + List(other / "root") + List(other / "cwd") +
           Open(other / "mem", O_RDWR) + Open(other / "environ");
  }));
}

TEST_P(Agent, CannotReachAPictureThroughTheTrainer) {
  // As at a lab: same user, both restricted, so that neither has a power that the other lacks.
  const ProgramSpec spec{
      "trainer", {TestProgram().string(), "wait", "0"}, {}, lab.folders.pictures[0], WaitingTrainer()};
  const RestrictedProgram trainer(spec, ChooseMechanisms(spec.restrictions));
  const Path other = Path("/proc") / std::to_string(trainer.process_id());
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    return Open(other / "root" / lab.picture.relative_path()) + Open(other / "cwd/blast/cell.png") +
           List(other / "root") + Follow(other / "cwd") + Follow(other / "fd/1") + Open(other / "mem") +
           Open(other / "environ") + Open(other / "maps");
  }));
}

TEST_P(Agent, CannotReachAPictureThroughABindMount) {
  if (const std::string refused = WhyNamespacesAreRefused(CLONE_NEWNS); !refused.empty()) {
    GTEST_SKIP() << "cannot make a bind mount here: " << refused;
  }
  const Path alias = lab.scratch / "alias";
  std::filesystem::create_directory(alias);
  ExpectOutOfReach(RunTrial([&] {
    EnterNamespaces(CLONE_NEWNS);
    if (::mount(lab.folders.pictures[0].c_str(), alias.c_str(), nullptr, MS_BIND, nullptr) != 0) return Outcome(false);
    if (Open(alias / "blast/cell.png") != "ok\n") return std::string("the bind mount shows nothing");
    return TryRestricted(Restricted(), [&] { return Open(alias / "blast/cell.png") + List(alias); });
  }));
}

TEST_P(Agent, IsRefusedAStartWhenABindMountShowsPicturesInItsOwnFolder) {
  if (!WhyNamespacesAreRefused(CLONE_NEWNS).empty()) GTEST_SKIP() << "cannot make a bind mount here";
  const Path alias = lab.folders.jobs / "alias";
  std::filesystem::create_directory(alias);
  EXPECT_ERROR(
      ErrorCode::kInvalidInput, alias.string(), (void)RunTrial([&] {
        EnterNamespaces(CLONE_NEWNS);
        if (::mount((lab.folders.pictures[0] / "blast").c_str(), alias.c_str(), nullptr, MS_BIND, nullptr) != 0)
          return Outcome(false);
        return ChooseMechanisms(Restricted()).Describe();
      }));
}

TEST_P(Agent, ReadsAndWritesItsOwnFolders) {
  const std::string outcomes = TryRestricted(Restricted(), [&] {
    FileSystem& files = RealFileSystem();
    const std::string key = ReadFile(files, lab.network_key, 100);
    WriteFileAtomically(files, lab.folders.jobs / "todo/one.json", "{}");
    files.CreateFolders(lab.folders.jobs / "objects", 0700);
    files.Rename(lab.folders.jobs / "todo/one.json", lab.folders.jobs / "objects/one");
    files.Truncate(lab.folders.jobs / "objects/one", 1);
    files.SyncDirectory(lab.folders.jobs);
    return key + " " + ReadFile(files, lab.folders.jobs / "objects/one", 100);
  });
  EXPECT_EQ(outcomes, "secret of the network {");
  EXPECT_EQ(ReadFile(RealFileSystem(), lab.folders.jobs / "objects/one", 100), "{");
}

TEST_P(Agent, WritesNowhereElse) {
  const Path elsewhere = lab.scratch / "new-file";
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    std::string outcomes;
    for (const Path& path : {elsewhere, Path("/tmp/hemafed-agent"), Path("/etc/hemafed-agent"),
                             Path("/usr/hemafed-agent"), Path("/hemafed-agent")}) {
      const Descriptor made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      outcomes += Outcome(made.valid()) + "\n";
      if (made.valid()) ::unlink(path.c_str());
    }
    return outcomes;
  }));
  EXPECT_FALSE(std::filesystem::exists(elsewhere));
}

TEST_P(Agent, ChangesNothingAboutAPictureAndCannotWatchItsFolder) {
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(lab.picture.c_str(), &before), 0);
  ExpectOutOfReach(TryRestricted(Restricted(), [&] {
    const char* path = lab.picture.c_str();
    const Path inside = lab.folders.jobs / "stolen";
    const timespec times[2]{};
    std::string outcomes;
    const auto note = [&](bool succeeded) { outcomes += Outcome(succeeded) + "\n"; };
    note(::chmod(path, 0777) == 0);
    note(::chown(path, ::geteuid(), ::getegid()) == 0);
    note(::truncate(path, 0) == 0);
    note(::utimensat(AT_FDCWD, path, times, 0) == 0);
    note(::setxattr(path, "user.mark", "x", 1, 0) == 0);
    note(::getxattr(path, "user.mark", nullptr, 0) >= 0);
    note(::link(path, inside.c_str()) == 0);
    note(::symlink(path, inside.c_str()) == 0);
    note(::mkfifo(inside.c_str(), 0600) == 0);
    note(::unlink(path) == 0);
    note(::inotify_add_watch(::inotify_init1(IN_CLOEXEC), lab.folders.pictures[0].c_str(), IN_OPEN) >= 0);
    // A rename over a boundary is refused as such by file systems and Landlock alike.
    const bool moved = ::rename(path, inside.c_str()) == 0;
    outcomes += !moved && errno == EXDEV ? "EACCES\n" : Outcome(moved) + "\n";
    return outcomes;
  }));
  ASSERT_EQ(::stat(lab.picture.c_str(), &after), 0);
  EXPECT_EQ(after.st_ctim.tv_sec, before.st_ctim.tv_sec);
  EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  EXPECT_EQ(ReadFile(RealFileSystem(), lab.picture, 100), kPictureText);
}

TEST_P(Agent, ReachesACoordinatorAndLooksUpNames) {
  const Listener coordinator;
  const Finished done =
      RunProgram(Restricted(), {TestProgram().string(), "connect", std::to_string(coordinator.port())});
  EXPECT_EQ(done.output, "connected\n") << done.errors;
  EXPECT_TRUE(coordinator.WasReached());
  const Finished named = RunProgram(Restricted(), {"/usr/bin/getent", "ahosts", "localhost"});
  EXPECT_EQ(named.end, (ProgramEnd{false, 0})) << named.errors;
}

TEST_P(Agent, MakesNoSocketsButInternetOnesAndListensOnNone) {
  const std::string outcomes = TryRestricted(Restricted(), [] {
    std::string text;
    for (const int family : {AF_UNIX, AF_PACKET, AF_VSOCK, AF_ALG, AF_BLUETOOTH, 45, 63, 64, 1000}) {
      text += Outcome(Descriptor(::socket(family, SOCK_STREAM, 0)).valid()) + " ";
    }
    text += Outcome(Descriptor(::socket(AF_NETLINK, SOCK_RAW, 9)).valid()) + " ";
    const Descriptor tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return text + Outcome(tcp.valid()) + " " + Outcome(::listen(tcp.number(), 1) == 0);
  });
  EXPECT_EQ(outcomes, "EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES ok EACCES");
}

TEST_P(Agent, StaysRestrictedInEveryProgramItStarts) {
  const Finished cat = RunProgram(Restricted(), {"/bin/cat", lab.picture.string()});
  EXPECT_EQ(cat.end, (ProgramEnd{false, 1}));
  EXPECT_EQ(cat.output, "");
  const Finished control = RunProgram(Restricted(), {"/bin/cat", lab.network_key.string()});
  EXPECT_EQ(control.output, "secret of the network") << control.errors;
  const std::string script = "import os\ntry:\n  print(open('" + lab.picture.string() +
                             "').read())\nexcept OSError as e: print(type(e).__name__)\n" +
                             "print(os.system('/bin/cat " + lab.picture.string() + "') != 0)";
  const Finished python = RunProgram(Restricted(), {"/usr/bin/python3", "-c", script});
  EXPECT_TRUE(python.output == "PermissionError\nTrue\n" || python.output == "FileNotFoundError\nTrue\n")
      << python.output << python.errors;
}

TEST_P(Agent, InheritsNoOpenFiles) {
  const Descriptor held(::open(lab.picture.c_str(), O_RDONLY));  // Not close-on-exec: a launcher's mistake.
  ASSERT_TRUE(held.valid());
  const Finished done = RunProgram(Restricted(), {TestProgram().string(), "descriptors"});
  EXPECT_EQ(done.output, "0 1 2 \n") << done.errors;
}

TEST_P(Agent, CannotReadTheDiskBehindTheFileSystem) {
  ExpectOutOfReach(TryRestricted(Restricted(), [] {
    std::string outcomes = Open("/dev/mem") + Open("/dev/kmsg");
    std::error_code error;
    for (const char* disk : {"/dev/vda", "/dev/sda", "/dev/nvme0n1"}) outcomes += Open(disk);
    return outcomes;
  }));
}

TEST(AgentRestrictions, AreRefusedWhenPicturesLieInsideAnAgentsFolder) {
  Lab lab;
  lab.folders.pictures = {lab.folders.jobs / "pictures"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must stay out of reach", (void)ChooseMechanisms(lab.Agent()));
  lab.folders.pictures = {"/usr/share"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "inside /usr", (void)ChooseMechanisms(lab.Agent()));
}

TEST(AgentRestrictions, AreRefusedWhenPicturesAreALinkIntoAnAgentsFolder) {
  Lab lab;
  std::filesystem::create_directory(lab.folders.jobs / "hidden");
  std::filesystem::create_directory_symlink(lab.folders.jobs / "hidden", lab.scratch / "link");
  lab.folders.pictures = {lab.scratch / "link"};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must stay out of reach", (void)ChooseMechanisms(lab.Agent()));
}

TEST(AgentRestrictions, NameAMissingFolder) {
  Lab lab;
  lab.folders.jobs = lab.scratch / "absent";
  EXPECT_ERROR(ErrorCode::kNotFound, "absent does not exist", (void)ChooseMechanisms(lab.Agent()));
}

TEST(AgentRestrictions, MayGrantAFolderInsideThePicturesByName) {
  Lab lab;
  lab.folders.jobs = lab.folders.pictures[0] / "jobs";
  std::filesystem::create_directory(lab.folders.jobs);
  const Restrictions agent = lab.Agent();
  SKIP_UNLESS_POSSIBLE(agent);
  EXPECT_EQ(
      TryRestricted(
          agent,
          [&] {
            return Outcome(Descriptor(::open((lab.folders.jobs / "x").c_str(), O_WRONLY | O_CREAT, 0644)).valid()) +
                   " " + Outcome(::access(lab.folders.jobs.c_str(), R_OK) == 0) + " " +
                   (Descriptor(::open(lab.picture.c_str(), O_RDONLY)).valid() ? "picture" : "no picture");
          }),
      "ok ok no picture");
}

TEST(AgentRestrictions, RefuseToStartRatherThanLeaveFilesOpen) {
  const Lab lab;
  Restrictions agent = lab.Agent();
  agent.file_mechanism = FileMechanism::kLandlock;
  agent.newest_landlock_abi = 1;  // As on Linux 5.13: no renames between folders.
  EXPECT_ERROR(ErrorCode::kUnavailable, "too old", (void)ChooseMechanisms(agent));
}

TEST(AgentRestrictions, RefuseToStartWhereTheMachineHasNeitherMechanism) {
  const Lab lab;
  Restrictions agent = lab.Agent();
  agent.newest_landlock_abi = 0;
  // The filter refuses namespaces, as a container around the launcher may.
  EXPECT_ERROR(ErrorCode::kUnavailable, "in neither way", (void)RunTrial([&] {
                 InstallSyscallFilter(NetworkPolicy::kOutbound);
                 return ChooseMechanisms(agent).Describe();
               }));
}

TEST(TrainerRestrictions, SayWhatIsWeakerWhereTheMachineHasOnlyTheFilter) {
  const Lab lab;
  Restrictions trainer = lab.Trainer();
  trainer.newest_landlock_abi = 0;
  const std::string chosen = RunTrial([&] {
    InstallSyscallFilter(NetworkPolicy::kOutbound);
    const Mechanisms mechanisms = ChooseMechanisms(trainer);
    return mechanisms.Describe() + "\n" + mechanisms.remark;
  });
  EXPECT_NE(chosen.find("network: none, by system call filter alone"), std::string::npos) << chosen;
  EXPECT_NE(chosen.find("files are not restricted"), std::string::npos) << chosen;
  EXPECT_NE(chosen.find("user.max_user_namespaces"), std::string::npos) << chosen;
}

TEST(AgentRestrictions, FallBackToAPrivateRootWithoutLandlock) {
  const Lab lab;
  Restrictions agent = lab.Agent();
  agent.newest_landlock_abi = 0;
  SKIP_UNLESS_POSSIBLE(agent);
  EXPECT_EQ(ChooseMechanisms(agent).files, FileMechanism::kPrivateRoot);
}

}  // namespace
}  // namespace hemafed
