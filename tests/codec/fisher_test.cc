// SPDX-License-Identifier: Apache-2.0
#include "codec/fisher.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::IntegerBytes;
using testing_support::Scratch;

std::int32_t RootOf(float fisher) {
  std::int32_t root = -1;
  QuantizeFisher("t", {&fisher, 1}, {&root, 1});
  return root;
}

TEST(QuantizeFisher, RoundsTheRootHalfToEven) {
  EXPECT_EQ(RootOf(0), 0);
  EXPECT_EQ(RootOf(1), 1 << 22);
  EXPECT_EQ(RootOf(4), 1 << 23);
  EXPECT_EQ(RootOf(0x1p-44F), 1) << "the square of one unit";
  EXPECT_EQ(RootOf(0x1p-46F), 0) << "half a unit, to even";
  EXPECT_EQ(RootOf(2.25F * 0x1p-44F), 2) << "one and a half, to even";
  EXPECT_EQ(RootOf(6.25F * 0x1p-44F), 2) << "two and a half, to even";
  EXPECT_EQ(RootOf(std::nextafter(0x1p-46F, 1.0F)), 1);
}

TEST(QuantizeFisher, EqualsALongDoubleComputationAndComesBackWithinHalfAUnitOfTheRoot) {
  RandomStream random(3);
  std::vector<float> fisher, back(20'000);
  for (std::size_t i = 0; i < back.size(); ++i) {
    fisher.push_back(static_cast<float>(std::ldexp(random.NextBetween(1, 2), -static_cast<int>(i % 60) + 17)));
  }
  std::vector<std::int32_t> roots(fisher.size());
  QuantizeFisher("t", fisher, roots);
  FisherOf(roots, back);
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    const long double root = std::sqrt(static_cast<long double>(fisher[i])) * 0x1p22L;
    ASSERT_EQ(roots[i], static_cast<std::int32_t>(std::nearbyint(root))) << i;
    ASSERT_EQ(back[i], static_cast<float>(std::pow(static_cast<long double>(roots[i]) * 0x1p-22L, 2.0L))) << i;
    ASSERT_LE(std::abs(std::sqrt(static_cast<double>(back[i])) - std::sqrt(static_cast<double>(fisher[i]))),
              0.5 * 0x1p-22 + 1e-7 * std::sqrt(static_cast<double>(fisher[i])));
  }
}

TEST(QuantizeFisher, RefusesWhatNoRootOnTheGridIs) {
  const float largest = std::nextafter(262'144.0F, 0.0F);
  EXPECT_EQ(RootOf(largest),
            static_cast<std::int32_t>(std::nearbyint(std::sqrt(static_cast<double>(largest)) * 0x1p22)));
  for (const float more : {262'144.0F, std::numeric_limits<float>::max()}) {
    EXPECT_EQ(RootOf(more), std::numeric_limits<std::int32_t>::max()) << "no better held by more";
  }
  for (const float bad : {-0x1p-60F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                          -std::numeric_limits<float>::infinity()}) {
    const std::vector<float> fisher{1, 0, bad};
    std::vector<std::int32_t> roots(3);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor conv.weight at index 2",
                 QuantizeFisher("conv.weight", fisher, roots));
  }
}

TEST(WhyNoFisher, NamesTheFirstNegativeValueByTensor) {
  const Scratch scratch;
  const UpdateLayout layout{{{"a", {70'000}}, {"b.weight", {2, 3}}}};
  std::vector<std::int32_t> values(70'006, std::numeric_limits<std::int32_t>::max());
  const auto why = [&](std::size_t missing = 0) {
    const auto file = RealFileSystem().Create(scratch / "raw");
    const Bytes bytes = IntegerBytes(values);
    file->Append(ByteView(bytes).subspan(missing));
    file->Close();
    return WhyNoFisher(*RealFileSystem().OpenForRead(scratch / "raw"), layout).value_or("");
  };
  EXPECT_EQ(why(), "");
  EXPECT_NE(why(1).find("280023 bytes, not the 280024"), std::string::npos);
  EXPECT_NE(why(4).find("280020 bytes"), std::string::npos);
  values[70'004] = -5;
  EXPECT_NE(why().find("tensor b.weight at index 4 is -5"), std::string::npos) << why();
  values[69'999] = std::numeric_limits<std::int32_t>::min();
  EXPECT_NE(why().find("tensor a at index 69999 is -2147483648"), std::string::npos) << why();
}

}  // namespace
}  // namespace hemafed
