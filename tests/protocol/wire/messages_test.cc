// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/messages.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "common/error.h"
#include "common/file_system.h"
#include "tests/protocol/wire/samples.h"

namespace hemafed::wire {
namespace {

using testing_support::LargestMessages;
using testing_support::SampleMessages;

// Puts the payload's real length into the header, so that damage reaches the archive.
Bytes Reframed(Bytes frame) {
  StoreLittleEndian<std::uint64_t>(frame.size() - kFrameHeaderBytes, &frame[8]);
  return frame;
}

std::string ReasonOf(const std::variant<Message, BadMessage>& decoded) {
  const auto* bad = std::get_if<BadMessage>(&decoded);
  return bad ? bad->reason : "";
}

TEST(Messages, EveryTypeComesBackAsItWas) {
  const auto samples = SampleMessages();
  ASSERT_EQ(samples.size(), kLastMessageType);
  for (const Message& sample : samples) {
    const auto decoded = DecodeMessage(EncodeMessage(sample));
    ASSERT_TRUE(std::holds_alternative<Message>(decoded)) << MessageTypeName(TypeOf(sample)) << ReasonOf(decoded);
    EXPECT_EQ(std::get<Message>(decoded), sample) << MessageTypeName(TypeOf(sample));
  }
}

TEST(Messages, TypesAreNumberedAsDocumented) {
  const auto samples = SampleMessages();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(TypeOf(samples[i])), i + 1);
    EXPECT_NE(MessageTypeName(TypeOf(samples[i])), "unknown");
  }
}

TEST(Messages, TheOldSamplesAreStillWhatIsWritten) {
  // One file for each type, written when the type was made. If this fails, the wire format has changed: give it a new
  // version, and the new samples a new folder. HEMAFED_WRITE_SAMPLES=1 writes those of a type that is new.
  const Path folder = Path(HEMAFED_SOURCE_DIR) / "tests/data/corpus/message";
  for (const Message& sample : SampleMessages()) {
    const Path path = folder / std::string(MessageTypeName(TypeOf(sample)));
    const Bytes frame = EncodeMessage(sample);
    if (std::getenv("HEMAFED_WRITE_SAMPLES") != nullptr && !RealFileSystem().Exists(path)) {
      RealFileSystem().Create(path)->Append(frame);
    }
    EXPECT_EQ(ReadFile(RealFileSystem(), path, kMaxFrameBytes), AsText(frame)) << path;
  }
}

TEST(Messages, TheStatedLargestPayloadIsReachedAndNotExceeded) {
  for (const Message& message : LargestMessages()) {
    const MessageType type = TypeOf(message);
    const Bytes frame = EncodeMessage(message);
    EXPECT_EQ(frame.size(), kFrameHeaderBytes + MaxPayloadBytes(type)) << MessageTypeName(type);
    const auto decoded = DecodeMessage(frame);
    ASSERT_TRUE(std::holds_alternative<Message>(decoded)) << ReasonOf(decoded);
    EXPECT_EQ(std::get<Message>(decoded), message);
    Bytes longer = frame;
    longer.push_back(0);
    EXPECT_TRUE(std::holds_alternative<BadMessage>(DecodeMessage(Reframed(longer)))) << MessageTypeName(type);
  }
}

TEST(Messages, EveryCutOfEveryTypeIsRefused) {
  for (const Message& sample : SampleMessages()) {
    const Bytes frame = EncodeMessage(sample);
    for (std::size_t size = kFrameHeaderBytes; size < frame.size(); ++size) {
      const Bytes cut = Reframed(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)));
      EXPECT_TRUE(std::holds_alternative<BadMessage>(DecodeMessage(cut)))
          << MessageTypeName(TypeOf(sample)) << " cut at " << size;
    }
  }
}

TEST(Messages, EveryAddedByteIsRefused) {
  for (const Message& sample : SampleMessages()) {
    Bytes frame = EncodeMessage(sample);
    frame.push_back(0);
    EXPECT_TRUE(std::holds_alternative<BadMessage>(DecodeMessage(Reframed(frame)))) << MessageTypeName(TypeOf(sample));
  }
}

TEST(Messages, EveryFlippedBitIsRefusedOrIsTheOneEncodingOfAnotherMessage) {
  for (const Message& sample : SampleMessages()) {
    const Bytes frame = EncodeMessage(sample);
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
      Bytes damaged = frame;
      damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1u << (bit % 8)));
      const auto decoded = DecodeMessage(damaged);
      if (const auto* message = std::get_if<Message>(&decoded)) {
        EXPECT_EQ(EncodeMessage(*message), damaged) << MessageTypeName(TypeOf(sample)) << " bit " << bit;
      }
    }
  }
}

