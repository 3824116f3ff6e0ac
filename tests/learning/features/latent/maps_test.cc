// tests/learning/features/latent/maps_test.cc
// SPDX-License-Identifier: Apache-2.0
//
// Principal components and t-SNE. Expected numbers are scikit-learn 1.9.1's on the same rows (reference_numbers.py).
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "learning/features/latent/principal_components.h"
#include "learning/features/latent/tsne.h"
#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"

namespace hemafed::learning {
namespace {

constexpr std::size_t kRows = 90;

FeatureMatrix Rows() { return FormulaFeatures(0, kRows, 6, 0.5f); }

std::vector<double> Start() {
  std::vector<double> start;
  for (std::size_t i = 0; i < kRows; ++i) {
    start.push_back(std::cos(static_cast<double>(i)) * 1e-2);
    start.push_back(std::sin(2.0 * static_cast<double>(i)) * 1e-2);
  }
  return start;
}

TEST(PrincipalComponents, EqualScikitLearns) {
  const PrincipalComponents found = FindPrincipalComponents(Rows());
  EXPECT_NEAR(found.variances[0], 0.2773352437465726, 1e-10);
  EXPECT_NEAR(found.variances[1], 0.15783813313783573, 1e-10);
  const std::vector<double> direction = {0.652270572828418,   -0.41109348106718074, 0.1951696994809262,
                                         -0.3665251945730668, -0.11771980410996821, 0.4682471222700325};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(found.directions[0][i], direction[i], 1e-7) << i;
}

// The same plane by the other matrix: columns are repeated until there are more of them than rows.
TEST(PrincipalComponents, OfWideRowsAreThoseOfTheNarrowOnes) {
  const FeatureMatrix narrow = Rows();
  constexpr std::size_t kTimes = 20;
  FeatureMatrix wide(kRows, 6 * kTimes);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < wide.columns; ++j) wide.Row(r)[j] = narrow.Row(r)[j % 6];
  }
  const PrincipalComponents of_narrow = FindPrincipalComponents(narrow, 6);
  const PrincipalComponents of_wide = FindPrincipalComponents(wide, 7);
  const auto narrow_places = of_narrow.Project(narrow);
  const auto wide_places = of_wide.Project(wide);
  for (std::size_t c = 0; c < 6; ++c) {
    EXPECT_NEAR(of_wide.variances[c], kTimes * of_narrow.variances[c], 1e-9);
    for (std::size_t r = 0; r < kRows; ++r)
      EXPECT_NEAR(wide_places[r * 7 + c], std::sqrt(kTimes) * narrow_places[r * 6 + c], 1e-6) << r << " " << c;
  }
  EXPECT_EQ(of_wide.variances[6], 0) << "there are six dimensions only";
  EXPECT_NEAR(of_wide.total_variance, kTimes * of_narrow.total_variance, 1e-9);
}

TEST(PrincipalComponents, PointWhereTheirLargestEntryIsPositive) {
  const PrincipalComponents found = FindPrincipalComponents(Rows(), 6);
  for (const auto& direction : found.directions) {
    double largest = 0;
    for (const double value : direction)
      if (std::abs(value) > std::abs(largest)) largest = value;
    EXPECT_GT(largest, 0);
  }
}

TEST(PrincipalComponents, RefuseTooFewRowsAndTooManyColumns) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two rows", (void)FindPrincipalComponents(FeatureMatrix(1, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at most", (void)FindPrincipalComponents(Rows(), 7));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "draw fewer", (void)FindPrincipalComponents(FeatureMatrix(2001, 2002)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another width",
               (void)FindPrincipalComponents(Rows()).Project(FeatureMatrix(3, 5)));
}

TEST(Tsne, AffinitiesHaveThePerplexityAskedFor) {
  const std::vector<double> p = TsneAffinities(Rows(), 20);
  double sum = 0;
  for (const double value : p) sum += value;
  EXPECT_NEAR(sum, 1, 1e-12);
  for (std::size_t i = 0; i < kRows; ++i) {
    EXPECT_EQ(p[i * kRows + i], 0);
    for (std::size_t j = 0; j < i; ++j) EXPECT_EQ(p[i * kRows + j], p[j * kRows + i]);
  }
}

TEST(Tsne, DivergenceAndGradientAtAPlaceEqualScikitLearns) {
  const std::vector<double> p = TsneAffinities(Rows(), 20);
  std::vector<double> gradient;
  (void)TsneDivergence(p, Start(), &gradient);
  EXPECT_NEAR(TsneDivergence(p, Start()), 1.4087847491324064, 1e-5);
  const std::vector<double> want = {-0.00014688421315839795, 5.0616740981131946e-05, -5.616639547775606e-05,
                                    -0.00012227951643285269};
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(gradient[i], want[i], 1e-8) << i;
}

