// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/star_outline.h"

#include <algorithm>
#include <limits>

#include "common/error.h"

namespace hemafed::learning {

std::vector<int> StarOutline(const cv::Mat& gain, const cv::Mat& edge, const std::vector<int>& low,
                             const std::vector<int>& high, int max_step) {
  const int rays = gain.rows, radii = gain.cols;
  bool fits = rays >= 3 && radii >= 1 && gain.type() == CV_32FC1 && edge.type() == CV_32FC1 &&
              edge.size() == gain.size() && low.size() == static_cast<std::size_t>(rays) && high.size() == low.size() &&
              max_step >= 0;
  for (std::size_t k = 0; fits && k < low.size(); ++k) fits = 0 <= low[k] && low[k] <= high[k] && high[k] < radii;
  if (!fits) throw Error(ErrorCode::kInvalidInput, "rays, radii and bounds of an outline do not fit each other");

  constexpr double kNever = -std::numeric_limits<double>::infinity();
  // Value of ending ray k at radius r, alone.
  std::vector<double> value(static_cast<std::size_t>(rays * radii), kNever);
  for (int k = 0; k < rays; ++k) {
    double inside = 0.0;
    for (int r = 0; r < radii; ++r) {
      inside += gain.at<float>(k, r);
      if (r >= low[static_cast<std::size_t>(k)] && r <= high[static_cast<std::size_t>(k)]) {
        value[static_cast<std::size_t>(k * radii + r)] = inside + edge.at<float>(k, r);
      }
    }
  }
  // The best radii of `steps` rays from ray 0 on; both ends are free, or at `end` if that is not negative.
  const auto solve = [&](int steps, int end) {
    const auto ray_at = [&](int t) { return static_cast<std::size_t>(t % rays); };
    const auto value_at = [&](int t, int r) {
      return value[ray_at(t) * static_cast<std::size_t>(radii) + static_cast<std::size_t>(r)];
    };
    std::vector<double> best(static_cast<std::size_t>(radii), kNever), next(best.size());
    for (int r = 0; r < radii; ++r) {
      if (end < 0 || r == end) best[static_cast<std::size_t>(r)] = value_at(0, r);
    }
    std::vector<int> from(static_cast<std::size_t>(steps * radii), 0);
    for (int t = 1; t < steps; ++t) {
      // Where bounds lie further apart than a step, the nearest radius of the ray before.
      const int floor = low[ray_at(t - 1)], ceiling = high[ray_at(t - 1)];
      for (int r = 0; r < radii; ++r) {
        const int first = std::clamp(r - max_step, floor, ceiling), last = std::clamp(r + max_step, floor, ceiling);
        int before = first;
        for (int s = first + 1; s <= last; ++s) {
          if (best[static_cast<std::size_t>(s)] > best[static_cast<std::size_t>(before)]) before = s;
        }
        from[static_cast<std::size_t>(t * radii + r)] = before;
        next[static_cast<std::size_t>(r)] = value_at(t, r) + best[static_cast<std::size_t>(before)];
      }
      best.swap(next);
    }
    std::vector<int> path(static_cast<std::size_t>(steps));
    int r = end >= 0 ? end : static_cast<int>(std::max_element(best.begin(), best.end()) - best.begin());
    for (int t = steps - 1; t >= 0; --t) {
      path[static_cast<std::size_t>(t)] = r;
      r = from[static_cast<std::size_t>(t * radii + r)];
    }
    return path;
  };
  // Two rounds with free ends: the middle is what a closed outline has there, nearly always. One closed round from it.
  const int fixed = solve(2 * rays, -1)[static_cast<std::size_t>(rays)];
  std::vector<int> outline = solve(rays + 1, fixed);
  outline.pop_back();
  return outline;
}

}  // namespace hemafed::learning
