// SPDX-License-Identifier: Apache-2.0
//
// The container of an update: docs/update.md.
#include <gtest/gtest.h>
#include <zstd.h>

#include <limits>

#include "codec/update.h"
#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::IntegerBytes;

const Path kFile = "/u.hfu";

UpdateLayout LayoutOf(std::size_t values) { return {{{"w", {static_cast<std::int64_t>(values)}}}}; }

// Mostly small numbers of both signs, now and then the ends of the range.
std::vector<std::int32_t> SomeValues(std::size_t count, std::uint64_t seed) {
  RandomStream random(seed);
  std::vector<std::int32_t> values(count);
  for (auto& value : values) {
    const auto word = static_cast<std::int32_t>(random.NextWord());
    value = word >> random.NextBelow(32);
    if (random.NextBelow(100) == 0) value = std::numeric_limits<std::int32_t>::min();
    if (random.NextBelow(100) == 0) value = std::numeric_limits<std::int32_t>::max();
  }
  return values;
}

UpdateFileInfo Write(FileSystem& files, const std::vector<std::int32_t>& values, const UpdateLayout& layout) {
  UpdateWriter writer(files, kFile, layout);
  writer.Append(values);
  return writer.Finish();
}

DecodedUpdate Decode(FaultFileSystem& files, const UpdateLayout& layout, std::vector<std::int32_t>* out = nullptr) {
  return DecodeUpdate(*files.OpenForRead(kFile), layout, [&](std::span<const std::int32_t> values) {
    if (out != nullptr) out->insert(out->end(), values.begin(), values.end());
  });
}

DecodedUpdate DecodeBytes(const std::string& content, const UpdateLayout& layout) {
  FaultFileSystem files;
  files.Plant(kFile, content);
  return Decode(files, layout);
}

TEST(UpdateFile, GivesBackWhatWasWrittenAndItsDigests) {
  for (const std::size_t count : {0u, 1u, 1000u, 65'535u, 65'536u, 65'537u, 200'000u}) {
    FaultFileSystem files;
    const auto values = SomeValues(count, count);
    const UpdateFileInfo info = Write(files, values, LayoutOf(count));
    const std::string content = *files.Peek(kFile);
    EXPECT_EQ(info.values, Sha256Of(IntegerBytes(values)));
    EXPECT_EQ(info.file, Sha256Of(content));
    EXPECT_EQ(info.file_bytes, content.size());
    EXPECT_LE(content.size(), MaxUpdateFileBytes(count));

    std::vector<std::int32_t> decoded;
    const DecodedUpdate result = Decode(files, LayoutOf(count), &decoded);
    EXPECT_EQ(decoded, values);
    EXPECT_EQ(result.values, info.values);
    UInt128 squares = 0;
    for (const std::int32_t value : values) squares += static_cast<UInt128>(static_cast<Int128>(value) * value);
    EXPECT_TRUE(result.squared_norm == squares);
  }
}

