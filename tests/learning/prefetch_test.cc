// SPDX-License-Identifier: Apache-2.0
//
// No test here sleeps: jobs wait for each other through latches, so that each order of events is forced.
#include "learning/continual/prefetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <set>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

using Numbers = OrderedPrefetch<int>;

// 0, 1, .., count - 1, each made by `make`.
Numbers::Describe Counting(int count, std::function<int(int)> make) {
  auto next = std::make_shared<int>(0);
  return [next, count, make = std::move(make)]() -> std::optional<Numbers::Job> {
    if (*next == count) return std::nullopt;
    return [make, number = (*next)++] { return make(number); };
  };
}

std::vector<int> TakeAll(Numbers& ahead) {
  std::vector<int> taken;
  while (const auto item = ahead.Next()) taken.push_back(*item);
  return taken;
}

class PrefetchOnThreads : public testing::TestWithParam<unsigned> {};

TEST_P(PrefetchOnThreads, GivesEveryItemOnceAndInOrder) {
  for (const std::size_t depth : {1u, 2u, 7u, 256u}) {
    // Jobs of very different length.
    Numbers ahead(Counting(500,
                           [](int number) {
                             RandomStream random(static_cast<std::uint64_t>(number));
                             std::uint32_t sum = 0;
                             for (std::uint32_t i = 0, n = random.NextBelow(3000); i < n; ++i) sum += random.NextWord();
                             return number * 2 + static_cast<int>(sum & 0u);
                           }),
                  {.threads = GetParam(), .depth = depth});
    const std::vector<int> taken = TakeAll(ahead);
    ASSERT_EQ(taken.size(), 500u);
    for (int i = 0; i < 500; ++i) EXPECT_EQ(taken[static_cast<std::size_t>(i)], 2 * i);
    EXPECT_FALSE(ahead.Next()) << "the end stays the end";
  }
}

TEST_P(PrefetchOnThreads, ThrowsWhereTheItemWouldHaveBeenAndNeverPassesIt) {
  Numbers ahead(Counting(50,
                         [](int number) {
                           if (number >= 20) throw Error(ErrorCode::kCorrupt, "tile " + std::to_string(number));
                           return number;
                         }),
                {.threads = GetParam(), .depth = 8});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ahead.Next(), i);
  for (int again = 0; again < 3; ++again) EXPECT_ERROR(ErrorCode::kCorrupt, "tile 20", (void)ahead.Next());
}

TEST_P(PrefetchOnThreads, CarriesOverAnErrorOfTheDescriptionToo) {
  int described = 0;
  Numbers ahead(
      [&]() -> std::optional<Numbers::Job> {
        if (described == 3) throw Error(ErrorCode::kInvalidInput, "no pictures");
        return [number = described++] { return number; };
      },
      {.threads = GetParam(), .depth = 2});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ahead.Next(), i);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no pictures", (void)ahead.Next());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no pictures", (void)ahead.Next());
}

TEST_P(PrefetchOnThreads, HasNothingToGiveWhereNothingIsDescribed) {
  Numbers ahead([] { return std::optional<Numbers::Job>(); }, {.threads = GetParam(), .depth = 2});
  EXPECT_FALSE(ahead.Next());
}

TEST_P(PrefetchOnThreads, EndsCleanlyWhenItIsGivenUpEarly) {
  for (int taken = 0; taken < 6; ++taken) {
    std::atomic<int> alive{0};
    {
      Numbers ahead(Counting(1000,
                             [&](int number) {
                               ++alive;
                               --alive;
                               return number;
                             }),
                    {.threads = GetParam(), .depth = 4});
      for (int i = 0; i < taken; ++i) EXPECT_EQ(ahead.Next(), i);
    }
    EXPECT_EQ(alive, 0) << "no job outlives the loader";
  }
}

INSTANTIATE_TEST_SUITE_P(All, PrefetchOnThreads, testing::Values(0u, 1u, 2u, 8u), testing::PrintToStringParamName());

TEST(Prefetch, NeverHoldsMoreThanItsDepth) {
  std::atomic<int> described{0};
  int taken = 0;
  int most_ahead = 0;
  Numbers ahead(
      [&]() -> std::optional<Numbers::Job> {
        if (described == 200) return std::nullopt;
        return [number = described++] { return number; };
      },
      {.threads = 3, .depth = 5});
  while (ahead.Next()) {
    ++taken;
    most_ahead = std::max(most_ahead, described - taken);
  }
  EXPECT_EQ(taken, 200);
  EXPECT_LE(most_ahead, 5);
}

TEST(Prefetch, WorksAheadWhileNobodyWaits) {
  std::latch three_made(3);
  Numbers ahead(Counting(3,
                         [&](int number) {
                           three_made.count_down();
                           return number;
                         }),
                {.threads = 1, .depth = 3});
  three_made.wait();  // Comes back although nothing was taken.
  EXPECT_EQ(TakeAll(ahead), (std::vector<int>{0, 1, 2}));
}

TEST(Prefetch, MakesItemsAtTheSameTimeOnSeveralThreads) {
  // Each job waits for the other: on one thread this would never end.
  std::latch both_run(2);
  Numbers ahead(Counting(2,
                         [&](int number) {
                           both_run.arrive_and_wait();
                           return number;
                         }),
                {.threads = 2, .depth = 2});
  EXPECT_EQ(TakeAll(ahead), (std::vector<int>{0, 1}));
}

TEST(Prefetch, GivesALateItemBeforeAnEarlyOne) {
  // Item 0 is finished only after item 1 was.
  std::promise<void> one_is_made;
  const std::shared_future<void> wait = one_is_made.get_future().share();
  Numbers ahead(Counting(2,
                         [&](int number) {
                           if (number == 0) wait.wait();
                           if (number == 1) one_is_made.set_value();
                           return number;
                         }),
                {.threads = 2, .depth = 2});
  EXPECT_EQ(TakeAll(ahead), (std::vector<int>{0, 1}));
}

TEST(Prefetch, AFailureDoesNotTakeItsForerunnersAlong) {
  // Item 1 fails while item 0 is still being made.
  std::promise<void> one_failed;
  const std::shared_future<void> wait = one_failed.get_future().share();
  Numbers ahead(Counting(2,
                         [&](int number) {
                           if (number == 0) wait.wait();
                           if (number == 1) {
                             one_failed.set_value();
                             throw Error(ErrorCode::kCorrupt, "tile 1");
                           }
                           return number;
                         }),
                {.threads = 2, .depth = 2});
  EXPECT_EQ(ahead.Next(), 0);
  EXPECT_ERROR(ErrorCode::kCorrupt, "tile 1", (void)ahead.Next());
}

TEST(Prefetch, MovesItemsThatCannotBeCopied) {
  int described = 0;
  using Owned = OrderedPrefetch<std::unique_ptr<int>>;
  Owned ahead(
      [&]() -> std::optional<Owned::Job> {
        if (described == 4) return std::nullopt;
        return [number = described++] { return std::make_unique<int>(number); };
      },
      {.threads = 2, .depth = 2});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(**ahead.Next(), i);
  EXPECT_FALSE(ahead.Next());
}

TEST(Prefetch, RefusesNoRoomAndTooManyThreads) {
  const auto nothing = [] { return std::optional<Numbers::Job>(); };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "0 items ahead", Numbers(nothing, {.threads = 1, .depth = 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "65 threads", Numbers(nothing, {.threads = 65, .depth = 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "257 items ahead", Numbers(nothing, {.threads = 1, .depth = 257}));
}

}  // namespace
}  // namespace hemafed::learning
