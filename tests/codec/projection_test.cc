// SPDX-License-Identifier: Apache-2.0
#include "codec/projection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/sha256.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

// From a Philox4x32-10 written in Python with integers, seed 42, by the formula of the header.
TEST(Projection, IsTheFormulasNumbers) {
  EXPECT_EQ(ProjectionBound(5), 3'248'893);
  EXPECT_EQ(ProjectionRow(42, 0, 5)[0], -190'354);
  EXPECT_EQ(ProjectionRow(42, 0, 5)[1], -2'327'485);
  EXPECT_EQ(ProjectionRow(42, 1, 5)[0], -3'191'593);
  EXPECT_EQ(ProjectionRow(42, 2047, 5)[4], 187'168);
  EXPECT_EQ(ProjectionBound(1280), 203'055);
  std::vector<std::int32_t> rows;
  for (std::uint32_t row = 0; row < 3; ++row) {
    const auto values = ProjectionRow(42, row, 1280);
    rows.insert(rows.end(), values.begin(), values.end());
  }
  EXPECT_EQ(Sha256Of(testing_support::IntegerBytes(rows)).Hex(),
            "72b65f985b03db0a32766ac6c4f6e85aa847127af0d388dea52e2dc0545b38bb");
}

TEST(Projection, BoundIsTheIntegerPartOfTheRoot) {
  for (const std::uint32_t width : {1u, 2u, 3u, 7u, 512u, 1280u, 2048u, 65'536u}) {
    const auto bound = static_cast<std::uint64_t>(ProjectionBound(width));
    const std::uint64_t square = 3ull << 44;
    EXPECT_LE(bound * bound * width, square) << width;
    EXPECT_GT((bound + 1) * (bound + 1) * width, square) << width;
  }
}

TEST(Projection, MatrixIsItsRowsExactlyInFloat) {
  const std::vector<float> matrix = ProjectionMatrix(7, 9, 11);
  ASSERT_EQ(matrix.size(), 99u);
  for (std::uint32_t row = 0; row < 9; ++row) {
    const std::vector<std::int32_t> steps = ProjectionRow(7, row, 11);
    for (std::size_t column = 0; column < 11; ++column) {
      EXPECT_EQ(std::ldexp(static_cast<double>(matrix[std::size_t{row} * 11 + column]), 22), steps[column]);
    }
  }
}

// 200,000 uniform numbers: the mean is within 5 standard errors, the variance 1/d within 2 %.
TEST(Projection, HasTheMeanAndVarianceOfThePapersNormalNumbers) {
  constexpr std::uint32_t kWidth = 100;
  double sum = 0, squares = 0;
  const std::vector<float> matrix = ProjectionMatrix(3, 2000, kWidth);
  for (const float value : matrix) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const auto n = static_cast<double>(matrix.size());
  EXPECT_LT(std::abs(sum / n), 5 * 0.1 / std::sqrt(n));
  EXPECT_NEAR(squares / n * kWidth, 1.0, 0.02);
}

TEST(Projection, DiffersBySeedAndRow) {
  EXPECT_NE(ProjectionRow(1, 0, 50), ProjectionRow(2, 0, 50));
  EXPECT_NE(ProjectionRow(1, 0, 50), ProjectionRow(1, 1, 50));
}

TEST(Projection, RefusesSizesOutOfRange) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot take 0 features", (void)ProjectionRow(1, 0, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot take 65537 features", (void)ProjectionBound(65'537));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot give 2049 features", (void)ProjectionMatrix(1, 2049, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot give 0 features", (void)ProjectionMatrix(1, 0, 4));
}

}  // namespace
}  // namespace hemafed
