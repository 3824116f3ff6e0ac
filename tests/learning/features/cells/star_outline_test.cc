// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/star_outline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

struct Problem {
  cv::Mat gain, edge;
  std::vector<int> low, high;
};

Problem RandomProblem(std::uint64_t seed, int rays, int radii) {
  RandomStream random(seed);
  Problem problem{cv::Mat(rays, radii, CV_32FC1), cv::Mat(rays, radii, CV_32FC1), {}, {}};
  for (int k = 0; k < rays; ++k) {
    for (int r = 0; r < radii; ++r) {
      problem.gain.at<float>(k, r) = static_cast<float>(random.NextBetween(-1, 1));
      problem.edge.at<float>(k, r) = static_cast<float>(random.NextBetween(0, 1));
    }
    problem.low.push_back(0);
    problem.high.push_back(radii - 1);
  }
  return problem;
}

double ValueOf(const Problem& problem, const std::vector<int>& outline) {
  double value = 0;
  for (int k = 0; k < problem.gain.rows; ++k) {
    const int end = outline[static_cast<std::size_t>(k)];
    for (int r = 0; r <= end; ++r) value += problem.gain.at<float>(k, r);
    value += problem.edge.at<float>(k, end);
  }
  return value;
}

int LargestStep(const std::vector<int>& outline) {
  int largest = 0;
  for (std::size_t k = 0; k < outline.size(); ++k) {
    largest = std::max(largest, std::abs(outline[(k + 1) % outline.size()] - outline[k]));
  }
  return largest;
}

// Every closed outline whose steps are at most 1.
double BestOfAll(const Problem& problem) {
  const auto rays = static_cast<std::size_t>(problem.gain.rows);
  const int radii = problem.gain.cols;
  double best = -1e9;
  std::vector<int> outline(rays, 0);
  for (;;) {
    if (LargestStep(outline) <= 1) best = std::max(best, ValueOf(problem, outline));
    std::size_t k = 0;
    while (k < rays && ++outline[k] == radii) outline[k++] = 0;
    if (k == rays) return best;
  }
}

TEST(StarOutline, IsClosedAndNearlyAlwaysTheBestOfAll) {
  int best = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Problem problem = RandomProblem(seed, 6, 5);
    const std::vector<int> outline = StarOutline(problem.gain, problem.edge, problem.low, problem.high, 1);
    EXPECT_LE(LargestStep(outline), 1) << "seed " << seed;
    best += std::abs(ValueOf(problem, outline) - BestOfAll(problem)) < 1e-5 ? 1 : 0;
  }
  EXPECT_GE(best, 38);
}

TEST(StarOutline, StopsWhereEvidenceTurnsAndKeepsToItsBounds) {
  constexpr int kRays = 32, kRadii = 40;
  Problem problem{cv::Mat(kRays, kRadii, CV_32FC1), cv::Mat::zeros(kRays, kRadii, CV_32FC1), {}, {}};
  std::vector<int> want;
  for (int k = 0; k < kRays; ++k) {
    const int border = 18 + static_cast<int>(std::lround(6 * std::sin(2 * CV_PI * k / kRays)));
    for (int r = 0; r < kRadii; ++r) problem.gain.at<float>(k, r) = r <= border ? 1.0f : -1.0f;
    problem.low.push_back(k == 8 ? 26 : 3);
    problem.high.push_back(k == 24 ? 10 : kRadii - 1);
    want.push_back(k == 8 ? 26 : k == 24 ? 10 : border);
  }
  const std::vector<int> got = StarOutline(problem.gain, problem.edge, problem.low, problem.high, 2);
  for (std::size_t k = 0; k < want.size(); ++k) {
    // Neighbours of the two forced rays may have to follow.
    const bool forced = (k >= 7 && k <= 9) || (k >= 23 && k <= 25);
    EXPECT_NEAR(got[k], want[k], forced && k != 8 && k != 24 ? 2 : 0) << "ray " << k;
  }
}

TEST(StarOutline, RefusesBoundsAndTablesThatDoNotFit) {
  Problem problem = RandomProblem(1, 6, 5);
  const auto solve = [&] { (void)StarOutline(problem.gain, problem.edge, problem.low, problem.high, 1); };
  problem.high[2] = 5;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", solve());
  problem.high[2] = 0;
  problem.low[2] = 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", solve());
  problem = RandomProblem(1, 6, 5);
  problem.low.pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", solve());
}

}  // namespace
}  // namespace hemafed::learning
