// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/tiles.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "protocol/log/merkle.h"
#include "tests/protocol/log_test_support.h"

namespace hemafed {
namespace {

// The example of https://c2sp.org/tlog-tiles is index 1234067.
TEST(TilePath, GroupsThreeDigitsAndMarksAllButTheLast) {
  EXPECT_EQ(TilePath(0, 0), "tile/0/000");
  EXPECT_EQ(TilePath(1, 999), "tile/1/999");
  EXPECT_EQ(TilePath(0, 1000), "tile/0/x001/000");
  EXPECT_EQ(TilePath(0, 1234067), "tile/0/x001/x234/067");
  EXPECT_EQ(TilePath(2, 5, 17), "tile/2/005.p/17");
  EXPECT_EQ(TilePath(7, ~std::uint64_t{0}), "tile/7/x018/x446/x744/x073/x709/x551/615");
  EXPECT_EQ(BundlePath(1234067), "tile/entries/x001/x234/067");
  EXPECT_EQ(BundlePath(273, 112), "tile/entries/273.p/112");
}

// Also an example of the page: 70,000 entries are 273 full tiles and one of 112 at level 0, one full and one of 17 at
// level 1, one of 1 at level 2; 256 entries are one full tile and one of 1 at level 1.
TEST(TileWidth, FollowsTheSizeAsInTheExamplesOfThePage) {
  EXPECT_EQ(TileWidthAt(70'000, 0, 0), 256u);
  EXPECT_EQ(TileWidthAt(70'000, 0, 272), 256u);
  EXPECT_EQ(TileWidthAt(70'000, 0, 273), 112u);
  EXPECT_EQ(TileWidthAt(70'000, 0, 274), 0u);
  EXPECT_EQ(TileWidthAt(70'000, 1, 0), 256u);
  EXPECT_EQ(TileWidthAt(70'000, 1, 1), 17u);
  EXPECT_EQ(TileWidthAt(70'000, 2, 0), 1u);
  EXPECT_EQ(TileWidthAt(70'000, 3, 0), 0u);
  EXPECT_EQ(TileWidthAt(256, 0, 0), 256u);
  EXPECT_EQ(TileWidthAt(256, 0, 1), 0u);
  EXPECT_EQ(TileWidthAt(256, 1, 0), 1u);
  EXPECT_EQ(TileWidthAt(0, 0, 0), 0u);
  EXPECT_EQ(TileWidthAt(~std::uint64_t{0}, 7, 0), 255u);
  EXPECT_EQ(TileWidthAt(~std::uint64_t{0}, 8, 0), 0u);
}

TEST(Tile, RoundTripsAndAcceptsNoOtherLength) {
  std::vector<Digest> hashes;
  for (unsigned width = 1; width <= kTileWidth; ++width) {
    hashes.push_back(LeafHash(std::to_string(width)));
    const std::string bytes = EncodeTile(hashes);
    ASSERT_EQ(bytes.size(), 32 * width);
    EXPECT_EQ(DecodeTile(bytes, width), hashes);
    EXPECT_FALSE(DecodeTile(bytes, width + 1));
    EXPECT_FALSE(DecodeTile(bytes, width - 1));
    EXPECT_FALSE(DecodeTile(bytes + "x", width));
  }
  EXPECT_FALSE(DecodeTile("", 0));
}

TEST(Bundle, HoldsEntriesWithBigEndianLengths) {
  std::string bundle;
  AppendToBundle(bundle, "ab");
  AppendToBundle(bundle, std::string(0x0102, 'c'));
  EXPECT_EQ(bundle.substr(0, 6), std::string("\x00\x02"
                                             "ab"
                                             "\x01\x02",
                                             6));
  BundleReader reader(bundle);
  EXPECT_EQ(reader.Next(), "ab");
  EXPECT_EQ(reader.bytes_left(), 2u + 0x0102);
  EXPECT_EQ(reader.Next(), std::string(0x0102, 'c'));
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_FALSE(reader.Next());
}

TEST(Bundle, TakesEntriesOf1To60000BytesOnly) {
  std::string bundle;
  AppendToBundle(bundle, std::string(kMaxEntryBytes, 'x'));
  EXPECT_EQ(BundleReader(bundle).Next()->size(), kMaxEntryBytes);
  for (const std::size_t size : {std::size_t{0}, kMaxEntryBytes + 1, std::size_t{65'536}}) {
    const auto failure = testing_support::FailureOf([&] { AppendToBundle(bundle, std::string(size, 'x')); });
    ASSERT_TRUE(failure) << size;
    EXPECT_EQ(failure->code, ErrorCode::kInvalidInput);
  }
  EXPECT_EQ(bundle.size(), 2 + kMaxEntryBytes);
}

TEST(Bundle, CutAnywhereYieldsTheWholeEntriesBeforeAndThenNothing) {
  std::string bundle;
  for (const char* entry : {"one", "two", "three"}) AppendToBundle(bundle, entry);
  const std::vector<std::size_t> ends{5, 10, 17};
  for (std::size_t cut = 0; cut <= bundle.size(); ++cut) {
    BundleReader reader(std::string_view(bundle).substr(0, cut));
    std::size_t whole = 0;
    while (reader.Next()) ++whole;
    EXPECT_EQ(whole, static_cast<std::size_t>(
                         std::count_if(ends.begin(), ends.end(), [&](std::size_t end) { return end <= cut; })));
    EXPECT_EQ(reader.AtEnd(), cut == 0 || std::count(ends.begin(), ends.end(), cut) == 1) << cut;
  }
}

TEST(Bundle, WithALengthOfZeroOrOverTheLimitStopsThere) {
  EXPECT_FALSE(BundleReader(std::string("\0\0x", 3)).Next());
  const std::string large = "\xff\xff" + std::string(65'535, 'x');
  EXPECT_FALSE(BundleReader(large).Next());
}

}  // namespace
}  // namespace hemafed