TEST(Messages, RefusalHasTheBytesOfTheWorkedExample) {
  // docs/wire.md shows these.
  const Refusal refusal{RefusalCode::kWrongRound, "closed", {}};
  const std::string want =
      "48464544"                                                          // "HFED"
      "0100"                                                              // version 1
      "0100"                                                              // type 1: refusal
      "2c00000000000000"                                                  // 44 bytes of payload
      "2000"                                                              // code 32: wrong_round
      "0000000000000000000000000000000000000000000000000000000000000000"  // about nothing in particular
      "06000000"                                                          // 6 bytes of text
      "636c6f736564";                                                     // "closed"
  EXPECT_EQ(HexEncode(EncodeMessage(refusal)), want);
}

TEST(Messages, PutStatusHasTheBytesOfTheWorkedExample) {
  const PutStatus status{Sha256Of(""), 3u << 20, 8, false};
  const std::string want =
      "48464544"
      "0100"
      "1200"
      "2d00000000000000"
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
      "0000300000000000"  // offset 3 MiB
      "08000000"          // credit 8
      "00";               // not complete
  EXPECT_EQ(HexEncode(EncodeMessage(status)), want);
}

struct BadField {
  const char* name;
  Message message;
};

class Unsendable : public ::testing::TestWithParam<BadField> {};

TEST_P(Unsendable, IsRefusedBeforeItLeaves) {
  try {
    (void)EncodeMessage(GetParam().message);
    FAIL() << "was encoded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Unsendable,
                         ::testing::ValuesIn(std::vector<BadField>{
                             {"RefusalTextTooLong", Refusal{RefusalCode::kBusy, std::string(1001, 'x'), {}}},
                             {"RefusalCodeWithoutName", Refusal{static_cast<RefusalCode>(5), "", {}}},
                             {"NameTooLong", Hello{std::string(65, 'x'), 0, {}}},
                             {"NameWithNewline", Hello{"two\nlines", 0, {}}},
                             {"NameWithNul", Hello{std::string("a\0b", 3), 0, {}}},
                             {"TextThatIsNotUtf8", Assignment{"\xff"}},
                             {"JsonTooLong", Assignment{std::string(60'001, ' ')}},
                             {"ProofTooLong", Receipt{0, 0, "", std::vector<Digest>(65)}},
                             {"ChunkTooLarge", Chunk{{}, 0, 0, Bytes(kChunkBytes + 1)}},
                             {"StateWithoutName", EnrolStatus{static_cast<EnrolState>(3), "", ""}}}),
                         [](const auto& row) { return row.param.name; });

TEST(Messages, ACountBeyondTheEndReservesNothing) {
  // Four bytes that ask for 4 GiB, in each place where a count can stand.
  for (const Message& sample :
       {Message(Assignment{"{}"}), Message(Chunk{{}, 0, 2, {1, 2}}), Message(Receipt{0, 0, "", {Digest{}}})}) {
    const Bytes frame = EncodeMessage(sample);
    const std::size_t at = TypeOf(sample) == MessageType::kAssignment ? 16
                           : TypeOf(sample) == MessageType::kChunk    ? 64
                                                                      : 36;
    Bytes damaged = frame;
    StoreLittleEndian<std::uint32_t>(0xFFFFFFFF, &damaged[at]);
    EXPECT_NE(ReasonOf(DecodeMessage(damaged)).find("count"), std::string::npos);
    // Within the field's limit, but one more than is there.
    damaged = frame;
    damaged[at] = static_cast<std::uint8_t>(damaged[at] + 1);
    EXPECT_NE(ReasonOf(DecodeMessage(damaged)).find("more than the message holds"), std::string::npos);
  }
}

TEST(Messages, AYesOrNoThatIsNeitherIsRefused) {
  Bytes frame = EncodeMessage(HaveReply{{}, true, 1});
  frame[kFrameHeaderBytes + 32] = 2;
  EXPECT_NE(ReasonOf(DecodeMessage(frame)).find("yes-or-no"), std::string::npos);
}

TEST(Messages, AnotherVersionIsNamedAsSuch) {
  Bytes frame = EncodeMessage(Ping{});
  frame[4] = 7;
  const auto decoded = DecodeMessage(frame);
  ASSERT_TRUE(std::holds_alternative<BadMessage>(decoded));
  EXPECT_EQ(std::get<BadMessage>(decoded).code, RefusalCode::kUnsupportedVersion);
}

TEST(RefusalCode, EveryNumberHasANameExactlyIfItIsKnown) {
  int known = 0;
  for (int number = 0; number < 70'000; ++number) {
    const auto code = static_cast<RefusalCode>(number);
    EXPECT_EQ(IsKnown(code), RefusalCodeName(code) != "unknown");
    if (number < 65'536) known += IsKnown(code) ? 1 : 0;
  }
  EXPECT_EQ(known, 25);
}

}  // namespace
}  // namespace hemafed::wire
