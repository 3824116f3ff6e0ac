// SPDX-License-Identifier: Apache-2.0
#include "learning/models/dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/random.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

TEST(Dropout, MaskFollowsItsDefinitionWordByWord) {
  const std::vector<std::uint64_t> keys = {0, 0x123456789abcdef0};
  constexpr double kProbability = 0.3;
  const at::Tensor mask = DropoutMask(99, 5, keys, 3, 5, 7, kProbability);
  for (std::int64_t n = 0; n < 2; ++n) {
    std::uint32_t e = 0;
    for (std::int64_t c = 0; c < 3; ++c) {
      for (std::int64_t h = 0; h < 5; ++h) {
        for (std::int64_t w = 0; w < 7; ++w, ++e) {
          const std::uint64_t key = keys[static_cast<std::size_t>(n)];
          const PhiloxBlock words =
              Philox4x32(99, {e / 4, 5, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
          const bool dropped = words[e % 4] < 1288490188u;  // floor(0.3 * 2^32)
          EXPECT_FLOAT_EQ((mask[n][c][h][w].item<float>()), dropped ? 0.0f : 1.0f / 0.7f);
        }
      }
    }
  }
}

TEST(Dropout, MeanIsOneAndShareOfZerosIsTheProbability) {
  const std::vector<std::uint64_t> keys = {1, 2, 3, 4};
  for (const double probability : {0.0, 0.2, 0.5, 0.9}) {
    const at::Tensor mask = DropoutMask(7, 0, keys, 64, 25, 25, probability);  // 160,000 elements
    const double zeros = mask.eq(0).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(zeros, probability, 0.006) << probability;  // Five standard errors at 0.5.
    EXPECT_NEAR(mask.to(at::kDouble).mean().item<double>(), 1.0, 0.04) << probability;
  }
}

TEST(Dropout, MaskOfAPictureDoesNotDependOnItsNeighbours) {
  const at::Tensor together = DropoutMask(7, 3, std::vector<std::uint64_t>{10, 11, 12}, 8, 4, 4, 0.5);
  const at::Tensor alone = DropoutMask(7, 3, std::vector<std::uint64_t>{12}, 8, 4, 4, 0.5);
  EXPECT_TRUE(at::equal(together[2], alone[0]));
  EXPECT_FALSE(at::equal(together[0], together[1]));
}

TEST(Dropout, SeedAndPassChangeTheMask) {
  const std::vector<std::uint64_t> keys = {1};
  const at::Tensor mask = DropoutMask(7, 3, keys, 8, 4, 4, 0.5);
  EXPECT_FALSE(at::equal(mask, DropoutMask(8, 3, keys, 8, 4, 4, 0.5)));
  EXPECT_FALSE(at::equal(mask, DropoutMask(7, 4, keys, 8, 4, 4, 0.5)));
}

TEST(Dropout, ProbabilitiesOutsideTheRangeAreRefused) {
  for (const double probability : {-0.1, 1.0, 2.0, std::nan("")}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "dropout probability", RequireDropoutProbability(probability));
  }
}

}  // namespace
}  // namespace hemafed::learning
