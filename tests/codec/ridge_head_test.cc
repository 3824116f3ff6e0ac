// SPDX-License-Identifier: Apache-2.0
//
// Linked twice: with the library's ridge_head.cc, and with the same code compiled for processors with AVX2 and
// FMA (ridge_head_avx2.cc), where every number must be the same.
#include "codec/ridge_head.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <numeric>

#include "codec/update.h"
#include "common/bytes.h"
#include "common/random.h"
#include "tests/codec/feature_samples.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

using testing_support::SampleFeatures;
using testing_support::SampleSums;

#ifdef HEMAFED_TEST_NEEDS_AVX2
class RidgeHeadTest : public testing::Test {
  void SetUp() override {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
      GTEST_SKIP() << "this processor has no AVX2 and FMA";
    }
  }
};
#else
class RidgeHeadTest : public testing::Test {};
#endif

Digest BitsOf(const std::vector<double>& values) {
  Bytes bytes(values.size() * 8);
  for (std::size_t i = 0; i < values.size(); ++i) {
    StoreLittleEndian(std::bit_cast<std::uint64_t>(values[i]), &bytes[8 * i]);
  }
  return Sha256Of(bytes);
}

// A and B of the header as doubles.
std::vector<double> MatrixOf(const FeatureSums& sums, double ridge) {
  const std::uint32_t m = sums.features();
  std::vector<double> matrix(std::size_t{m} * m);
  for (std::uint32_t i = 0; i < m; ++i) {
    for (std::uint32_t j = 0; j < m; ++j) matrix[std::size_t{i} * m + j] = static_cast<double>(sums.Moment(i, j));
    matrix[std::size_t{i} * m + i] += std::nearbyint(ridge * 0x1p20);
  }
  return matrix;
}

std::vector<double> RightSideOf(const FeatureSums& sums) {
  std::vector<double> right;
  for (std::uint32_t i = 0; i < sums.features(); ++i) {
    for (const std::int64_t value : sums.TargetRow(i)) right.push_back(static_cast<double>(value) * 1024);
  }
  return right;
}

std::vector<double> UpperTriangle(const std::vector<double>& matrix, std::size_t n) {
  std::vector<double> triangle;
  for (std::size_t i = 0; i < n; ++i) {
    triangle.insert(triangle.end(), &matrix[i * n + i], matrix.data() + (i + 1) * n);
  }
  return triangle;
}

// Gauss elimination with pivots in long double: slow and independent of the order of the chain.
std::vector<long double> SolveSlowly(const std::vector<double>& matrix, const std::vector<double>& right,
                                     std::size_t n) {
  const std::size_t columns = right.size() / n;
  std::vector<long double> a(matrix.begin(), matrix.end()), x(right.begin(), right.end());
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t step = 0; step < n; ++step) {
    std::size_t best = step;
    for (std::size_t i = step; i < n; ++i) {
      if (std::abs(a[order[i] * n + step]) > std::abs(a[order[best] * n + step])) best = i;
    }
    std::swap(order[step], order[best]);
    const std::size_t pivot = order[step];
    for (std::size_t i = step + 1; i < n; ++i) {
      const long double factor = a[order[i] * n + step] / a[pivot * n + step];
      for (std::size_t j = step; j < n; ++j) a[order[i] * n + j] -= factor * a[pivot * n + j];
      for (std::size_t c = 0; c < columns; ++c) x[order[i] * columns + c] -= factor * x[pivot * columns + c];
    }
  }
  std::vector<long double> solution(x.size());
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t c = 0; c < columns; ++c) {
      long double value = x[order[i] * columns + c];
      for (std::size_t j = i + 1; j < n; ++j) value -= a[order[i] * n + j] * solution[j * columns + c];
      solution[i * columns + c] = value / a[order[i] * n + i];
    }
  }
  return solution;
}

// From Python: sums in integers, the solution in exact fractions (fractions.Fraction, Gauss elimination), rounded half
// to even to 2^-22.
TEST_F(RidgeHeadTest, IsTheExactSolutionRoundedToTheGrid) {
  const RidgeHead head = SolveRidge(SampleSums(6, 3, 0, 40), 0.5);
  EXPECT_EQ(head.weights,
            (std::vector<std::int32_t>{-161914, 265468, 588767, -575547, 630842, -38565, 725283, 241594, 249805, 263787,
                                       1466259, 117763, 597990, -24356, 645948, 829711, 36856, 324219}));
}

// numpy.linalg.solve (LAPACK's LU) in float64 on G 2^-20 + 0.25 I, C 2^-10, rounded with numpy.rint; condition 125.
TEST_F(RidgeHeadTest, AgreesWithNumpyToTheLastGridStep) {
  const RidgeHead head = SolveRidge(SampleSums(64, 5, 0, 300), 0.25);
  const std::vector<std::int32_t> first(head.weights.begin(), head.weights.begin() + 5);
  const std::vector<std::int32_t> last(head.weights.end() - 5, head.weights.end());
  EXPECT_EQ(first, (std::vector<std::int32_t>{61192, -21825, 144259, -53616, 12711}));
  EXPECT_EQ(last, (std::vector<std::int32_t>{-13893, 11761, 172112, -116087, 36138}));
  EXPECT_EQ(Sha256Of(testing_support::IntegerBytes(head.weights)).Hex(),
            "6bad9ebbd9b5d593c014ae83ade5385e4d38d9d9f3a0792778cace0f9d10da18");
}