TEST(UpdateFile, StaysWithinItsBoundForValuesThatDoNotCompress) {
  FaultFileSystem files;
  RandomStream random(3);
  std::vector<std::int32_t> values(150'000);
  for (auto& value : values) value = static_cast<std::int32_t>(random.NextWord());
  const UpdateFileInfo info = Write(files, values, LayoutOf(values.size()));
  EXPECT_GT(info.file_bytes, values.size() * 4);
  EXPECT_LE(info.file_bytes, MaxUpdateFileBytes(values.size()));
}

TEST(UpdateFile, DoesNotDependOnThePiecesItWasWrittenIn) {
  const auto values = SomeValues(150'000, 5);
  FaultFileSystem whole, pieces;
  const UpdateFileInfo info = Write(whole, values, LayoutOf(values.size()));
  UpdateWriter writer(pieces, kFile, LayoutOf(values.size()));
  RandomStream random(1);
  for (std::size_t done = 0; done < values.size();) {
    const std::size_t count = std::min<std::size_t>(random.NextBelow(100'000), values.size() - done);
    writer.Append(std::span(values).subspan(done, count));
    done += count;
  }
  EXPECT_EQ(writer.Finish().file, info.file);
  EXPECT_EQ(pieces.Peek(kFile), whole.Peek(kFile));
}

TEST(UpdateFile, DecodesIntoTheCanonicalForm) {
  FaultFileSystem files;
  const auto values = SomeValues(70'000, 9);
  (void)Write(files, values, LayoutOf(values.size()));
  const auto raw = files.Create("/raw");
  const DecodedUpdate result = DecodeUpdate(*files.OpenForRead(kFile), LayoutOf(values.size()), *raw);
  EXPECT_EQ(files.Peek("/raw"), AsText(IntegerBytes(values)));
  EXPECT_EQ(Sha256Of(*files.Peek("/raw")), result.values);
}

TEST(UpdateFile, RefusesTooManyAndTooFewValues) {
  FaultFileSystem files;
  UpdateWriter writer(files, kFile, LayoutOf(3));
  writer.Append(std::vector<std::int32_t>{1, 2});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more values than the layout", writer.Append(std::vector<std::int32_t>{3, 4}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 values are missing", (void)writer.Finish());
}

TEST(UpdateFile, IsRefusedWhenCutAtAnyByteOrFollowedByOne) {
  FaultFileSystem files;
  (void)Write(files, SomeValues(50, 1), LayoutOf(50));
  const std::string content = *files.Peek(kFile);
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "update file: ", (void)DecodeBytes(content.substr(0, size), LayoutOf(50)));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 bytes after its last block",
               (void)DecodeBytes(content + "x", LayoutOf(50)));
}

TEST(UpdateFile, NeverGivesOtherValuesForAFlippedBit) {
  FaultFileSystem files;
  const UpdateFileInfo info = Write(files, SomeValues(50, 1), LayoutOf(50));
  const std::string content = *files.Peek(kFile);
  std::size_t harmless = 0;  // Bits of the frame that mean nothing to the decompressor.
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    try {
      EXPECT_EQ(DecodeBytes(damaged, LayoutOf(50)).values, info.values) << "bit " << bit;
      ++harmless;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    }
  }
  EXPECT_LT(harmless, 20u);
}

TEST(UpdateFile, IsRefusedForAnotherModelGridOrVersion) {
  FaultFileSystem files;
  (void)Write(files, SomeValues(6, 1), {{{"a", {2, 3}}}});
  const std::string content = *files.Peek(kFile);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "holds 6 values, the model needs 7",
               (void)DecodeBytes(content, {{{"a", {7}}}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other tensors", (void)DecodeBytes(content, {{{"a", {3, 2}}}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other tensors", (void)DecodeBytes(content, {{{"b", {2, 3}}}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rounded to 2^-22, the plan wants 2^-20",
               (void)DecodeUpdate(*files.OpenForRead(kFile), {{{"a", {2, 3}}}}, [](auto) {}, {.grid_bits = 20}));
  std::string newer = content;
  newer[4] = 2;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "version 2", (void)DecodeBytes(newer, {{{"a", {2, 3}}}}));
}

// A file whose only block is `frame`, with the length it claims.
std::string WithBlock(std::size_t values, const std::string& frame, std::uint32_t claimed) {
  FaultFileSystem files;
  const UpdateLayout layout = LayoutOf(values);
  (void)Write(files, std::vector<std::int32_t>(values), layout);
  std::string content = files.Peek(kFile)->substr(0, 48);
  for (int shift = 0; shift < 32; shift += 8) content += static_cast<char>(claimed >> shift);
  return content + frame;
}

std::string Compressed(const std::string& plain) {
  std::string frame(ZSTD_compressBound(plain.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), plain.data(), plain.size(), 1));
  return frame;
}

TEST(UpdateFile, RefusesBlocksThatLieAboutThemselves) {
  const auto refused = [](const std::string& frame, const std::string& words) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words,
                 (void)DecodeBytes(WithBlock(10, frame, static_cast<std::uint32_t>(frame.size())), LayoutOf(10)));
  };
  const std::string good = Compressed(std::string(40, '\0'));
  EXPECT_TRUE(DecodeBytes(WithBlock(10, good, static_cast<std::uint32_t>(good.size())), LayoutOf(10)).squared_norm ==
              0);
  refused(Compressed(std::string(39, '\0')), "wrong number of values in block 0");
  refused(Compressed(std::string(41, '\0')), "cannot be decompressed in block 0");
  refused(Compressed(std::string(1 << 25, '\0')), "more than its values can need");  // 32 MB in 1 KB.
  refused(Compressed(std::string(1 << 20, '\0')), "cannot be decompressed in block 0");
  refused(good + Compressed(""), "exactly one zstd frame");
  refused(std::string("\x50\x2a\x4d\x18\x04\0\0\0skip", 12), "exactly one zstd frame");  // A frame to be skipped.
  refused(std::string("\x27\xb5\x2f\xfd", 4) + std::string(20, '\0'), "exactly one zstd frame");  // Format of 2016.
  refused("", "claims 0 bytes");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "claims 4294967295 bytes in block 0",
               (void)DecodeBytes(WithBlock(10, good, 0xffffffff), LayoutOf(10)));
}

