// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/nms.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

struct Scene {
  at::Tensor boxes, scores, groups;
};

// `count` boxes on few spots, so that many overlap; scores in few steps, so that many are equal; some boxes empty.
Scene Crowd(std::uint64_t seed, std::int64_t count) {
  RandomStream random(seed);
  Scene scene{at::empty({count, 4}), at::empty({count}), at::empty({count}, at::kLong)};
  auto box = scene.boxes.accessor<float, 2>();
  for (std::int64_t i = 0; i < count; ++i) {
    const double x = random.NextBetween(0, 60), y = random.NextBetween(0, 60);
    const bool empty = random.NextBelow(20) == 0;
    box[i][0] = static_cast<float>(x);
    box[i][1] = static_cast<float>(y);
    box[i][2] = static_cast<float>(x + (empty ? 0 : random.NextBetween(10, 40)));
    box[i][3] = static_cast<float>(y + random.NextBetween(10, 40));
    scene.scores[i] = static_cast<double>(random.NextBelow(50)) / 50;
    scene.groups[i] = static_cast<std::int64_t>(random.NextBelow(3));
  }
  return scene;
}

// The rule of the header, word by word.
std::vector<std::int64_t> Slow(const Scene& scene, double overlap, std::size_t most) {
  const auto box = scene.boxes.accessor<float, 2>();
  const auto score = scene.scores.accessor<float, 1>();
  const auto group = scene.groups.accessor<std::int64_t, 1>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(scene.scores.size(0)));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return score[a] > score[b]; });
  const auto area = [&](std::int64_t i) { return double{box[i][2] - box[i][0]} * double{box[i][3] - box[i][1]}; };
  std::vector<std::int64_t> kept;
  for (const std::int64_t i : order) {
    bool stays = true;
    for (const std::int64_t k : kept) {
      const double w = std::max(0.0, double{std::min(box[i][2], box[k][2])} - double{std::max(box[i][0], box[k][0])});
      const double h = std::max(0.0, double{std::min(box[i][3], box[k][3])} - double{std::max(box[i][1], box[k][1])});
      const double either = area(i) + area(k) - w * h;
      if (group[i] == group[k] && either > 0 && w * h / either > overlap) stays = false;
    }
    if (stays) kept.push_back(i);
  }
  if (kept.size() > most) kept.resize(most);
  return kept;
}

std::vector<std::int64_t> List(const at::Tensor& places) {
  const at::Tensor plain = places.contiguous();
  const std::int64_t* begin = plain.const_data_ptr<std::int64_t>();
  return {begin, begin + plain.size(0)};
}

TEST(SuppressOverlaps, KeepsWhatTheSlowRuleKeepsInBothWays) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Scene scene = Crowd(seed, 150 + static_cast<std::int64_t>(seed));
    for (const double overlap : {0.3, 0.5, 0.7}) {
      const std::vector<std::int64_t> want = Slow(scene, overlap, 1000);
      ASSERT_LT(want.size(), static_cast<std::size_t>(scene.scores.size(0))) << "the crowd must overlap";
      EXPECT_EQ(List(SuppressOverlaps(scene.boxes, scene.scores, scene.groups, overlap)), want) << "seed " << seed;
      EXPECT_EQ(List(SuppressOverlapsByTensors(scene.boxes, scene.scores, scene.groups, overlap)), want)
          << "seed " << seed;
    }
  }
}

TEST(SuppressOverlaps, WithoutGroupsIsOneGroup) {
  Scene scene = Crowd(77, 120);
  scene.groups.zero_();
  const std::vector<std::int64_t> want = Slow(scene, 0.5, 1000);
  EXPECT_EQ(List(SuppressOverlaps(scene.boxes, scene.scores, {}, 0.5)), want);
  EXPECT_EQ(List(SuppressOverlapsByTensors(scene.boxes, scene.scores, {}, 0.5)), want);
}

TEST(SuppressOverlaps, StopsAtTheLimitWithTheBest) {
  const Scene scene = Crowd(5, 100);
  const std::vector<std::int64_t> want = Slow(scene, 0.5, 7);
  ASSERT_EQ(want.size(), 7u);
  EXPECT_EQ(List(SuppressOverlaps(scene.boxes, scene.scores, scene.groups, 0.5, 7)), want);
  EXPECT_EQ(List(SuppressOverlapsByTensors(scene.boxes, scene.scores, scene.groups, 0.5, 7)), want);
}

TEST(SuppressOverlaps, OfNothingIsNothing) {
  EXPECT_EQ(SuppressOverlaps(at::zeros({0, 4}), at::zeros({0}), {}, 0.5).size(0), 0);
  EXPECT_EQ(SuppressOverlapsByTensors(at::zeros({0, 4}), at::zeros({0}), {}, 0.5).size(0), 0);
}

TEST(SuppressOverlaps, RefusesShapesThatDoNotFit) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one score",
               (void)SuppressOverlaps(at::zeros({2, 4}), at::zeros({3}), {}, 0.5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "[N,4]", (void)SuppressOverlaps(at::zeros({2, 5}), at::zeros({2}), {}, 0.5));
}

}  // namespace
}  // namespace hemafed::learning