// The chain of the header written in Python, whose floats are IEEE doubles without fused operations. Bits of doubles,
// not of the rounded result: any other order or rounding of a single operation shows.
TEST_F(RidgeHeadTest, FollowsTheDocumentedChainBitForBit) {
  const FeatureSums sums = SampleSums(37, 4, 0, 50);
  std::vector<double> matrix = MatrixOf(sums, 0.01), solution = RightSideOf(sums);
  ASSERT_TRUE(CholeskyUpper(matrix, 37));
  EXPECT_EQ(matrix.back(), 0x1.47f20418c270bp+11);
  EXPECT_EQ(BitsOf(UpperTriangle(matrix, 37)).Hex(),
            "f0554aacb36712bf88b1de6c6cd41a80c1878e3954c8be0c4135935cb9f27b0f");
  SolveCholesky(matrix, 37, solution, 4);
  EXPECT_EQ(BitsOf(solution).Hex(), "4af643fc3fec6649b82f9e25666cb8034cf8253d34f5223e023cc3e5179f8f91");
  EXPECT_EQ(SolveRidge(sums, 0.01).Hash().Hex(), "11ff243ce2d2b6f69e7c78d792f3939d759267665517548e30f6a0b257faa7bc");
}

TEST_F(RidgeHeadTest, HasTheSameBitsForEveryBlockSize) {
  for (const std::uint32_t n : {1u, 2u, 3u, 4u, 5u, 63u, 64u, 65u, 130u}) {
    const std::vector<double> matrix = MatrixOf(SampleSums(n, 2, 0, 2 * n + 3), 0.25);
    std::vector<double> plain = matrix;  // The header's formula, element by element.
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i; j < n; ++j) {
        double value = plain[i * n + j];
        for (std::size_t k = 0; k < i; ++k) {
          const volatile double product = plain[k * n + i] * plain[k * n + j];
          value -= product;
        }
        plain[i * n + j] = j == i ? std::sqrt(value) : value / plain[i * n + i];
      }
    }
    for (const std::size_t block :
         {std::size_t{1}, std::size_t{3}, std::size_t{16}, std::size_t{64}, std::size_t{1000}}) {
      std::vector<double> blocked = matrix;
      ASSERT_TRUE(CholeskyUpper(blocked, n, block));
      EXPECT_EQ(UpperTriangle(blocked, n), UpperTriangle(plain, n)) << n << " by " << block;
    }
  }
}

TEST_F(RidgeHeadTest, AgreesWithSlowElimination) {
  for (const std::uint32_t features : {1u, 7u, 40u, 150u}) {
    for (const double ridge : {0.01, 1.0, 300.0}) {
      const FeatureSums sums = SampleSums(features, 5, 0, 120);  // 150 features: more than pictures.
      const RidgeHead head = SolveRidge(sums, ridge);
      const auto slow = SolveSlowly(MatrixOf(sums, ridge), RightSideOf(sums), features);
      for (std::size_t i = 0; i < slow.size(); ++i) {
        EXPECT_NEAR(head.weights[i], static_cast<double>(slow[i] * 0x1p22L), 0.5 + 1e-4) << features << " " << ridge;
      }
    }
  }
}

