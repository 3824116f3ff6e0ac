// SPDX-License-Identifier: Apache-2.0
//
// Which pictures a task's batches hold, and how its learning rate moves.
#include "learning/continual/task_draws.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "learning/continual/schedule.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

const std::vector<std::int64_t> kOwn = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
const std::vector<std::int64_t> kExemplars = {2, 2, 3};

std::map<std::uint32_t, int> CountOf(TaskDraws& draws, std::uint64_t batches) {
  std::map<std::uint32_t, int> counts;
  for (std::uint64_t draw = 0; draw < batches; ++draw) {
    for (const std::uint32_t index : draws.Indices(draw)) ++counts[index];
  }
  return counts;
}

TEST(TaskDraws, WithoutAShareEveryPictureComesOnceAnEpochExemplarOrNot) {
  TaskDraws draws(1, Sampling::kUniform, kOwn, kExemplars, 13, 0.0);
  EXPECT_EQ(draws.BatchesPerEpoch(), 1u);
  const std::map<std::uint32_t, int> counts = CountOf(draws, 3);
  ASSERT_EQ(counts.size(), 13u);
  for (const auto& [index, count] : counts) EXPECT_EQ(count, 3) << index;
  EXPECT_EQ(TaskDraws(1, Sampling::kUniform, kOwn, kExemplars, 4, 0.0).BatchesPerEpoch(), 4u);
}

TEST(TaskDraws, WithAShareEveryBatchHasItsExemplarsBehindItsOwnPictures) {
  TaskDraws draws(1, Sampling::kUniform, kOwn, kExemplars, 4, 0.25);
  EXPECT_EQ(draws.BatchesPerEpoch(), 4u);  // Ten own pictures, three a batch.
  for (std::uint64_t draw = 0; draw < 20; ++draw) {
    const std::vector<std::uint32_t> indices = draws.Indices(draw);
    ASSERT_EQ(indices.size(), 4u);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(indices[k] >= 10, k == 3);
  }
  const std::map<std::uint32_t, int> counts = CountOf(draws, 30);
  for (std::uint32_t own = 0; own < 10; ++own) EXPECT_EQ(counts.at(own), 9);
  for (std::uint32_t exemplar = 10; exemplar < 13; ++exemplar) EXPECT_EQ(counts.at(exemplar), 10);
}

TEST(TaskDraws, AShareRoundsButNeverToNothingOrEverything) {
  for (const auto& [share, expected] : std::vector<std::pair<double, int>>{{0.01, 1}, {0.5, 4}, {0.6, 5}, {0.99, 7}}) {
    TaskDraws draws(1, Sampling::kUniform, kOwn, kExemplars, 8, share);
    int exemplars = 0;
    for (const std::uint32_t index : draws.Indices(0)) exemplars += index >= 10;
    EXPECT_EQ(exemplars, expected) << share;
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at least 2", TaskDraws(1, Sampling::kUniform, kOwn, kExemplars, 1, 0.5));
  EXPECT_NO_THROW(TaskDraws(1, Sampling::kUniform, kOwn, {}, 1, 0.5));  // Nothing to share with yet.
}

TEST(TaskDraws, BalancedVisitsEveryClassAlikeExemplarsOfOldClassesToo) {
  TaskDraws draws(1, Sampling::kBalanced, kOwn, kExemplars, 4, 0.0);
  std::map<std::int64_t, int> counts;
  for (const auto& [index, count] : CountOf(draws, 50)) {
    counts[index < 10 ? kOwn[index] : kExemplars[index - 10]] += count;
  }
  for (const auto& [label, count] : counts) EXPECT_EQ(count, 50) << label;
}

TEST(TaskDraws, SeedAndDrawDecideAndNothingElse) {
  TaskDraws forward(1, Sampling::kUniform, kOwn, kExemplars, 4, 0.25);
  TaskDraws backward(1, Sampling::kUniform, kOwn, kExemplars, 4, 0.25);
  TaskDraws other(2, Sampling::kUniform, kOwn, kExemplars, 4, 0.25);
  std::vector<std::vector<std::uint32_t>> order(12);
  for (std::uint64_t draw = 12; draw-- > 0;) order[draw] = backward.Indices(draw);
  bool differs = false;
  for (std::uint64_t draw = 0; draw < 12; ++draw) {
    EXPECT_EQ(forward.Indices(draw), order[draw]);
    differs = differs || other.Indices(draw) != order[draw];
  }
  EXPECT_TRUE(differs);
}

TEST(Schedule, FollowsItsFormulas) {
  const auto at = [](ScheduleKind kind, std::uint64_t step) {
    return ScheduledRate({.kind = kind, .every_epochs = 2, .factor = 0.5}, 0.1, step, 40, 10);
  };
  EXPECT_EQ(at(ScheduleKind::kConstant, 39), 0.1);
  EXPECT_EQ(at(ScheduleKind::kLinear, 0), 0.1);
  EXPECT_NEAR(at(ScheduleKind::kLinear, 39), 0.1 / 40, 1e-15);
  EXPECT_EQ(at(ScheduleKind::kCosine, 0), 0.1);
  EXPECT_NEAR(at(ScheduleKind::kCosine, 20), 0.05, 1e-15);
  EXPECT_NEAR(at(ScheduleKind::kCosine, 30), 0.1 * 0.5 * (1 - std::sqrt(0.5)), 1e-15);
  // Four steps an epoch, half the rate every two epochs.
  EXPECT_EQ(at(ScheduleKind::kStep, 7), 0.1);
  EXPECT_NEAR(at(ScheduleKind::kStep, 8), 0.05, 1e-15);
  EXPECT_NEAR(at(ScheduleKind::kStep, 39), 0.1 / 16, 1e-15);
}

TEST(Schedule, NamesComeBack) {
  for (const ScheduleKind kind :
       {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kStep}) {
    EXPECT_EQ(ScheduleFromName(ScheduleName(kind)), kind);
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "constant, linear, cosine and step", (void)ScheduleFromName("poly"));
}

}  // namespace
}  // namespace hemafed::learning
