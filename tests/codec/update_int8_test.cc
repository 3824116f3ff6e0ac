// SPDX-License-Identifier: Apache-2.0
//
// The int8 encoding of an update: docs/update.md.
#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/update.h"
#include "codec/update_body.h"
#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::IntegerBytes;

using Integers = std::vector<std::int32_t>;

const Path kFile = "/u.hfu";
const UpdateFormat kInt8{.encoding = UpdateEncoding::kInt8};
constexpr double kGrid = 0x1p-22;

UpdateLayout LayoutOf(const std::vector<std::int64_t>& sizes) {
  UpdateLayout layout;
  for (const std::int64_t size : sizes) {
    layout.tensors.push_back({"t" + std::to_string(1000 + layout.tensors.size()), {size}});
  }
  return layout;
}

// Rounds every tensor of the layout; `deltas` is the local model, the base is zero.
Integers Quantize(const UpdateLayout& layout, const std::vector<float>& local, const std::vector<float>& base,
                  std::vector<float>& residual) {
  Integers values(local.size());
  std::size_t at = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    const std::size_t count = tensor.ValueCount();
    QuantizeDelta(tensor.name, std::span(local).subspan(at, count), std::span(base).subspan(at, count),
                  std::span(residual).subspan(at, count), std::span(values).subspan(at, count), kInt8);
    at += count;
  }
  return values;
}

Integers QuantizeNew(const UpdateLayout& layout, const std::vector<float>& deltas) {
  std::vector<float> residual(deltas.size());
  return Quantize(layout, deltas, std::vector<float>(deltas.size()), residual);
}

UpdateFileInfo Write(FileSystem& files, const UpdateLayout& layout, std::span<const std::int32_t> values,
                     std::size_t piece = 1'000'000) {
  UpdateWriter writer(files, kFile, layout, kInt8);
  while (!values.empty()) {
    const std::size_t count = std::min(piece, values.size());
    writer.Append(values.first(count));
    values = values.subspan(count);
  }
  return writer.Finish();
}

Integers Decode(const std::string& content, const UpdateLayout& layout, const UpdateFormat& format = kInt8) {
  FaultFileSystem files;
  files.Plant(kFile, content);
  Integers values;
  const auto take = [&](std::span<const std::int32_t> part) { values.insert(values.end(), part.begin(), part.end()); };
  const DecodedUpdate result = DecodeUpdate(*files.OpenForRead(kFile), layout, take, format);
  EXPECT_EQ(result.values, Sha256Of(IntegerBytes(values)));
  return values;
}

// Gaussian, each tensor with a size of its own between 2^-24 and 2^-4; now and then an outlier.
std::vector<float> SomeDeltas(const UpdateLayout& layout, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<float> deltas;
  for (const TensorSpec& tensor : layout.tensors) {
    const double deviation = std::ldexp(1.0, -static_cast<int>(4 + random.NextBelow(21)));
    for (std::uint64_t i = tensor.ValueCount(); i > 0; --i) {
      const double outlier = random.NextBelow(500) == 0 ? 100 : 1;
      deltas.push_back(static_cast<float>(outlier * deviation * random.NextNormal()));
    }
  }
  return deltas;
}

// Tensors that end just before, at and after the ends of scale blocks and frames; scalars; an empty one.
const std::vector<std::int64_t> kSizes{1, 255, 256, 257, 0, 65'536, 3, 70'000, 1, 1, 65'535};

TEST(QuantizeInt8, EqualsASlowComputationBlockByBlock) {
  RandomStream random(4);
  const UpdateLayout layout = LayoutOf({1000});
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<float> base(1000), local(1000), residual(1000);
    const double size = std::ldexp(1.0, -static_cast<int>(random.NextBelow(24)));
    for (std::size_t i = 0; i < base.size(); ++i) {
      base[i] = static_cast<float>(random.NextNormal());
      local[i] = base[i] + static_cast<float>(size * random.NextNormal());
      residual[i] = static_cast<float>(size * random.NextBetween(-0.004, 0.004));
    }
    const std::vector<float> carried = residual;
    const Integers values = Quantize(layout, local, base, residual);
    for (std::size_t from = 0; from < 1000; from += 256) {
      const std::size_t to = std::min<std::size_t>(from + 256, 1000);
      const auto delta = [&](std::size_t i) {
        return (static_cast<long double>(local[i]) - base[i] + carried[i]) * (1 << 22);
      };
      long double largest = 0;
      for (std::size_t i = from; i < to; ++i) largest = std::max(largest, std::abs(delta(i)));
      std::int32_t scale = 1;
      while (largest > 127.0L * scale) scale *= 2;
      for (std::size_t i = from; i < to; ++i) {
        ASSERT_EQ(values[i], static_cast<std::int32_t>(std::nearbyint(delta(i) / scale)) * scale) << i;
        const auto left = static_cast<double>((delta(i) - values[i]) / (1 << 22));
        ASSERT_FLOAT_EQ(residual[i], static_cast<float>(left));
        ASSERT_LE(std::abs(residual[i]), 0.5 * scale * kGrid);
      }
    }
  }
}