TEST_F(RidgeHeadTest, IsTheJointSolutionInAnyOrderOfTasks) {
  const RidgeHead joint = SolveRidge(SampleSums(33, 4, 0, 90), 1.0);
  std::vector<FeatureSums> tasks = {SampleSums(33, 4, 0, 7), SampleSums(33, 4, 7, 50), SampleSums(33, 4, 50, 90)};
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    FeatureSums sum(33, 4);
    for (const std::size_t task : order) sum.Add(tasks[task]);
    EXPECT_EQ(SolveRidge(sum, 1.0), joint);
    EXPECT_EQ(SolveRidge(sum, 1.0).Hash(), joint.Hash());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(RidgeHeadTest, PredictsTheClassesItWasSolvedFor) {
  // Ten pictures of each of three classes, each class with two features of its own beside noise.
  FeatureSumsBuilder builder(8, 3);
  std::vector<std::vector<std::uint16_t>> pictures;
  for (std::uint32_t p = 0; p < 30; ++p) {
    std::vector<std::uint16_t> features = SampleFeatures(p, 8);
    for (auto& value : features) value = static_cast<std::uint16_t>(value / 8);
    const std::size_t own = std::size_t{p} % 3 * 2;
    features[own] = 1500;
    features[own + 1] = 1200;
    builder.Add(features, p % 3);
    pictures.push_back(features);
  }
  const RidgeHead head = SolveRidge(builder.Finish(), 0.1);
  for (std::uint32_t p = 0; p < 30; ++p) {
    std::vector<double> features;
    for (const std::uint16_t value : pictures[p]) features.push_back(value * 0x1p-10);
    const std::vector<double> scores = head.Scores(features);
    EXPECT_EQ(std::max_element(scores.begin(), scores.end()) - scores.begin(), p % 3);
    EXPECT_GT(scores[p % 3], 0.8);
  }
}

TEST_F(RidgeHeadTest, KnowsAWrongSolution) {
  const FeatureSums sums = SampleSums(37, 4, 0, 50);
  const RidgeHead head = SolveRidge(sums, 0.01);
  EXPECT_TRUE(SolvesRidge(sums, 0.01, head));
  EXPECT_FALSE(SolvesRidge(sums, 0.1, head));
  EXPECT_FALSE(SolvesRidge(SampleSums(37, 4, 0, 51), 0.01, head));
  EXPECT_FALSE(SolvesRidge(SampleSums(36, 4, 0, 50), 0.01, head));
  for (std::size_t i = 0; i < head.weights.size(); ++i) {
    for (const std::int32_t change : {-200, 200}) {  // 0.00005; rounding all 37 weights explains less.
      RidgeHead wrong = head;
      wrong.weights[i] += change;
      EXPECT_FALSE(SolvesRidge(sums, 0.01, wrong)) << i;
    }
  }
}

TEST_F(RidgeHeadTest, GivesClassesWithoutPicturesZeroWeights) {
  FeatureSumsBuilder builder(5, 3);
  for (std::uint32_t p = 0; p < 20; ++p) builder.Add(SampleFeatures(p, 5), p % 2);
  const RidgeHead head = SolveRidge(builder.Finish(), 1.0);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(head.weights[i * 3 + 2], 0);
  EXPECT_NE(head.weights[0], 0);
  for (const std::int32_t weight : SolveRidge(FeatureSums(4, 2), 1.0).weights) EXPECT_EQ(weight, 0);
}

TEST_F(RidgeHeadTest, IsSolvedForSumsAtTheEndOfTheirRange) {
  // 2^22 pictures of the largest feature: G is 2^54 in one element, beyond what doubles hold exactly.
  FeatureSums sums = [] {
    FeatureSumsBuilder builder(2, 1);
    builder.Add(std::vector<std::uint16_t>{65'535, 65'535}, 0);
    builder.Add(std::vector<std::uint16_t>{65'535, 0}, 0);
    return builder.Finish();
  }();
  for (int i = 0; i < 29; ++i) sums.Add(FeatureSums(sums));
  EXPECT_EQ(sums.TotalPictures(), kMaxSummedPictures);
  const RidgeHead head = SolveRidge(sums, 1.0);
  EXPECT_NEAR(head.weights[0], 0x1p22 / (65'535 / 1024.0), 1);  // w0 phi = 1 for both pictures, w1 = 0.
  EXPECT_NEAR(head.weights[1], 0, 1);
}

TEST_F(RidgeHeadTest, RefusesRidgesOutOfRange) {
  const FeatureSums sums = SampleSums(4, 2, 0, 20);
  for (const double ridge : {0.0, -1.0, 0x1p-22, 0x1p41, std::nan(""), HUGE_VAL}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "must be from 2^-20 to 2^40", (void)SolveRidge(sums, ridge));
  }
  EXPECT_EQ(SolveRidge(sums, kMaxRidge).weights, std::vector<std::int32_t>(8, 0));
}

TEST_F(RidgeHeadTest, RefusesWeightsBeyondTheGrid) {
  FeatureSumsBuilder builder(1, 1);
  builder.Add(std::vector<std::uint16_t>{1}, 0);  // phi = 2^-10 must give 1: a weight of about 1024.
  const FeatureSums sums = builder.Finish();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "larger ridge makes weights smaller", (void)SolveRidge(sums, 0x1p-20));
  EXPECT_EQ(SolveRidge(sums, 1.0).weights.at(0), 4096);  // 2^-10 / (2^-20 + 1), in steps of 2^-22.
}

TEST_F(RidgeHeadTest, SaysSoWhenAMatrixIsNotPositiveDefinite) {
  std::vector<double> singular = {1, 2, 0, 4};
  EXPECT_FALSE(CholeskyUpper(singular, 2));
  std::vector<double> negative = {-1};
  EXPECT_FALSE(CholeskyUpper(negative, 1));
  std::vector<double> broken = {std::nan("")};
  EXPECT_FALSE(CholeskyUpper(broken, 1));
}

TEST_F(RidgeHeadTest, RefusesAnotherRoundingMode) {
  const FeatureSums sums = SampleSums(4, 2, 0, 20);
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  EXPECT_ERROR(ErrorCode::kInternal, "another rounding mode", (void)SolveRidge(sums, 1.0));
  ASSERT_EQ(std::fesetround(FE_TONEAREST), 0);
  EXPECT_NO_THROW((void)SolveRidge(sums, 1.0));
}

}  // namespace
}  // namespace hemafed
