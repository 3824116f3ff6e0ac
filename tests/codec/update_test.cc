// SPDX-License-Identifier: Apache-2.0
#include "codec/update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Floats;
using testing_support::Model;
using testing_support::Scratch;
using testing_support::WriteModel;

constexpr float kGrid = 0x1p-22F;

std::int32_t QuantizeOne(float local, float base, float& residual) {
  std::int32_t q = 0;
  QuantizeDelta("t", {&local, 1}, {&base, 1}, {&residual, 1}, {&q, 1});
  return q;
}

TEST(QuantizeDelta, RoundsHalvesToEvenAndKeepsTheRest) {
  float residual = 0;
  EXPECT_EQ(QuantizeOne(2.5F * kGrid, 0, residual), 2);
  EXPECT_EQ(residual, 0.5F * kGrid);
  EXPECT_EQ(QuantizeOne(0.5F * kGrid, -0.5F * kGrid, residual), 2) << "1 and the half left over, halves to even";
  EXPECT_EQ(residual, -0.5F * kGrid);
  residual = 0;
  EXPECT_EQ(QuantizeOne(-1.5F * kGrid, 0, residual), -2);
  EXPECT_EQ(QuantizeOne(1, 0, residual = 0), 1 << 22);
}

TEST(QuantizeDelta, EqualsALongDoubleComputation) {
  RandomStream random(11);
  const std::size_t count = 50'000;
  std::vector<float> local(count), base(count), residual(count);
  std::vector<std::int32_t> q(count);
  for (std::size_t i = 0; i < count; ++i) {
    base[i] = static_cast<float>(random.NextNormal());
    local[i] = base[i] + static_cast<float>(random.NextNormal() * std::ldexp(1.0, -static_cast<int>(i % 24)));
    residual[i] = static_cast<float>(random.NextBetween(-0.5, 0.5)) * kGrid;
  }
  const std::vector<float> carried = residual;
  QuantizeDelta("t", local, base, residual, q);
  for (std::size_t i = 0; i < count; ++i) {
    const long double delta = static_cast<long double>(local[i]) - base[i] + carried[i];
    ASSERT_EQ(q[i], static_cast<std::int32_t>(std::nearbyint(delta * (1 << 22)))) << i;
    ASSERT_NEAR(static_cast<double>(residual[i]), static_cast<double>(delta - q[i] * 0x1p-22L), 0x1p-46) << i;
    ASSERT_LE(std::abs(residual[i]), 0.5F * kGrid);
  }
}

TEST(QuantizeDelta, LosesNothingOverManySmallSteps) {
  float residual = 0;
  std::int64_t sum = 0;
  for (int i = 0; i < 1000; ++i) sum += QuantizeOne(0.3F * kGrid, 0, residual);
  EXPECT_EQ(sum, 300) << "0.3 alone rounds to 0 each time";
}

TEST(QuantizeDelta, RefusesWhatIsNotFiniteOrTooLargeNamingTensorAndIndex) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN(), 512.0F, -512.001F}) {
    const std::vector<float> local{0, bad}, base{0, 0};
    std::vector<float> residual(2);
    std::vector<std::int32_t> q(2);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor conv.weight at index 1",
                 QuantizeDelta("conv.weight", local, base, residual, q));
  }
  float residual = 0;
  EXPECT_EQ(QuantizeOne(-512, 0, residual), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(QuantizeOne(0x1.fffffep8F, 0, residual), 0x7fffff80);
}

TEST(LayoutOfModel, TakesFloatsButNoNormalisationBuffers) {
  const Scratch scratch;
  const Model model{{"bn.weight", Floats({2}, {1, 2})},      {"bn.running_mean", Floats({2}, {1, 2})},
                    {"bn.running_var", Floats({2}, {1, 2})}, {"bn.num_batches_tracked", {DType::kI64, {}, Bytes(8)}},
                    {"half", {DType::kF16, {1}, Bytes(2)}},  {"Conv.weight", Floats({1, 3}, {1, 2, 3})},
                    {"running_mean", Floats({}, {5})}};
  WriteModel(RealFileSystem(), scratch / "m", model);
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(RealFileSystem(), scratch / "m"));
  EXPECT_EQ(layout, (UpdateLayout{{{"Conv.weight", {1, 3}}, {"bn.weight", {2}}, {"running_mean", {}}}}));
  EXPECT_EQ(layout.ValueCount(), 6u);
}

TEST(UpdateLayout, HashesItsCanonicalJson) {
  // Python: hashlib.sha256(b'[["a",[2,3]],["b",[]]]').hexdigest()
  EXPECT_EQ((UpdateLayout{{{"a", {2, 3}}, {"b", {}}}}).Hash().Hex(),
            "f14cae730c86999d374484782b85a4d081462c3c66e9811a98eec59c0ec45c94");
}

UInt128 FromDecimal(std::string_view digits) {
  UInt128 value = 0;
  for (const char digit : digits) value = value * 10 + static_cast<unsigned>(digit - '0');
  return value;
}

TEST(WithinNormBound, IsExactToTheLastUnit) {
  // Python: int(Fraction(bound)**2 * 2**44) with fractions.Fraction.
  struct Row {
    double bound;
    const char* largest;
  };
  for (const Row& row : std::vector<Row>{{0.1, "175921860444"},
                                         {3.7, "240837026948055"},
                                         {1e-7, "0"},
                                         {2.5e-6, "109"},
                                         {0.25, "1099511627776"},
                                         {1.0 / 3, "1954687338268"},
                                         {1e6, "17592186044416000000000000"},
                                         {1e12, "17592186044416000000000000000000000000"}}) {
    const UInt128 largest = FromDecimal(row.largest);
    EXPECT_TRUE(WithinNormBound(largest, row.bound)) << row.bound;
    EXPECT_FALSE(WithinNormBound(largest + 1, row.bound)) << row.bound;
  }
}

TEST(WithinNormBound, HandlesTheEndsOfTheRange) {
  const UInt128 largest = ~static_cast<UInt128>(0);
  EXPECT_TRUE(WithinNormBound(0, 0));
  EXPECT_FALSE(WithinNormBound(1, 0));
  EXPECT_TRUE(WithinNormBound(largest, 1e300));
  EXPECT_TRUE(WithinNormBound(largest, 0x1p42));
  EXPECT_FALSE(WithinNormBound(largest, 0x1.fffffffffffffp41)) << "(2^42 - 2^-11)^2 2^44 is below 2^128 - 1";
  EXPECT_FALSE(WithinNormBound(1, std::numeric_limits<double>::denorm_min()));
  EXPECT_TRUE(WithinNormBound(0, std::numeric_limits<double>::denorm_min()));
  for (const double bad : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "norm bound", (void)WithinNormBound(0, bad));
  }
  EXPECT_EQ(NormOf(static_cast<UInt128>(9) << 44), 3.0);
}

}  // namespace
}  // namespace hemafed