TEST(Tsne, GradientEqualsFiniteDifferences) {
  const std::vector<double> p = TsneAffinities(Rows(), 10);
  std::vector<double> places;
  for (const double value : Start()) places.push_back(value * 300);
  std::vector<double> gradient;
  (void)TsneDivergence(p, places, &gradient);
  for (std::size_t i = 0; i < places.size(); i += 7) {
    constexpr double kStep = 1e-5;
    std::vector<double> moved = places;
    moved[i] += kStep;
    const double above = TsneDivergence(p, moved);
    moved[i] -= 2 * kStep;
    const double below = TsneDivergence(p, moved);
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-8 + 1e-5 * std::abs(gradient[i])) << i;
  }
}

// Descent with momentum magnifies the last bits: scikit-learn itself ends between 0.468 and 0.584 from twenty starts
// that differ by a millionth.
TEST(Tsne, FromTheSameStartEndsAsLowAsScikitLearn) {
  const TsneMap map = RunTsne(Rows(), {.perplexity = 20}, Start());
  EXPECT_GT(map.divergence, 0.44);
  EXPECT_LT(map.divergence, 0.60);
}

TEST(Tsne, PathFromTheSameStartEqualsScikitLearns) {
  const TsneMap five = RunTsne(Rows(), {.perplexity = 20, .steps = 5}, Start());
  EXPECT_NEAR(five.places[0], -0.6569593427544078, 1e-4);
  EXPECT_NEAR(five.places[1], -0.17920499110320343, 1e-4);
  EXPECT_NEAR(five.places[2 * kRows - 2], -1.0660320567165533, 1e-4);
  EXPECT_NEAR(five.places[2 * kRows - 1], -0.9637517839076857, 1e-4);
}

TEST(Tsne, KeepsGroupsApartAndIsTheSameEachTime) {
  FeatureMatrix rows = NormalFeatures(80, 5, 1);
  for (std::size_t r = 40; r < 80; ++r) rows.Row(r)[2] += 30;
  const TsneMap map = RunTsne(rows, {.perplexity = 10, .steps = 400});
  // Every row's nearest other row is of its own group.
  for (std::size_t i = 0; i < 80; ++i) {
    std::size_t nearest = i;
    double least = 1e300;
    for (std::size_t j = 0; j < 80; ++j) {
      const double x = map.places[2 * i] - map.places[2 * j];
      const double y = map.places[2 * i + 1] - map.places[2 * j + 1];
      if (j != i && x * x + y * y < least) {
        least = x * x + y * y;
        nearest = j;
      }
    }
    EXPECT_EQ(nearest < 40, i < 40) << i;
  }
  EXPECT_EQ(RunTsne(rows, {.perplexity = 10, .steps = 400}).places, map.places);
}

TEST(Tsne, StopsWhenAsked) {
  std::uint32_t last = 0;
  EXPECT_ERROR(ErrorCode::kInterrupted, "not finished",
               (void)RunTsne(Rows(), {.perplexity = 20}, {}, [&](std::uint32_t done, std::uint32_t) {
                 last = done;
                 return done < 3;
               }));
  EXPECT_EQ(last, 3u);
}

TEST(Tsne, StopsBeforeTheFirstStepToo) {
  std::uint32_t asked = 0;
  EXPECT_ERROR(ErrorCode::kInterrupted, "not finished",
               (void)RunTsne(Rows(), {.perplexity = 20}, {}, [&](std::uint32_t done, std::uint32_t total) {
                 EXPECT_EQ(done, 0u);
                 EXPECT_EQ(total, 1'000u);
                 return ++asked < 7;
               }));
  EXPECT_EQ(asked, 7u);
}

TEST(Tsne, RefusesWhatItCannotMap) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "perplexity", (void)RunTsne(Rows(), {.perplexity = 30}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "all rows are equal", (void)RunTsne(FeatureMatrix(50, 3), {.perplexity = 5}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4 to", (void)RunTsne(FeatureMatrix(3, 3), {.perplexity = 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4 to", (void)RunTsne(FeatureMatrix(2001, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two coordinates a row",
               (void)RunTsne(Rows(), {.perplexity = 20}, std::vector<double>(10)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "steps", (void)RunTsne(Rows(), {.perplexity = 20, .steps = 0}));
}

}  // namespace
}  // namespace hemafed::learning