TEST(QuantizeInt8, TakesTheSmallestExponentThatHoldsTheBlock) {
  const auto first = [](double steps) { return QuantizeNew(LayoutOf({2}), {static_cast<float>(steps * kGrid), 0})[0]; };
  EXPECT_EQ(first(127), 127);
  EXPECT_EQ(first(-127), -127);
  EXPECT_EQ(first(127.25), 128) << "63.625 on the scale of 2";
  EXPECT_EQ(first(-254), -254);
  EXPECT_EQ(first(254.5), 256) << "63.625 on the scale of 4";
  EXPECT_EQ(first(127.0 * (1 << 24)), 127 * (1 << 24));
  EXPECT_EQ(first(-127.0 * (1 << 24)), -127 * (1 << 24));
  EXPECT_EQ(first(0), 0);
}

TEST(QuantizeInt8, RefusesWhatIsNotFiniteOrTooLargeNamingTensorAndIndex) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN(), 508.001F, -512.0F}) {
    std::vector<float> deltas(300);
    deltas[270] = bad;
    EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor t1001 at index 270", (void)QuantizeNew(LayoutOf({0, 300}), deltas));
  }
}

TEST(QuantizeInt8, DoesNotLetOneTensorCoarsenAnother) {
  std::vector<float> deltas(300, static_cast<float>(kGrid));
  deltas[0] = 1;
  const Integers values = QuantizeNew(LayoutOf({100, 200}), deltas);
  EXPECT_EQ(values[0], 1 << 22);
  EXPECT_EQ(Integers(values.begin() + 1, values.begin() + 100), Integers(99, 0));
  EXPECT_EQ(Integers(values.begin() + 100, values.end()), Integers(200, 1));
}

TEST(QuantizeInt8, LosesNothingOverManyRoundsButTheRoundingOfTheResidual) {
  const UpdateLayout layout = LayoutOf({700, 5});
  const std::size_t count = layout.ValueCount();
  RandomStream random(12);
  std::vector<float> base(count), residual(count);
  std::vector<long double> truth(count), decoded(count), bound(count), without(count);
  for (float& value : base) value = static_cast<float>(random.NextNormal());
  for (int round = 0; round < 200; ++round) {
    std::vector<float> local = base;
    for (std::size_t i = 0; i < count; ++i) {
      // Most values drift by far less than one step of their block's scale, which an outlier sets.
      local[i] += static_cast<float>(i % 300 == 0 ? 0.5 * random.NextNormal() : 1e-4);
      truth[i] += static_cast<long double>(local[i]) - base[i];
    }
    FaultFileSystem files;
    const Integers values = Quantize(layout, local, base, residual);
    (void)Write(files, layout, values);
    const Integers received = Decode(*files.Peek(kFile), layout);
    std::vector<float> cleared(count);
    const Integers forgetful = Quantize(layout, local, base, cleared);
    for (std::size_t i = 0; i < count; ++i) {
      decoded[i] += received[i] * static_cast<long double>(kGrid);
      without[i] += forgetful[i] * static_cast<long double>(kGrid);
      // Half a unit in the last place of the residual, and one of the double that held the difference.
      bound[i] += std::abs(residual[i]) * 0x1p-24L + 0x1p-52L;
      base[i] = local[i];
    }
  }
  double lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_LE(std::abs(decoded[i] + residual[i] - truth[i]), bound[i]) << i;
    if (i < 700 && i % 300 != 0) lost = std::max(lost, static_cast<double>(std::abs(without[i] - truth[i])));
  }
  EXPECT_GT(lost, 0.015) << "without error feedback a drift of 200 times 1e-4 is never sent";
}

