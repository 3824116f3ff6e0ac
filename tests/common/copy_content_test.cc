// SPDX-License-Identifier: Apache-2.0
#include "common/copy_content.h"

#include <gtest/gtest.h>

#include "common/digest_of_file.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

TEST(CopyContent, CopiesAnyLengthAndSaysItsDigest) {
  const testing_support::Scratch scratch;
  FileSystem& files = RealFileSystem();
  constexpr std::size_t kPiece = 1 << 20;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPiece - 1, kPiece, 2 * kPiece + 7}) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31 % 251);
    WriteFileAtomically(files, scratch / "from", content);
    const auto to = files.Create(scratch / "to");
    EXPECT_EQ(CopyContent(*files.OpenForRead(scratch / "from"), *to), Sha256Of(content));
    to->Close();
    EXPECT_EQ(ReadFile(files, scratch / "to", size + 1), content);
    EXPECT_EQ(DigestOfFile(files, scratch / "to"), Sha256Of(content));
  }
}

}  // namespace
}  // namespace hemafed
