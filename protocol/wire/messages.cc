// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/messages.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace hemafed::wire {

namespace {

constexpr std::size_t kTypeCount = std::variant_size_v<Message>;
static_assert(kTypeCount == kLastMessageType);

using Sequence = std::make_index_sequence<kTypeCount>;

template <std::size_t... kIndex>
constexpr bool InTypeOrder(std::index_sequence<kIndex...>) {
  return ((static_cast<std::size_t>(std::variant_alternative_t<kIndex, Message>::kType) == kIndex + 1) && ...);
}
static_assert(InTypeOrder(Sequence{}), "Message lists its types in the order of MessageType");

template <std::size_t... kIndex>
constexpr std::array<std::size_t, kTypeCount> PayloadLimits(std::index_sequence<kIndex...>) {
  return {std::variant_alternative_t<kIndex, Message>::kMaxBytes...};
}
constexpr auto kPayloadLimits = PayloadLimits(Sequence{});
static_assert(*std::max_element(kPayloadLimits.begin(), kPayloadLimits.end()) == kMaxPayloadBytes);

using Decoder = std::variant<Message, BadMessage> (*)(ByteView payload);

template <typename T>
std::variant<Message, BadMessage> DecodePayload(ByteView payload) {
  WireInput archive(payload);
  T message;
  archive(message);
  std::string failure = archive.Finish();
  if (!failure.empty()) {
    return BadMessage{RefusalCode::kMalformed, std::string(MessageTypeName(T::kType)) + ": " + failure};
  }
  return Message(std::move(message));
}

template <std::size_t... kIndex>
constexpr std::array<Decoder, kTypeCount> Decoders(std::index_sequence<kIndex...>) {
  return {&DecodePayload<std::variant_alternative_t<kIndex, Message>>...};
}
constexpr auto kDecoders = Decoders(Sequence{});

std::size_t IndexOf(MessageType type) { return static_cast<std::size_t>(type) - 1; }

}  // namespace

MessageType TypeOf(const Message& message) noexcept { return static_cast<MessageType>(message.index() + 1); }

std::string_view MessageTypeName(MessageType type) noexcept {
  switch (type) {
    case MessageType::kRefusal: return "refusal";
    case MessageType::kEnrolRequest: return "enrol_request";
    case MessageType::kEnrolPoll: return "enrol_poll";
    case MessageType::kEnrolStatus: return "enrol_status";
    case MessageType::kHello: return "hello";
    case MessageType::kWelcome: return "welcome";
    case MessageType::kWorkRequest: return "work_request";
    case MessageType::kAssignment: return "assignment";
    case MessageType::kProgress: return "progress";
    case MessageType::kSubmission: return "submission";
    case MessageType::kReceipt: return "receipt";
    case MessageType::kHave: return "have";
    case MessageType::kHaveReply: return "have_reply";
    case MessageType::kGet: return "get";
    case MessageType::kChunk: return "chunk";
    case MessageType::kChunkAck: return "chunk_ack";
    case MessageType::kPut: return "put";
    case MessageType::kPutStatus: return "put_status";
    case MessageType::kPing: return "ping";
    case MessageType::kPong: return "pong";
  }
  return "unknown";
}

std::size_t MaxPayloadBytes(MessageType type) noexcept { return kPayloadLimits[IndexOf(type)]; }

Bytes EncodeMessage(const Message& message) {
  const auto* chunk = std::get_if<Chunk>(&message);
  constexpr std::size_t kUsualBytes = 256;
  Bytes frame;
  frame.reserve(kFrameHeaderBytes + (chunk ? kChunkOverheadBytes + chunk->data.size() : kUsualBytes));
  frame.resize(kFrameHeaderBytes);

  WireOutput archive(frame);
  std::visit([&](const auto& fields) { archive(fields); }, message);
  const MessageType type = TypeOf(message);
  if (!archive.failure().empty()) {
    throw Error(ErrorCode::kInvalidInput, "cannot send " + std::string(MessageTypeName(type)) + ": it holds " +
                                              archive.failure() + "; see docs/wire.md for its limits");
  }
  const auto header = EncodeFrameHeader(type, frame.size() - kFrameHeaderBytes);
  std::copy(header.begin(), header.end(), frame.begin());
  return frame;
}

std::variant<Message, BadMessage> DecodeMessage(ByteView frame) {
  const auto decoded = DecodeFrame(frame);
  if (const auto* error = std::get_if<FrameError>(&decoded)) {
    if (*error == FrameError::kBadVersion) {
      return BadMessage{RefusalCode::kUnsupportedVersion,
                        "this program speaks version " + std::to_string(kWireVersion) +
                            " of the wire format; bring both ends to the same release"};
    }
    return BadMessage{RefusalCode::kMalformed, "frame: " + std::string(FrameErrorName(*error))};
  }
  const auto& view = std::get<FrameView>(decoded);
  if (view.payload.size() > MaxPayloadBytes(view.type)) {
    return BadMessage{RefusalCode::kMalformed, std::string(MessageTypeName(view.type)) + ": " +
                                                   std::to_string(view.payload.size()) + " bytes where " +
                                                   std::to_string(MaxPayloadBytes(view.type)) + " are allowed"};
  }
  return kDecoders[IndexOf(view.type)](view.payload);
}

}  // namespace hemafed::wire
