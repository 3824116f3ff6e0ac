// tests/learning/features/latent/two_samples_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/two_samples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"

namespace hemafed::learning {
namespace {

double Distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum;
}

// The definition, pair by pair in double, for any assignment of the pooled rows.
double SlowMmd(const FeatureMatrix& pool, const std::vector<std::uint32_t>& x, double s2, bool unbiased) {
  std::vector<bool> in_x(pool.rows, false);
  for (const auto i : x) in_x[i] = true;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < pool.rows; ++i) {
    for (std::size_t j = 0; j < pool.rows; ++j) {
      if (unbiased && i == j) continue;
      const double k = std::exp(-Distance(pool.Row(i), pool.Row(j)) / (2 * s2));
      if (in_x[i] && in_x[j]) xx += k;
      if (!in_x[i] && !in_x[j]) yy += k;
      if (in_x[i] && !in_x[j]) xy += k;
    }
  }
  const auto n = static_cast<double>(x.size());
  const double m = static_cast<double>(pool.rows) - n;
  const double less = unbiased ? 1 : 0;
  return xx / (n * (n - less)) + yy / (m * (m - less)) - 2 * xy / (n * m);
}

FeatureMatrix Pool(const FeatureMatrix& x, const FeatureMatrix& y) {
  FeatureMatrix pool = x;
  pool.rows += y.rows;
  pool.values.insert(pool.values.end(), y.values.begin(), y.values.end());
  return pool;
}

TEST(TwoSamples, DiscrepanciesEqualASlowDoubleLoop) {
  const FeatureMatrix x = NormalFeatures(23, 7, 1);
  const FeatureMatrix y = NormalFeatures(31, 7, 2, 0.5);
  const TwoSampleResult result = CompareSamples(x, y, {.permutations = 1});
  const FeatureMatrix pool = Pool(x, y);
  std::vector<double> distances;
  for (std::size_t i = 0; i < pool.rows; ++i)
    for (std::size_t j = 0; j < i; ++j) distances.push_back(Distance(pool.Row(i), pool.Row(j)));
  std::sort(distances.begin(), distances.end());
  const double median = distances[(distances.size() - 1) / 2];
  EXPECT_NEAR(result.bandwidth_squared, median, 1e-12 * median);
  std::vector<std::uint32_t> first(23);
  for (std::uint32_t i = 0; i < 23; ++i) first[i] = i;
  EXPECT_NEAR(result.unbiased, SlowMmd(pool, first, median, true), 1e-8);
  EXPECT_NEAR(result.biased, SlowMmd(pool, first, median, false), 1e-8);
}

// Every permutation computed anew from the definition.
TEST(TwoSamples, PValueEqualsASlowPermutationTest) {
  const FeatureMatrix x = NormalFeatures(14, 3, 3);
  const FeatureMatrix y = NormalFeatures(11, 3, 4, 0.8);
  const TwoSampleSettings settings{.permutations = 200, .seed = 5};
  const TwoSampleResult result = CompareSamples(x, y, settings);
  const FeatureMatrix pool = Pool(x, y);
  std::vector<std::uint32_t> first(14);
  for (std::uint32_t i = 0; i < 14; ++i) first[i] = i;
  const double observed = SlowMmd(pool, first, result.bandwidth_squared, true);
  std::uint32_t as_large = 1;
  for (std::uint32_t r = 0; r < 200; ++r) {
    RandomStream random(DeriveSeed(5, "drift permutation 1"), r);
    auto order = Permutation(25, random);
    order.resize(14);
    if (SlowMmd(pool, order, result.bandwidth_squared, true) >= observed) ++as_large;
  }
  EXPECT_EQ(result.p_numerator, as_large);
  EXPECT_EQ(result.p_denominator, 201u);
  EXPECT_GT(as_large, 1u) << "a case in which nothing is counted tests nothing";
  EXPECT_LT(as_large, 200u);
}

