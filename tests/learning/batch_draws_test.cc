// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/batch_draws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

std::vector<std::uint32_t> Draws(BatchDraws draws, std::uint64_t steps, std::uint32_t batch) {
  std::vector<std::uint32_t> all;
  for (std::uint64_t step = 0; step < steps; ++step) {
    const std::vector<std::uint32_t> indices = draws.Indices(step, batch);
    EXPECT_EQ(indices.size(), batch);
    all.insert(all.end(), indices.begin(), indices.end());
  }
  return all;
}

TEST(BatchDraws, EveryEpochSeesEveryPictureOnceInAnOrderOfItsOwn) {
  const std::vector<std::int64_t> labels(10, 0);
  const std::vector<std::uint32_t> draws = Draws(BatchDraws(1, Sampling::kUniform, labels), 10, 4);
  std::set<std::vector<std::uint32_t>> orders;
  for (std::size_t epoch = 0; epoch < 4; ++epoch) {
    const auto begin = draws.begin() + static_cast<std::ptrdiff_t>(10 * epoch);
    const std::vector<std::uint32_t> order(begin, begin + 10);
    orders.insert(order);
    EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 10u);
  }
  EXPECT_EQ(orders.size(), 4u);
}

TEST(BatchDraws, FollowTheDocumentedStreams) {
  const std::vector<std::int64_t> labels = {3, 1, 3, 3, 1};
  RandomStream epoch_one(DeriveSeed(9, "pictures"), 1);
  const std::vector<std::uint32_t> order = Permutation(5, epoch_one);
  BatchDraws uniform(9, Sampling::kUniform, labels);
  EXPECT_EQ(uniform.Indices(1, 5), order);

  // Balanced: turn 4 draws picture 4 of each class, that is place 0 of epoch 2 for the two of class 1 (indices 1, 4)
  // and place 1 of epoch 1 for the three of class 3 (indices 0, 2, 3).
  RandomStream turn(DeriveSeed(9, "turns"), 4);
  RandomStream of_one(DeriveSeed(9, "pictures of class 1"), 2);
  RandomStream of_three(DeriveSeed(9, "pictures of class 3"), 1);
  const std::uint32_t one = std::vector<std::uint32_t>{1, 4}[Permutation(2, of_one)[0]];
  const std::uint32_t three = std::vector<std::uint32_t>{0, 2, 3}[Permutation(3, of_three)[1]];
  std::vector<std::uint32_t> want;
  for (const std::uint32_t position : Permutation(2, turn)) want.push_back(position == 0 ? one : three);
  BatchDraws balanced(9, Sampling::kBalanced, labels);
  EXPECT_EQ(balanced.Indices(4, 2), want);
}

TEST(BatchDraws, BalancedGivesEveryClassTheSameNumberAndEveryPictureOfAClassItsTurn) {
  std::vector<std::int64_t> labels(12, 0);
  labels.insert(labels.end(), {5, 5, 7});
  const std::vector<std::uint32_t> draws = Draws(BatchDraws(2, Sampling::kBalanced, labels), 12, 6);
  std::map<std::int64_t, int> by_class;
  std::map<std::uint32_t, int> by_picture;
  for (const std::uint32_t index : draws) {
    ++by_class[labels[index]];
    ++by_picture[index];
  }
  EXPECT_EQ(by_class, (std::map<std::int64_t, int>{{0, 24}, {5, 24}, {7, 24}}));
  EXPECT_EQ(by_picture[0], 2);    // One of 12.
  EXPECT_EQ(by_picture[12], 12);  // One of 2.
  EXPECT_EQ(by_picture[14], 24);  // The only one.
}

TEST(BatchDraws, AStepIsTheSameWhateverWasAskedBefore) {
  const std::vector<std::int64_t> labels = {0, 1, 0, 1, 1, 0, 2};
  for (const auto sampling : {Sampling::kUniform, Sampling::kBalanced}) {
    BatchDraws forward(3, sampling, labels);
    std::vector<std::vector<std::uint32_t>> steps;
    for (std::uint64_t step = 0; step < 20; ++step) steps.push_back(forward.Indices(step, 3));
    BatchDraws backward(3, sampling, labels);
    for (std::uint64_t step = 20; step-- > 0;) EXPECT_EQ(backward.Indices(step, 3), steps[step]);
  }
}

TEST(BatchDraws, SeedsDiffer) {
  const std::vector<std::int64_t> labels(50, 0);
  EXPECT_NE(BatchDraws(1, Sampling::kUniform, labels).Indices(0, 50),
            BatchDraws(2, Sampling::kUniform, labels).Indices(0, 50));
}

TEST(BatchDraws, WithoutPicturesThereIsNothingToDraw) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no pictures", BatchDraws(1, Sampling::kUniform, {}));
}

}  // namespace
}  // namespace hemafed::learning
