// SPDX-License-Identifier: Apache-2.0
#include "codec/analytic_head.h"

#include <gtest/gtest.h>

#include "common/file_system.h"
#include "tests/codec/feature_samples.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

AnalyticHead Worked() {
  Digest trunk;
  for (std::size_t i = 0; i < trunk.bytes.size(); ++i) trunk.bytes[i] = static_cast<std::uint8_t>(i);
  return {.trunk = trunk, .seed = 20190301, .weights = {2, 2, {1, -2, 3, 1 << 22}}};
}

// Written by a few lines of Python (docs/feature_sums.md): struct.pack("<4sHBBIIQ", ...) + bytes(range(32)) + ...
TEST(AnalyticHead, HasTheWorkedBytesOfItsPage) {
  const Bytes bytes = Worked().ToBytes();
  EXPECT_EQ(HexEncode(bytes),
            "4846520a01001600"
            "0200000002000000"
            "5d14340100000000"
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
            "01000000feffffff0300000000004000");
  EXPECT_EQ(bytes.size(), AnalyticHeadBytes(2, 2));
  EXPECT_EQ(Sha256Of(bytes).Hex(), "c679e5720ec4d1699d0cf1d8c21e11db518cd6dd0199bc7c4999ea666221f1b0");
}

TEST(AnalyticHead, ReadsItsSampleBack) {
  const std::string text =
      ReadFile(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "tests/data/analytic_head/v1_worked.hfr", 1 << 10);
  EXPECT_EQ(AnalyticHead::FromBytes(AsBytes(text), 2, 2, "sample"), Worked());
}

TEST(AnalyticHead, EveryOtherFileIsRefused) {
  const Bytes good = Worked().ToBytes();
  const auto read = [](const Bytes& bytes) { (void)AnalyticHead::FromBytes(bytes, 2, 2, "head"); };
  for (std::size_t length = 0; length < good.size() + 4; ++length) {
    if (length == good.size()) continue;
    Bytes cut = good;
    cut.resize(length);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "bytes; one of 2 features and 2 classes has 72", read(cut));
  }
  for (std::size_t byte = 0; byte < 16; ++byte) {  // Magic, version, grid, zero, shape.
    Bytes changed = good;
    changed[byte] ^= 0x40;
    EXPECT_ERROR(ErrorCode::kInvalidInput, "does not begin as one", read(changed));
  }
  Bytes beyond = good;
  StoreLittleEndian(INT32_MIN, &beyond[56]);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "beyond the grid", read(beyond));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no head has", (void)AnalyticHead::FromBytes(good, 2049, 2, "head"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no head has", (void)AnalyticHead::FromBytes(good, 2, 65, "head"));
}

TEST(AnalyticHead, ScoresExactlyWhatTheFormulaGivesInDoubles) {
  constexpr std::uint32_t kFeatures = 37, kClasses = 4;
  const RidgeHead head = SolveRidge(testing_support::SampleSums(kFeatures, kClasses, 0, 50), 0.5);
  for (std::uint32_t p = 0; p < 20; ++p) {
    const std::vector<std::uint16_t> rounded = testing_support::SampleFeatures(p, kFeatures);
    std::vector<double> features;
    for (const std::uint16_t f : rounded) features.push_back(f * 0x1p-10);
    const std::vector<double> doubles = head.Scores(features);
    const std::vector<std::int64_t> exact = head.ExactScores(rounded);
    for (std::uint32_t k = 0; k < kClasses; ++k) {
      EXPECT_NEAR(static_cast<double>(exact[k]) * 0x1p-32, doubles[k], 1e-9);
    }
  }
  // The largest feature and weight, so often that 32 and 53 bits are not enough.
  const RidgeHead extreme{2048, 1, std::vector<std::int32_t>(2048, INT32_MAX)};
  EXPECT_EQ(extreme.ExactScores(std::vector<std::uint16_t>(2048, 65'535))[0], std::int64_t{2048} * 65'535 * INT32_MAX);
}

TEST(AnalyticHead, AClassOfWhichNothingWasSummedIsNeverTheAnswer) {
  AnalyticHead head{.weights = {1, 3, {-5, 0, -7}}};
  const auto answer = [&](std::uint16_t feature) {
    return head.Best(head.weights.ExactScores(std::vector<std::uint16_t>{feature}));
  };
  EXPECT_EQ(answer(9), 0u);  // The others' scores are negative; class 1 would have 0.
  EXPECT_EQ(answer(0), 0u);  // All equal: the lowest.
  head.weights.weights = {0, 0, -7};
  EXPECT_EQ(answer(9), 2u);
  head.weights.weights = {0, 0, 0};
  EXPECT_EQ(answer(9), 0u);
}

}  // namespace
}  // namespace hemafed
