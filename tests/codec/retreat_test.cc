// SPDX-License-Identifier: Apache-2.0
#include "codec/retreat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::Floats;
using testing_support::IntegerBytes;

// Two tensors, one longer than what is read at a time.
constexpr std::int64_t kLong = 70'001;

class RetreatTest : public testing::Test {
 protected:
  void WriteBoth(const std::vector<float>& now, const std::vector<float>& first) {
    for (const auto& [name, values] : {std::pair{"now", &now}, std::pair{"first", &first}}) {
      const std::vector<float> a(values->begin(), values->begin() + 3), b(values->begin() + 3, values->end());
      (void)testing_support::WriteModel(files_, scratch_ / name,
                                        {{"a.weight", Floats({3}, a)}, {"b.weight", Floats({kLong}, b)}});
    }
  }
  [[nodiscard]] Retreat Of(const std::vector<std::int32_t>& update) {
    const Bytes bytes = IntegerBytes(update);
    WriteFileAtomically(files_, scratch_ / "raw", AsText(bytes));
    const auto now = SafetensorsReader::Open(files_, scratch_ / "now");
    return RetreatOf(*files_.OpenForRead(scratch_ / "raw"), LayoutOfModel(now), now,
                     SafetensorsReader::Open(files_, scratch_ / "first"));
  }
  static std::string AsText(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

  hemafed::testing_support::Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
};

TEST_F(RetreatTest, IsTheProjectionOnTheWayBack) {
  RandomStream random(11);
  std::vector<float> now, first;
  std::vector<std::int32_t> update;
  double back = 0, way = 0;
  for (std::int64_t i = 0; i < kLong + 3; ++i) {
    first.push_back(static_cast<float>(random.NextUnit()) - 0.5f);
    now.push_back(first.back() + static_cast<float>(random.NextUnit() - 0.4) * 0.01f);
    const double d = std::nearbyint((static_cast<double>(now.back()) - first.back()) * 4194304);
    update.push_back(static_cast<std::int32_t>(random.NextBelow(20'001)) - 10'000 - static_cast<std::int32_t>(d / 4));
    back -= update.back() * d;
    way += d * d;
  }
  WriteBoth(now, first);
  const Retreat retreat = Of(update);
  EXPECT_NEAR(static_cast<double>(retreat.back), back, 1e-9 * std::abs(back));
  EXPECT_NEAR(static_cast<double>(retreat.way), way, 1e-9 * way);
  EXPECT_NEAR(retreat.Share(), back / way, 1e-9);
  EXPECT_NEAR(retreat.Share(), 0.25, 0.02) << "a quarter back, and noise that points nowhere";
}

TEST_F(RetreatTest, DecidesExactlyAtTheLimit) {
  std::vector<float> first(kLong + 3, 0.0f), now = first;
  now[0] = std::ldexp(4.0f, -kGridBits);  // d = 4, so d^2 = 16.
  WriteBoth(now, first);
  std::vector<std::int32_t> update(kLong + 3, 0);
  update[0] = -2;
  const Retreat half = Of(update);
  EXPECT_EQ(half.back, 8);
  EXPECT_EQ(half.way, 16u);
  EXPECT_FALSE(half.Exceeds(500'000));
  EXPECT_TRUE(half.Exceeds(499'999));
  update[0] = 1000;
  EXPECT_FALSE(Of(update).Exceeds(1)) << "on the way, not back";
}

TEST_F(RetreatTest, WithoutAWayNothingExceeds) {
  const std::vector<float> same(kLong + 3, 0.25f);
  WriteBoth(same, same);
  const Retreat retreat = Of(std::vector<std::int32_t>(kLong + 3, -1'000'000));
  EXPECT_EQ(retreat.way, 0u);
  EXPECT_FALSE(retreat.Exceeds(1));
  EXPECT_EQ(retreat.Share(), 0);
}

TEST_F(RetreatTest, HoldsTheLargestIntegers) {
  const std::vector<float> first(kLong + 3, 0.0f), now(kLong + 3, 511.0f);
  WriteBoth(now, first);
  const Retreat retreat = Of(std::vector<std::int32_t>(kLong + 3, std::numeric_limits<std::int32_t>::min()));
  const auto count = static_cast<double>(kLong + 3);
  EXPECT_NEAR(static_cast<double>(retreat.back), count * std::ldexp(511.0, 22) * std::ldexp(1.0, 31), 1e12);
  EXPECT_TRUE(retreat.Exceeds(1'000'000));
  WriteBoth(std::vector<float>(kLong + 3, 600.0f), first);  // Further than int32 spans: held at its end.
  EXPECT_NEAR(static_cast<double>(Of(std::vector<std::int32_t>(kLong + 3, -1)).back), count * std::ldexp(1.0, 31),
              count);
}

TEST_F(RetreatTest, AWayBelowAQuarterOfTheUpdateTellsNothing) {
  std::vector<float> first(kLong + 3, 0.0f), now = first;
  now[0] = std::ldexp(4.0f, -kGridBits);
  WriteBoth(now, first);
  std::vector<std::int32_t> update(kLong + 3, 0);
  update[0] = -16;  // Four times as long as the way, all of it back.
  EXPECT_TRUE(Of(update).Exceeds(1'000'000));
  update[1] = 1;
  EXPECT_FALSE(Of(update).Exceeds(1)) << "a little longer";
}

TEST_F(RetreatTest, RefusesWhatHasAnotherLength) {
  const std::vector<float> some(kLong + 3, 0.25f);
  WriteBoth(some, some);
  EXPECT_ERROR(ErrorCode::kCorrupt, "end before", (void)Of(std::vector<std::int32_t>(kLong + 2, 1)));
}

}  // namespace
}  // namespace hemafed