// Under the null hypothesis p <= 0.05 has probability 0.05: of 200 pairs of samples 10 are expected, sd 3.1.
TEST(TwoSamples, RejectsEqualDistributionsAsOftenAsItSays) {
  int rejected = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto result = CompareSamples(NormalFeatures(30, 4, 1000 + seed), NormalFeatures(40, 4, 5000 + seed),
                                       {.permutations = 99, .seed = seed});
    rejected += result.p_numerator * 20 <= result.p_denominator ? 1 : 0;
  }
  EXPECT_GE(rejected, 2);
  EXPECT_LE(rejected, 20);
}

TEST(TwoSamples, FindsAShiftAndAChangeOfSpread) {
  const FeatureMatrix x = NormalFeatures(200, 5, 11);
  EXPECT_EQ(CompareSamples(x, NormalFeatures(200, 5, 12, 1.0)).p_numerator, 1u);
  FeatureMatrix wider = NormalFeatures(200, 5, 13);
  for (float& value : wider.values) value *= 2;
  EXPECT_EQ(CompareSamples(x, wider).p_numerator, 1u);
  EXPECT_GT(CompareSamples(x, NormalFeatures(200, 5, 14)).p_numerator, 50u);
}

TEST(TwoSamples, DrawsAsManyRowsAsAllowedAndAlwaysTheSame) {
  const FeatureMatrix x = NormalFeatures(300, 3, 21);
  const FeatureMatrix y = NormalFeatures(250, 3, 22);
  const TwoSampleSettings settings{.permutations = 50, .rows_max = 100, .seed = 9};
  const TwoSampleResult first = CompareSamples(x, y, settings);
  EXPECT_EQ(first.rows_x, 100u);
  EXPECT_EQ(first.rows_y, 100u);
  const TwoSampleResult again = CompareSamples(x, y, settings);
  EXPECT_EQ(again.p_numerator, first.p_numerator);
  EXPECT_EQ(again.unbiased, first.unbiased);
  EXPECT_NE(CompareSamples(x, y, {.permutations = 50, .rows_max = 100, .seed = 10}).unbiased, first.unbiased);
  // What it drew is what DrawRows says: handing in those rows alone changes nothing but the median's rows.
  const auto drawn_x = TakeRows(x, DrawRows(300, 100, 9, 0));
  const auto drawn_y = TakeRows(y, DrawRows(250, 100, 9, 1));
  EXPECT_EQ(CompareSamples(drawn_x, drawn_y, settings).unbiased, first.unbiased);
}

TEST(TwoSamples, StopsBetweenPermutationsWhenAsked) {
  const FeatureMatrix x = NormalFeatures(20, 3, 1), y = NormalFeatures(30, 3, 2);
  std::uint32_t whole = 0;
  const auto count = [&] {
    ++whole;
    return false;
  };
  const TwoSampleResult result = CompareSamples(x, y, {.permutations = 40}, count);
  EXPECT_EQ(result.p_denominator, 41u);
  EXPECT_GE(whole, 40u + 50u);  // Permutations, and rows of the kernel.
  std::uint32_t asked = 0;
  EXPECT_ERROR(ErrorCode::kInterrupted, "run the same command again",
               (void)CompareSamples(x, y, {.permutations = 40}, [&] { return ++asked == whole - 5; }));
  EXPECT_EQ(asked, whole - 5);
}

TEST(TwoSamples, RefusesWhatSaysNothing) {
  const FeatureMatrix x = NormalFeatures(20, 3, 1);
  FeatureMatrix constant(20, 3);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "constant", (void)CompareSamples(constant, constant));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too few", (void)CompareSamples(x, NormalFeatures(9, 3, 2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the other 4", (void)CompareSamples(x, NormalFeatures(20, 4, 2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "permutations", (void)CompareSamples(x, x, {.permutations = 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rows_max", (void)CompareSamples(x, x, {.rows_max = 2001}));
  FeatureMatrix broken = x;
  broken.values[5] = std::numeric_limits<float>::infinity();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "row 1, column 2", (void)CompareSamples(x, broken));
}

}  // namespace
}  // namespace hemafed::learning
