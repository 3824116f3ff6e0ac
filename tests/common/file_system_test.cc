// SPDX-License-Identifier: Apache-2.0
#include "common/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Scratch;

ErrorCode CodeOf(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(RealFileSystem, AppendKeepsWhatWasThereAndCreateEmptiesIt) {
  const Scratch scratch;
  FileSystem& files = RealFileSystem();
  files.Create(scratch / "a")->Append("one");
  files.OpenForAppend(scratch / "a")->Append("two");
  EXPECT_EQ(ReadFile(files, scratch / "a", 100), "onetwo");
  files.Create(scratch / "a")->Append("3");
  EXPECT_EQ(ReadFile(files, scratch / "a", 100), "3");
}

TEST(RealFileSystem, ReadAtStopsAtTheEndOfTheFile) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "a", "012345");
  const auto file = RealFileSystem().OpenForRead(scratch / "a");
  std::array<std::uint8_t, 4> out{};
  EXPECT_EQ(file->ReadAt(4, out), 2u);
  EXPECT_EQ(file->ReadAt(9, out), 0u);
  EXPECT_EQ(file->Size(), 6u);
}

TEST(RealFileSystem, ErrorsSayWhatIsMissingAndWhere) {
  const Scratch scratch;
  EXPECT_EQ(CodeOf([&] { (void)RealFileSystem().OpenForRead(scratch / "absent"); }), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf([&] { (void)RealFileSystem().List(scratch / "absent"); }), ErrorCode::kNotFound);
  EXPECT_FALSE(RealFileSystem().Exists(scratch / "absent"));
  RealFileSystem().Remove(scratch / "absent");
}

TEST(RealFileSystem, AFullDiskIsReportedAsNoSpace) {
  // /dev/full answers every write with ENOSPC.
  EXPECT_EQ(CodeOf([] { RealFileSystem().OpenForAppend("/dev/full")->Append("x"); }), ErrorCode::kNoSpace);
}

TEST(ReadFile, RefusesALargerFileThanAllowed) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "a", "12345");
  EXPECT_EQ(CodeOf([&] { (void)ReadFile(RealFileSystem(), scratch / "a", 4); }), ErrorCode::kInvalidInput);
}

TEST(WriteFileAtomically, LeavesNoTemporaryFileAndKeepsThePermissionsAskedFor) {
  const Scratch scratch;
  WriteFileAtomically(RealFileSystem(), scratch / "key", "secret", 0600);
  EXPECT_EQ(RealFileSystem().List(scratch.path()), std::vector<std::string>{"key"});
  struct stat status {};
  ASSERT_EQ(::stat((scratch / "key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(RealFileSystem().ModeOf(scratch / "key"), 0600u);
}

}  // namespace
}  // namespace hemafed
