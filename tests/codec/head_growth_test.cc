// SPDX-License-Identifier: Apache-2.0
#include "codec/head_growth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::FloatBytes;
using testing_support::Floats;
using testing_support::Model;
using testing_support::TensorBytes;
using testing_support::TensorFloats;
using testing_support::WriteModel;

const Path kIn = "/in", kOut = "/out";

// Weights 0, 1 and d-1 of a row as multiples of 2^-22. Made by this Python (integers only):
//
//   def philox(key, ctr):                                # Philox4x32-10; philox(0, (0,0,0,0))[0] == 0x6627e8d5
//       k0, k1 = key & 0xffffffff, key >> 32; c = list(ctr)
//       for _ in range(10):
//           p0 = 0xD2511F53 * c[0]; p1 = 0xCD9E8D57 * c[2]
//           c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xffffffff, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xffffffff]
//           k0 = (k0 + 0x9E3779B9) & 0xffffffff; k1 = (k1 + 0xBB67AE85) & 0xffffffff
//       return c
//   B = math.isqrt(2**44 // d)                           # asserted: B*B*d <= 2**44 < (B+1)**2 * d
//   [(philox(seed, (task, row, c, 0))[0] * (2*B + 1) >> 32) - B for c in (0, 1, d - 1)]
TEST(NewHeadRow, EqualsAnIndependentComputation) {
  struct Row {
    std::uint64_t seed;
    std::uint32_t task, row, width;
    std::array<double, 3> steps;
  };
  for (const Row& row : std::vector<Row>{
           {7, 0, 0, 3, {2201689, -24023, 2140452}},
           {7, 0, 4, 3, {-123396, -1456448, -1915358}},
           {7, 2, 4, 3, {376495, 1595023, -2144005}},
           {9223372036854775807u, 11, 12, 2048, {52082, -81467, -22994}},
           {1, 0, 0, 1280, {91504, -110798, 66948}},
       }) {
    const auto weights = NewHeadRow(row.seed, row.task, row.row, row.width);
    ASSERT_EQ(weights.size(), row.width);
    const std::array<double, 3> steps{weights[0] * 0x1p22, weights[1] * 0x1p22, weights[row.width - 1] * 0x1p22};
    EXPECT_EQ(steps, row.steps);
  }
}

TEST(NewHeadRow, FillsTheRangeEvenlyAndStaysWithinIt) {
  const auto weights = NewHeadRow(3, 0, 0, 65'536);
  double sum = 0, squares = 0;
  for (const float weight : weights) {
    ASSERT_LE(std::abs(weight), 1.0F / 256);
    sum += weight * 256.0;
    squares += weight * 256.0 * weight * 256.0;
  }
  EXPECT_NEAR(sum / 65'536, 0, 0.01);             // Mean of 65,536 uniform numbers: 4.4 standard deviations.
  EXPECT_NEAR(squares / 65'536, 1.0 / 3, 0.005);  // Variance of a uniform number in +-1.
}

TEST(GrowHead, GivesAModelWithoutHeadItsFirstClasses) {
  FaultFileSystem files;
  const Model model{{"conv.weight", Floats({2}, {1, 2})}, {"z.num_batches_tracked", {DType::kI64, {}, Bytes(8, 3)}}};
  WriteModel(files, kIn, model, {{"hemafed.feature_width", "3"}, {"source", "test"}});
  const Digest digest = GrowHead(files, kIn, kOut, 7, 0, 5);
  EXPECT_EQ(digest, Sha256Of(*files.Peek(kOut)));
  const auto grown = SafetensorsReader::Open(files, kOut);
  EXPECT_EQ(grown.tensors().size(), 4u);
  EXPECT_EQ(grown.metadata().at("source"), "test");
  EXPECT_EQ(TensorBytes(grown, "conv.weight"), FloatBytes({1, 2}));
  EXPECT_EQ(TensorBytes(grown, "z.num_batches_tracked"), Bytes(8, 3));
  EXPECT_EQ(grown.Require("head.weight").shape, (std::vector<std::int64_t>{5, 3}));
  EXPECT_EQ(TensorFloats(grown, "head.bias"), std::vector<float>(5, 0.0F));
  std::vector<float> want;
  for (std::uint32_t row = 0; row < 5; ++row) {
    const auto weights = NewHeadRow(7, 0, row, 3);
    want.insert(want.end(), weights.begin(), weights.end());
  }
  EXPECT_EQ(TensorFloats(grown, "head.weight"), want);
}

TEST(GrowHead, CopiesOldRowsBitForBitAndAppendsNewOnes) {
  FaultFileSystem files;
  const float odd = std::bit_cast<float>(0x7fc12345u);  // Not a number, with a message in it: copied all the same.
  WriteModel(files, kIn,
             {{"head.weight", Floats({2, 2}, {0.1F, -0.0F, odd, 4})}, {"head.bias", Floats({2}, {odd, 0.5F})}});
  (void)GrowHead(files, kIn, kOut, 9, 4, 3);
  const auto grown = SafetensorsReader::Open(files, kOut);
  const auto row = NewHeadRow(9, 4, 2, 2);
  EXPECT_EQ(TensorBytes(grown, "head.weight"), FloatBytes({0.1F, -0.0F, odd, 4, row[0], row[1]}));
  EXPECT_EQ(TensorBytes(grown, "head.bias"), FloatBytes({odd, 0.5F, 0}));
}

TEST(GrowHead, ByNothingGivesTheSameFile) {
  FaultFileSystem files;
  const Digest before =
      WriteModel(files, kIn, {{"head.weight", Floats({1, 1}, {3})}, {"head.bias", Floats({1}, {1})}}, {{"k", "v"}});
  EXPECT_EQ(GrowHead(files, kIn, kOut, 1, 1, 1), before);
}

TEST(GrowHead, RefusesModelsThatItCannotGrow) {
  FaultFileSystem files;
  const auto refused = [&](const Model& model, const std::map<std::string, std::string>& metadata, std::size_t classes,
                           const std::string& words) {
    WriteModel(files, kIn, model, metadata);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)GrowHead(files, kIn, kOut, 1, 0, classes));
  };
  const auto weight = Floats({2, 1}, {1, 2});
  const auto bias = Floats({2}, {1, 2});
  refused({}, {}, 2, "no metadata hemafed.feature_width");
  for (const char* width : {"", "0", "-1", "3x", " 3", "65537", "99999999999999999999"}) {
    refused({}, {{"hemafed.feature_width", width}}, 2, "is no number from 1 to 65536");
  }
  refused({{"head.weight", weight}}, {}, 3, "only one of");
  refused({{"head.bias", bias}}, {}, 3, "only one of");
  refused({{"head.weight", weight}, {"head.bias", Floats({1}, {1})}}, {}, 3, "shapes [C,d] and [C]");
  refused({{"head.weight", Floats({2}, {1, 2})}, {"head.bias", bias}}, {}, 3, "shapes [C,d] and [C]");
  refused({{"head.weight", {DType::kF16, {2, 1}, Bytes(4)}}, {"head.bias", bias}}, {}, 3, "not float32");
  refused({{"head.weight", weight}, {"head.bias", bias}}, {}, 1, "has 2 classes and cannot get 1");
  refused({{"head.weight", weight}, {"head.bias", bias}}, {}, 4097, "cannot get 4097");
  refused({}, {{"hemafed.feature_width", "3"}}, 0, "cannot get 0");
}

}  // namespace
}  // namespace hemafed
