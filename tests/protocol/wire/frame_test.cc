// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/frame.h"

#include <gtest/gtest.h>

namespace hemafed::wire {
namespace {

Bytes Good() { return {'H', 'F', 'E', 'D', 1, 0, 19, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 8, 9}; }

Bytes WithByte(Bytes frame, std::size_t at, std::uint8_t byte) {
  frame.at(at) = byte;
  return frame;
}

TEST(Frame, HeaderHasTheDocumentedBytes) {
  const auto header = EncodeFrameHeader(MessageType::kPing, 3);
  const Bytes frame = Good();
  EXPECT_TRUE(std::equal(header.begin(), header.end(), frame.begin()));
}

TEST(Frame, DecodesToTypeAndPayload) {
  const Bytes frame = Good();
  const auto decoded = DecodeFrame(frame);
  ASSERT_TRUE(std::holds_alternative<FrameView>(decoded));
  const auto& view = std::get<FrameView>(decoded);
  EXPECT_EQ(view.type, MessageType::kPing);
  EXPECT_EQ(Bytes(view.payload.begin(), view.payload.end()), (Bytes{7, 8, 9}));
}

TEST(Frame, TheLargestPayloadPassesAndOneByteMoreDoesNot) {
  Bytes frame(kMaxFrameBytes);
  const auto put_header = [&](std::uint64_t payload_bytes) {
    const auto header = EncodeFrameHeader(MessageType::kChunk, payload_bytes);
    std::copy(header.begin(), header.end(), frame.begin());
  };
  put_header(kMaxPayloadBytes);
  EXPECT_TRUE(std::holds_alternative<FrameView>(DecodeFrame(frame)));
  frame.push_back(0);
  put_header(kMaxPayloadBytes + 1);
  EXPECT_EQ(std::get<FrameError>(DecodeFrame(frame)), FrameError::kOversize);
}

TEST(Frame, EveryCutIsTruncated) {
  const Bytes frame = Good();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const auto decoded = DecodeFrame(ByteView(frame).first(size));
    ASSERT_TRUE(std::holds_alternative<FrameError>(decoded)) << size;
    EXPECT_EQ(std::get<FrameError>(decoded), FrameError::kTruncated) << size;
  }
}

struct BadFrame {
  const char* name;
  Bytes bytes;
  FrameError want;
};

class FrameRejects : public ::testing::TestWithParam<BadFrame> {};

TEST_P(FrameRejects, ForTheStatedReason) {
  const auto decoded = DecodeFrame(GetParam().bytes);
  ASSERT_TRUE(std::holds_alternative<FrameError>(decoded));
  EXPECT_EQ(std::get<FrameError>(decoded), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(Table, FrameRejects,
                         ::testing::ValuesIn(std::vector<BadFrame>{
                             {"MagicInLowerCase", WithByte(Good(), 0, 'h'), FrameError::kBadMagic},
                             {"LastByteOfMagic", WithByte(Good(), 3, 'X'), FrameError::kBadMagic},
                             {"VersionZero", WithByte(Good(), 4, 0), FrameError::kBadVersion},
                             {"NextVersion", WithByte(Good(), 4, 2), FrameError::kBadVersion},
                             {"VersionHighByte", WithByte(Good(), 5, 1), FrameError::kBadVersion},
                             {"TypeZero", WithByte(Good(), 6, 0), FrameError::kUnknownType},
                             {"TypeAfterTheLast", WithByte(Good(), 6, 21), FrameError::kUnknownType},
                             {"TypeHighByte", WithByte(Good(), 7, 1), FrameError::kUnknownType},
                             {"OneByteMissing", WithByte(Good(), 8, 4), FrameError::kTruncated},
                             {"OneByteTooMany", WithByte(Good(), 8, 2), FrameError::kTrailingBytes},
                             {"ClaimsFourGiB", WithByte(Good(), 12, 1), FrameError::kOversize},
                             {"ClaimsEverything", WithByte(Good(), 15, 0xFF), FrameError::kOversize}}),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hemafed::wire
