// SPDX-License-Identifier: Apache-2.0
#include "common/report/axis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "studies/report/report_names.h"
#include "tests/expect_error.h"

namespace hemafed::studies {
namespace {

std::vector<std::string> Labels(const Axis& axis) {
  std::vector<std::string> out;
  for (const Tick& tick : axis.ticks) out.push_back(tick.label);
  return out;
}

TEST(NiceAxis, LabelsTheUsualRangesAsAPersonWould) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(Labels(NiceAxis(0, 1)), (Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(Labels(NiceAxis(-0.06, 0.72)), (Texts{"-0.2", "0.0", "0.2", "0.4", "0.6", "0.8"}));
  EXPECT_EQ(Labels(NiceAxis(125, 2000)), (Texts{"0", "500", "1000", "1500", "2000"}));
  EXPECT_EQ(Labels(NiceAxis(0.95, 0.99)), (Texts{"0.95", "0.96", "0.97", "0.98", "0.99"}));
  EXPECT_EQ(Labels(NiceAxis(1, 12, 13)), (Texts{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}));
}

TEST(NiceAxis, KeepsItsPromisesForAnyRange) {
  for (int i = 0; i < 3000; ++i) {
    // Sizes from 1e-9 to 1e9 with either sign, widths from a millionth of them upwards.
    const double size = std::pow(10.0, i % 19 - 9) * (i % 2 == 0 ? 1 : -1) * (1 + i * 0.00037);
    const double low = size;
    const double high = size + std::abs(size) * std::pow(10.0, i % 7 - 6) * (1 + i * 0.0011);
    const int max_ticks = 2 + i % 12;
    const Axis axis = NiceAxis(low, high, max_ticks);
    const double slack = (high - low) * 1e-6;
    ASSERT_LE(axis.low, low + slack) << i;
    ASSERT_GE(axis.high, high - slack) << i;
    ASSERT_GE(axis.ticks.size(), 2u) << i;
    ASSERT_LE(axis.ticks.size(), static_cast<std::size_t>(max_ticks)) << i;
    ASSERT_EQ(axis.ticks.front().value, axis.low) << i;
    ASSERT_EQ(axis.ticks.back().value, axis.high) << i;
    const std::vector<std::string> labels = Labels(axis);
    ASSERT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), labels.size()) << i;
    for (const Tick& tick : axis.ticks)  // The label is the value.
      ASSERT_NEAR(std::stod(tick.label), tick.value, slack + 1e-15) << i;
  }
}

TEST(NiceAxis, GivesASinglePointRoom) {
  for (const double value : {0.0, 0.5, -3.0, 1e12, 1e-12}) {
    const Axis axis = NiceAxis(value, value);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
    EXPECT_GT(axis.Part(value), 0.1);
    EXPECT_LT(axis.Part(value), 0.9);
  }
}

TEST(NiceAxis, TakesLimitsInEitherOrderAndRefusesThoseThatAreNone) {
  EXPECT_EQ(Labels(NiceAxis(1, 0)), Labels(NiceAxis(0, 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)NiceAxis(0, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)NiceAxis(-std::numeric_limits<double>::infinity(), 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1e15", (void)NiceAxis(0, 1e300));
}

}  // namespace
}  // namespace hemafed::studies
