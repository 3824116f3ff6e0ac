// SPDX-License-Identifier: Apache-2.0
//
// How fast herding is at the size of UACL's largest class: 6,363 pictures of 2,048 features, 500 choices.
//
//     herding_bench [ROWS [WIDTH [COUNT [PLAIN]]]]         default: 6363 2048 500 500
//
// For both variants: seconds of Herd and of the plain loop over all candidates in float64 (its first PLAIN choices, 0
// to leave it out), and whether both choose the same. Features are made up as a trained network's are: not negative, a
// common mean with directions in which the pictures differ, and noise.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>
#include <vector>

#include "common/random.h"
#include "learning/continual/herding.h"

namespace hemafed::learning {
namespace {

FeatureRows MakeFeatures(std::size_t rows, std::size_t width) {
  constexpr std::size_t kDirections = 24;
  std::vector<std::vector<double>> directions(kDirections + 1, std::vector<double>(width));
  for (std::size_t k = 0; k <= kDirections; ++k) {
    RandomStream random(1, k);
    for (double& value : directions[k]) value = random.NextNormal();
  }
  FeatureRows features{rows, width, {}};
  features.values.reserve(rows * width);
  for (std::size_t i = 0; i < rows; ++i) {
    RandomStream random(2, i);
    std::vector<double> shares(kDirections);
    for (double& share : shares) share = 0.15 * random.NextNormal();
    for (std::size_t j = 0; j < width; ++j) {
      double value = 0.3 + 0.3 * directions[kDirections][j] + 0.15 * random.NextNormal();
      for (std::size_t k = 0; k < kDirections; ++k) value += shares[k] * directions[k][j];
      features.values.push_back(static_cast<float>(std::max(value, 0.0)));
    }
  }
  return features;
}

void ScaleToLengthOne(std::span<double> vector) {
  double squares = 0.0;
  for (const double value : vector) squares += value * value;
  if (squares == 0.0) return;
  for (double& value : vector) value /= std::sqrt(squares);
}

// The definition, candidate by candidate.
std::vector<std::size_t> PlainHerd(const FeatureRows& features, std::size_t count, bool normalised) {
  const std::size_t width = features.width;
  std::vector<double> psi(features.values.begin(), features.values.end());
  std::vector<double> mean(width, 0.0);
  for (std::size_t i = 0; i < features.rows; ++i) {
    const std::span<double> row = std::span(psi).subspan(i * width, width);
    if (normalised) ScaleToLengthOne(row);
    for (std::size_t j = 0; j < width; ++j) mean[j] += row[j];
  }
  for (double& value : mean) value /= static_cast<double>(features.rows);
  if (normalised) ScaleToLengthOne(mean);
  std::vector<bool> chosen(features.rows, false);
  std::vector<double> sum(width, 0.0);
  std::vector<double> candidate(width);
  std::vector<std::size_t> choices;
  for (std::size_t k = 1; k <= count; ++k) {
    std::vector<double> distances(features.rows, std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < features.rows; ++i) {
      if (chosen[i]) continue;
      for (std::size_t j = 0; j < width; ++j) candidate[j] = (psi[i * width + j] + sum[j]) / static_cast<double>(k);
      if (normalised) ScaleToLengthOne(candidate);
      double squares = 0.0;
      for (std::size_t j = 0; j < width; ++j) squares += (mean[j] - candidate[j]) * (mean[j] - candidate[j]);
      distances[i] = std::sqrt(squares);
    }
    const double best = *std::min_element(distances.begin(), distances.end());
    std::size_t row = 0;
    while (distances[row] > best + kHerdingTie) ++row;
    chosen[row] = true;
    for (std::size_t j = 0; j < width; ++j) sum[j] += psi[row * width + j];
    choices.push_back(row);
  }
  return choices;
}

template <typename Work>
double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int Run(int argc, char** argv) {
  const auto number = [&](int index, std::size_t standard) {
    return argc > index ? static_cast<std::size_t>(std::strtoul(argv[index], nullptr, 10)) : standard;
  };
  const std::size_t rows = number(1, 6363);
  const std::size_t width = number(2, 2048);
  const std::size_t count = std::min(number(3, 500), rows);
  const std::size_t plain = std::min(number(4, 500), count);
  if (rows < 1 || rows > 100'000 || width < 1 || width > 65'536 || rows * width > 1'000'000'000) {
    std::fprintf(stderr, "usage: herding_bench [ROWS 1-100000 [WIDTH 1-65536 [COUNT [PLAIN]]]]\n");
    return 2;
  }
  const FeatureRows features = MakeFeatures(rows, width);
  std::printf("%zu rows of %zu features, %zu choices, one thread\n", rows, width, count);
  bool same = true;
  for (const HerdingVariant variant : {HerdingVariant::kRaw, HerdingVariant::kNormalised}) {
    const bool normalised = variant == HerdingVariant::kNormalised;
    std::vector<HerdingChoice> choices;
    const double fast = Seconds([&] { choices = Herd(features, count, variant); });
    std::printf("%-11s %7.2f s", normalised ? "normalised" : "raw", fast);
    if (plain > 0) {
      std::vector<std::size_t> want;
      const double slow = Seconds([&] { want = PlainHerd(features, plain, normalised); });
      bool equal = true;
      for (std::size_t k = 0; k < plain; ++k) equal = equal && choices[k].row == want[k];
      same = same && equal;
      std::printf("   plain loop, %zu choices: %7.2f s, %s", plain, slow, equal ? "the same" : "OTHERS");
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return same ? 0 : 1;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) { return hemafed::learning::Run(argc, argv); }
