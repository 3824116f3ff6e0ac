// SPDX-License-Identifier: Apache-2.0
#include "common/folder_lock.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

TEST(FolderLock, IsHeldByOneAndFreeAgainAfterIt) {
  const testing_support::Scratch scratch;
  std::optional<FolderLock> first(scratch.path());
  EXPECT_ERROR(ErrorCode::kConflict, "another coordinator runs on", (FolderLock{scratch.path(), "coordinator"}));
  first.reset();
  EXPECT_NO_THROW(FolderLock{scratch.path()});
}

TEST(FolderLock, NeedsAFolder) {
  const testing_support::Scratch scratch;
  EXPECT_ERROR(ErrorCode::kUnavailable, "must exist", FolderLock{scratch / "missing"});
}

}  // namespace
}  // namespace hemafed
