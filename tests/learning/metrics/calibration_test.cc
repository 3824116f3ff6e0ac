// SPDX-License-Identifier: Apache-2.0
//
// Numbers named "reference" come from reference_numbers.py.
#include "learning/metrics/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/expect_error.h"
#include "tests/learning/metrics/predictions.h"

namespace hemafed::learning {
namespace {

TEST(Calibration, IsThatOfTheReference) {
  const testing_support::Predictions given;
  const Calibration five = MeasureCalibration(given.confidence, given.right, 5);
  EXPECT_NEAR(five.expected_error, 0.145702862226006, 1e-14);
  EXPECT_NEAR(five.maximum_error, 0.177298626890104, 1e-14);
  const Calibration usual = MeasureCalibration(given.confidence, given.right);
  EXPECT_EQ(usual.bins.size(), 15u);
  EXPECT_NEAR(usual.expected_error, 0.159926984386594, 1e-14);
  EXPECT_NEAR(usual.maximum_error, 0.709677419354839, 1e-14);
  EXPECT_NEAR(NegativeLogLikelihood(given.probabilities, given.labels, given.kClasses), 1.18090369705667, 1e-13);
  EXPECT_NEAR(BrierScore(given.probabilities, given.labels, given.kClasses), 0.627305269237476, 1e-14);
}

TEST(Calibration, OfAModelThatIsRightAsOftenAsItSaysIsPerfect) {
  std::vector<double> confidence(100, 0.75);
  std::vector<std::uint8_t> right(100);
  std::fill_n(right.begin(), 75, std::uint8_t{1});
  EXPECT_NEAR(MeasureCalibration(confidence, right).expected_error, 0.0, 1e-14);
  std::fill(right.begin(), right.end(), std::uint8_t{0});
  EXPECT_NEAR(MeasureCalibration(confidence, right).expected_error, 0.75, 1e-14);
}

TEST(Calibration, PutsAnEdgeIntoTheBinBelowItForEveryNumberOfBins) {
  for (std::size_t bins = 1; bins <= 200; ++bins) {
    for (std::size_t m = 0; m <= bins; ++m) {
      const double edge = static_cast<double>(m) / static_cast<double>(bins);
      const Calibration got = MeasureCalibration(std::vector<double>{edge}, std::vector<std::uint8_t>{1}, bins);
      EXPECT_EQ(got.bins[m == 0 ? 0 : m - 1].pictures, 1u) << m << " of " << bins;
      if (m == bins) continue;
      const Calibration next =
          MeasureCalibration(std::vector<double>{std::nextafter(edge, 1.0)}, std::vector<std::uint8_t>{1}, bins);
      EXPECT_EQ(next.bins[m].pictures, 1u) << "just above " << m << " of " << bins;
    }
  }
}

TEST(Calibration, RefusesWhatIsNoProbability) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no probability",
               (void)MeasureCalibration(std::vector<double>{1.5}, std::vector<std::uint8_t>{1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 for 2 pictures",
               (void)MeasureCalibration(std::vector<double>{.5}, std::vector<std::uint8_t>{1, 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "0 bins",
               (void)MeasureCalibration(std::vector<double>{.5}, std::vector<std::uint8_t>{1}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not belong",
               (void)BrierScore(std::vector<double>{.5, .5}, std::vector<std::uint32_t>{2}, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no probability",
               (void)NegativeLogLikelihood(std::vector<double>{.5, NAN}, std::vector<std::uint32_t>{0}, 2));
}

TEST(NegativeLogLikelihood, OfAnImpossibleTruthIsFinite) {
  EXPECT_NEAR(NegativeLogLikelihood(std::vector<double>{1, 0}, std::vector<std::uint32_t>{1}, 2), -std::log(1e-15),
              1e-12);
}

}  // namespace
}  // namespace hemafed::learning
