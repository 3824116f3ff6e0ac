// SPDX-License-Identifier: Apache-2.0
//
// The coordinator's disk fails or fills up, or the power goes: nothing acknowledged is lost and the models stay the
// same.
#include <gtest/gtest.h>

#include "tests/fault/fault_file_system.h"
#include "tests/scenarios/federation_harness.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::FederationHarness;
using testing_support::Scratch;

std::vector<std::string> QuietDigests(std::uint64_t* calls) {
  const Scratch scratch;
  FaultFileSystem disk;
  FederationHarness harness(scratch.path(), {.coordinator_files = &disk});
  const std::uint64_t before = disk.calls();
  harness.Run();
  if (calls != nullptr) *calls = disk.calls() - before;
  return harness.RoundDigests();
}

TEST(CoordinatorDisk, AnyFailingCallAndLossOfPowerThereEndWithTheSameModels) {
  std::uint64_t calls = 0;
  const std::vector<std::string> quiet = QuietDigests(&calls);
  // A prime step walks over all kinds of calls in the course of the plan.
  for (std::uint64_t n = 1; n < calls; n += 97) {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness harness(scratch.path(), {.coordinator_files = &disk});
    disk.FailCall(n, ErrorCode::kUnavailable);
    try {
      harness.Run();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kUnavailable) << error.what();
    }
    disk.Crash();
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run()) << "call " << n;
    ASSERT_EQ(harness.RoundDigests(), quiet) << "call " << n;
  }
}

TEST(CoordinatorDisk, AFullDiskStopsTheRunAndRoomLetsItGoOn) {
  const std::vector<std::string> quiet = QuietDigests(nullptr);
  for (const std::uint64_t room : {500u, 3000u, 9000u}) {
    const Scratch scratch;
    FaultFileSystem disk;
    FederationHarness harness(scratch.path(), {.coordinator_files = &disk});
    harness.Run(20);
    disk.SetFreeBytes(room);
    bool stopped = false;
    try {
      harness.Run();
    } catch (const Error& error) {
      stopped = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace) << error.what();
    }
    EXPECT_TRUE(stopped) << room;
    disk.SetFreeBytes(std::nullopt);
    harness.KillCoordinator();
    ASSERT_TRUE(harness.Run());
    EXPECT_EQ(harness.RoundDigests(), quiet) << room;
  }
}

}  // namespace
}  // namespace hemafed