TEST(UpdateInt8, GivesBackWhatWasWrittenAndStaysWithinItsBounds) {
  for (const auto& sizes : std::vector<std::vector<std::int64_t>>{
           {}, {0}, {1}, {256}, {257}, kSizes, std::vector<std::int64_t>(1000, 1), {65'537}, {200'000}}) {
    const UpdateLayout layout = LayoutOf(sizes);
    const Integers values = QuantizeNew(layout, SomeDeltas(layout, sizes.size()));
    FaultFileSystem files;
    const UpdateFileInfo info = Write(files, layout, values);
    const std::string content = *files.Peek(kFile);
    EXPECT_EQ(Decode(content, layout), values);
    EXPECT_EQ(info.values, Sha256Of(IntegerBytes(values))) << "the canonical form is that of int32";
    EXPECT_EQ(info.file, Sha256Of(content));
    EXPECT_LE(content.size(), MaxUpdateFileBytes(layout, UpdateEncoding::kInt8));
    EXPECT_LE(MaxUpdateFileBytes(layout, UpdateEncoding::kInt8), MaxUpdateFileBytes(layout.ValueCount()));

    FaultFileSystem pieces;
    EXPECT_EQ(Write(pieces, layout, values, 777).file, info.file);
  }
}

TEST(UpdateInt8, StaysWithinItsBoundForValuesThatDoNotCompress) {
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{150'000}, std::vector<std::int64_t>(600, 1)}) {
    const UpdateLayout layout = LayoutOf(sizes);
    RandomStream random(3);
    Integers values(layout.ValueCount());
    for (auto& value : values) value = static_cast<std::int32_t>(random.NextBelow(255)) - 127;
    FaultFileSystem files;
    const UpdateFileInfo info = Write(files, layout, values);
    EXPECT_GT(info.file_bytes, values.size());
    EXPECT_LE(info.file_bytes, MaxUpdateFileBytes(layout, UpdateEncoding::kInt8));
  }
}

TEST(UpdateInt8, IsMoreThanFourTimesSmallerThanFloats) {
  UpdateLayout layout = LayoutOf({300'000, 500, 300'000, 64});
  std::vector<float> deltas;
  RandomStream random(1);
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::uint64_t i = layout.tensors[t].ValueCount(); i > 0; --i) {
      deltas.push_back(static_cast<float>(std::ldexp(random.NextNormal(), -8 - 3 * static_cast<int>(t))));
    }
  }
  FaultFileSystem files;
  const UpdateFileInfo info = Write(files, layout, QuantizeNew(layout, deltas));
  EXPECT_GT(static_cast<double>(deltas.size() * 4) / static_cast<double>(info.file_bytes), 4.2);
}

TEST(UpdateInt8, RefusesToWriteValuesThatAreNotOnTheirScale) {
  FaultFileSystem files;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the value 129 is not on its block's int8 scale of 2^1",
               (void)Write(files, LayoutOf({2}), Integers{200, 129}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "size 2147483648 is too large for int8",
               (void)Write(files, LayoutOf({1}), Integers{std::numeric_limits<std::int32_t>::min()}));
  (void)Write(files, LayoutOf({1, 1}), Integers{200, 127});
  EXPECT_EQ(Decode(*files.Peek(kFile), LayoutOf({1, 1})), (Integers{200, 127})) << "each tensor has its own scale";
}

TEST(UpdateInt8, IsNotTakenForTheOtherEncodingNorForOneUnknown) {
  const UpdateLayout layout = LayoutOf({6});
  FaultFileSystem files;
  (void)Write(files, layout, Integers(6, 1));
  std::string content = *files.Peek(kFile);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is encoded as int8, the plan wants int32", (void)Decode(content, layout, {}));
  content[7] = 0;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is encoded as int32, the plan wants int8", (void)Decode(content, layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "wrong number of values", (void)Decode(content, layout, {}));
  content[7] = 2;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "encoding 2, which this program does not know", (void)Decode(content, layout));
}

TEST(UpdateInt8, IsRefusedWhenCutAtAnyByteOrFollowedByOne) {
  const UpdateLayout layout = LayoutOf({50, 3});
  FaultFileSystem files;
  (void)Write(files, layout, QuantizeNew(layout, SomeDeltas(layout, 2)));
  const std::string content = *files.Peek(kFile);
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "update file: ", (void)Decode(content.substr(0, size), layout));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 bytes after its last block", (void)Decode(content + "x", layout));
}

TEST(UpdateInt8, NeverGivesOtherValuesForAFlippedBit) {
  const UpdateLayout layout = LayoutOf({50, 3});
  const Integers values = QuantizeNew(layout, SomeDeltas(layout, 2));
  FaultFileSystem files;
  (void)Write(files, layout, values);
  const std::string content = *files.Peek(kFile);
  std::size_t harmless = 0;  // Bits of the frame that mean nothing to the decompressor.
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    try {
      EXPECT_EQ(Decode(damaged, layout), values) << "bit " << bit;
      ++harmless;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    }
  }
  EXPECT_LT(harmless, 20u);
}