TEST(UpdateFile, ReportsEveryFailureOfTheDisk) {
  const auto values = SomeValues(1000, 2);
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.FailCall(n, ErrorCode::kNoSpace);
    bool refused = false;
    try {
      (void)Write(files, values, LayoutOf(values.size()));
      (void)Decode(files, LayoutOf(values.size()));
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
    }
    EXPECT_EQ(refused, files.failed());
    if (!files.failed()) break;
  }
}

TEST(UpdateFile, ReadsTheWorkedBytesOfItsPage) {
  const auto file = RealFileSystem().OpenForRead(Path(HEMAFED_SOURCE_DIR) / "tests/data/update/v1_worked.hfu");
  std::vector<std::int32_t> decoded;
  const DecodedUpdate result = DecodeUpdate(*file, {{{"a", {2, 3}}, {"b", {}}}}, [&](auto values) {
    decoded.insert(decoded.end(), values.begin(), values.end());
  });
  EXPECT_EQ(decoded, (std::vector<std::int32_t>{1, -1, 0, 300, -70'000, 2, -3}));
  EXPECT_EQ(result.values.Hex(), "06b5f819a9d03290b00d1cad9ac7f964f5868a5d2548e036f00701d71bb3d030");
}

// tests/data/update/README.md says how the sample was made. The digest is Python's, computed from the formula.
TEST(UpdateFile, ReadsTheSampleOfVersionOne) {
  const Path sample = Path(HEMAFED_SOURCE_DIR) / "tests/data/update/v1.hfu";
  const auto file = RealFileSystem().OpenForRead(sample);
  std::vector<std::int32_t> decoded;
  const UpdateLayout layout{{{"a", {100, 600}}, {"b", {10'000}}}};
  const DecodedUpdate result = DecodeUpdate(*file, layout, [&](std::span<const std::int32_t> values) {
    decoded.insert(decoded.end(), values.begin(), values.end());
  });
  EXPECT_EQ(result.values.Hex(), "df342e8bf6f0b660ecd59129bc8aabcee8b01b61f2adb3557e094af0fda84e86");
  ASSERT_EQ(decoded.size(), 70'000u);
  for (std::uint32_t i = 0; i < decoded.size(); ++i) {
    const auto want = i % 1000 == 0 ? static_cast<std::int32_t>(i * 2654435761u) : static_cast<std::int32_t>(i % 7) - 3;
    ASSERT_EQ(decoded[i], want) << i;
  }
}

}  // namespace
}  // namespace hemafed
