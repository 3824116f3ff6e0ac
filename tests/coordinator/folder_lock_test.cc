// SPDX-License-Identifier: Apache-2.0
#include "coordinator/folder_lock.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::coordinator {
namespace {

TEST(FolderLock, IsHeldByOneAndFreeAgainAfterIt) {
  const hemafed::testing_support::Scratch scratch;
  std::optional<FolderLock> first(scratch.path());
  EXPECT_ERROR(ErrorCode::kConflict, "another coordinator", FolderLock{scratch.path()});
  first.reset();
  EXPECT_NO_THROW(FolderLock{scratch.path()});
}

}  // namespace
}  // namespace hemafed::coordinator