// A file of tensors [3] and [2] with this body.
std::string WithBody(const std::string& body) {
  FaultFileSystem files;
  (void)Write(files, LayoutOf({3, 2}), Integers(5));
  std::string frame(ZSTD_compressBound(body.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), body.data(), body.size(), 1));
  return files.Peek(kFile)->substr(0, 48) + static_cast<char>(frame.size()) + std::string(3, '\0') + frame;
}

TEST(UpdateInt8, RefusesBodiesThatNoWriterMakes) {
  const UpdateLayout layout = LayoutOf({3, 2});
  const auto body = [](std::initializer_list<int> bytes) {
    std::string text;
    for (const int byte : bytes) text += static_cast<char>(byte);
    return WithBody(text);
  };
  EXPECT_EQ(Decode(body({24, 0, 127, -127, 1, -5, 5}), layout),
            (Integers{127 << 24, -127 * (1 << 24), 1 << 24, -5, 5}));
  EXPECT_EQ(Decode(body({0, 1, 0, 0, 0, 64, -1}), layout), (Integers{0, 0, 0, 128, -2}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "exponent of 25 is above 24",
               (void)Decode(body({25, 0, 127, 0, 0, 0, 0}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "exponent of 255 is above 24",
               (void)Decode(body({0, 255, 127, 0, 0, 127, 0}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "-128 has no counterpart",
               (void)Decode(body({24, 0, 127, -128, 0, 0, 0}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "larger than its block needs",
               (void)Decode(body({1, 0, 63, -63, 0, 0, 0}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "larger than its block needs",
               (void)Decode(body({0, 7, 63, -63, 0, 0, 0}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "wrong number of values", (void)Decode(body({0, 0, 1, 1, 1, 1}), layout));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be decompressed",
               (void)Decode(body({0, 0, 1, 1, 1, 1, 1, 1}), layout));
}

Integers ReadSample(const std::string& name, const UpdateLayout& layout, std::string* digest) {
  const auto file = RealFileSystem().OpenForRead(Path(HEMAFED_SOURCE_DIR) / "tests/data/update" / name);
  Integers values;
  const auto take = [&](std::span<const std::int32_t> part) { values.insert(values.end(), part.begin(), part.end()); };
  *digest = DecodeUpdate(*file, layout, take, kInt8).values.Hex();
  return values;
}

TEST(UpdateInt8, RefusesTheHostileSamplesForTheirOwnReasons) {
  const UpdateLayout layout{{{"a", {2, 3}}, {"b", {}}}};
  const auto refused = [&](const std::string& name, const std::string& words) {
    std::string digest;
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)ReadSample(name, layout, &digest));
  };
  refused("hostile_exponent.hfu", "exponent of 25 is above 24");
  refused("hostile_minus_128.hfu", "-128 has no counterpart");
  refused("hostile_not_smallest.hfu", "larger than its block needs");
  refused("hostile_encoding.hfu", "encoding 2, which");
}

TEST(UpdateInt8, ReadsTheWorkedBytesOfItsPage) {
  const UpdateLayout layout{{{"a", {2, 3}}, {"b", {}}}};
  std::vector<float> deltas;
  for (const double steps : {3000, -1000, 0, 512, -70'000, 1536, -3}) {
    deltas.push_back(static_cast<float>(steps * kGrid));
  }
  const Integers want{3072, -1024, 0, 0, -69'632, 2048, -3};
  EXPECT_EQ(QuantizeNew(layout, deltas), want);
  std::string digest;
  EXPECT_EQ(ReadSample("v1_int8_worked.hfu", layout, &digest), want);
  EXPECT_EQ(digest, "3a5b1a9bfa1aa2312cf61d0133905868de3b850907c404c05ab0477dd61d80aa");
}

// tests/data/update/README.md says how the sample was made. The digest is Python's, computed from the formula.
TEST(UpdateInt8, ReadsTheSampleOfVersionOne) {
  const UpdateLayout layout{{{"a", {100, 600}}, {"b", {10'000}}}};
  std::string digest;
  const Integers values = ReadSample("v1_int8.hfu", layout, &digest);
  EXPECT_EQ(digest, "e68f5ce0fd7d69588049b36f42695b068a1d384aaca7b20f2ead9f8e7feb6e7f");
  ASSERT_EQ(values.size(), 70'000u);
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    const std::uint32_t block = i < 60'000 ? i / 256 : 235 + (i - 60'000) / 256;
    const auto q8 = static_cast<std::int32_t>(i * 2654435761u % 65'536 % 255) - 127;
    ASSERT_EQ(values[i], q8 * (1 << block % 25)) << i;
  }
}

}  // namespace
}  // namespace hemafed
