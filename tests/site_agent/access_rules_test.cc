// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/access_rules.h"

#include <gtest/gtest.h>

#include "site_agent/launcher/loader_trace.h"
#include "tests/expect_error.h"
#include "tests/site_agent/lab_fixture.h"

namespace hemafed {
namespace {

using namespace testing_support;

TEST(IsWithin, ComparesWholeNames) {
  EXPECT_TRUE(IsWithin("/a/b", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/a"));
  EXPECT_TRUE(IsWithin("/a/b", "/a/"));
  EXPECT_TRUE(IsWithin("/a", "/"));
  EXPECT_FALSE(IsWithin("/ab", "/a"));
  EXPECT_FALSE(IsWithin("/a", "/a/b"));
}

TEST(MountLine, IsReadWithItsEscapes) {
  const auto mount = ParseMountLine("36 35 98:0 /my\\040root /mnt/my\\040disk rw,noatime master:1 - ext3 /dev/root rw");
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->device, "98:0");
  EXPECT_EQ(mount->root, "/my root");
  EXPECT_EQ(mount->point, "/mnt/my disk");
}

TEST(MountLine, OfAnotherShapeIsPassedOver) {
  EXPECT_FALSE(ParseMountLine(""));
  EXPECT_FALSE(ParseMountLine("36 35 98:0 /root"));
  EXPECT_FALSE(ParseMountLine("36 35 0:4 net:[4026532281] /run/netns/lab rw - nsfs nsfs rw"));
}

TEST(OtherNames, AreFoundForTheWholeFolderAndForAPart) {
  // The same folder stands for every alias, so that each candidate is really the same file.
  const Scratch scratch;
  const Path folder = std::filesystem::canonical(scratch.path());
  const Path part = folder / "part";
  std::filesystem::create_directory(part);
  std::filesystem::create_directory_symlink(folder, scratch / "whole-alias");
  std::filesystem::create_directory_symlink(part, scratch / "part-alias");
  const Path outside = folder.parent_path() / (folder.filename().string() + "-alias");
  std::filesystem::create_directory_symlink(folder, outside);
  const std::vector<MountPoint> mounts = {{"8:1", "/", "/"}, {"8:1", folder, outside}, {"8:2", folder, "/elsewhere"}};
  EXPECT_EQ(OtherNamesOf(folder, mounts), std::vector<Path>{outside});
  EXPECT_EQ(OtherNamesOf(part, mounts), std::vector<Path>{outside / "part"});
  const std::vector<MountPoint> of_part = {{"8:1", "/", "/"}, {"8:1", part, outside / "part"}};
  EXPECT_EQ(OtherNamesOf(folder, of_part), std::vector<Path>{outside / "part"});
  std::filesystem::remove(outside);
}

TEST(OtherNames, LeaveOutAMountThatAnotherOneHides) {
  const Scratch scratch;
  const Path folder = std::filesystem::canonical(scratch.path());
  EXPECT_TRUE(OtherNamesOf(folder, {{"8:1", "/", "/"}, {"8:1", folder, "/usr"}}).empty());
}

TEST(LoaderTrace, NamesLibrariesWithAPath) {
  const auto libraries = ParseLoaderTrace(
      "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibz.so.1 => /lib/libz.so.1 (0x00007f)\n"
      "\tlibodd.so => /opt/with space/libodd.so (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n",
      "/bin/x");
  EXPECT_EQ(libraries,
            (std::vector<Path>{"/lib/libz.so.1", "/opt/with space/libodd.so", "/lib64/ld-linux-x86-64.so.2"}));
  EXPECT_TRUE(ParseLoaderTrace("\tstatically linked\n", "/bin/x").empty());
}

TEST(LoaderTrace, SaysWhichLibraryIsMissing) {
  EXPECT_ERROR(ErrorCode::kNotFound, "libtorch.so", (void)ParseLoaderTrace("\tlibtorch.so => not found\n", "/bin/x"));
}

TEST(LoaderTrace, OfARealProgramNamesTheCLibrary) {
  bool found = false;
  for (const Path& library : TraceLoadedObjects(TestProgram())) found |= library.filename() == "libc.so.6";
  EXPECT_TRUE(found);
}

TEST(LoaderTrace, DoesNotRunTheProgram) {
  const Scratch scratch;
  // A script is traced as its interpreter, which is not run either.
  std::ofstream(scratch / "script") << "#!/bin/sh\ntouch " << (scratch / "ran").string() << "\n";
  std::filesystem::permissions(scratch / "script", std::filesystem::perms::owner_all);
  (void)TraceLoadedObjects(scratch / "script");
  EXPECT_FALSE(std::filesystem::exists(scratch / "ran"));
}

TEST(LibraryFolders, AreOnlyThoseOutsideTheSystem) {
  EXPECT_TRUE(LibraryFolders("/bin/cat", SystemRules()).empty());
  const auto bare = LibraryFolders("/bin/cat", AccessRules{});
  EXPECT_FALSE(bare.empty());
}

}  // namespace
}  // namespace hemafed
