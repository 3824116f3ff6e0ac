// SPDX-License-Identifier: Apache-2.0
//
// How fast pictures become what the model takes, on one core. Usage: pictures_bench [SIDE]   (pixels, default 128)
// Prints, for each kind of augmentation, tiles a second and microseconds a tile; then synthetic smears a second.
#include <opencv2/core/utility.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "learning/data/augment.h"
#include "learning/data/synthetic/smear.h"
#include "learning/data/tile_cache.h"

namespace {

using namespace hemafed;
using namespace hemafed::learning;

// Repeats until a second has passed; prints the best of three such seconds.
void Measure(const char* name, const std::function<void(std::uint32_t)>& once) {
  double best = 0.0;
  for (int trial = 0; trial < 3; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    double seconds = 0.0;
    std::uint32_t count = 0;
    while (seconds < 1.0) {
      once(count++);
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    best = std::max(best, count / seconds);
  }
  std::printf("%-44s %9.0f /s %9.0f us\n", name, best, 1e6 / best);
}

}  // namespace

int main(int argc, char** argv) {
  const auto side = static_cast<std::uint32_t>(argc > 1 ? std::atoi(argv[1]) : 128);
  if (side < kMinTileSide || side > kMaxTileSide) {
    std::fprintf(stderr, "usage: pictures_bench [SIDE], %u to %u\n", kMinTileSide, kMaxTileSide);
    return 2;
  }
  cv::setNumThreads(1);
  const auto& profiles = synthetic::HospitalProfiles();
  const cv::Mat tile = MakeTile(synthetic::DrawSmear(profiles[0], 1, 1, 0), {.side = side});
  const std::span<const std::uint8_t> bytes(tile.data, std::size_t{side} * side * 3);
  std::vector<float> out(bytes.size());
  const auto augment = [&](const char* name, const AugmentationPlan& plan) {
    Measure(name, [&](std::uint32_t i) { ApplyVariant(bytes, side, DrawVariant(plan, 1, i, i % 32), {}, out); });
  };
  AugmentationPlan plan;
  augment("normalise only", plan);
  plan.flips = true;
  plan.rotation = Rotation::kQuarter;
  augment("flips, quarter turns", plan);
  plan.brightness = plan.contrast = plan.saturation = 0.2;
  plan.hue = 0.02;
  augment("flips, quarter turns, colour", plan);
  plan.rotation = Rotation::kAny;
  plan.zoom = plan.shift = 0.1;
  augment("flips, any angle, zoom, shift, colour", plan);
  plan.blur = 1.0;
  augment("all of these and blur", plan);
  Measure("synthetic smear", [&](std::uint32_t i) { (void)synthetic::DrawSmear(profiles[i % 3], 1, i % 5, i); });
  return 0;
}
