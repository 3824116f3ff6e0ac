// tests/fuzz/message_fuzz.cc
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a message: once as they are, and once as the payload of a valid frame whose type the first byte chooses,
// so that the fuzzer reaches the fields without guessing a header. A message has one encoding: what is accepted must
// encode to the very same bytes.
#include <cstdint>
#include <cstdlib>

#include "protocol/wire/messages.h"

namespace {

void Try(hemafed::ByteView frame) {
  const auto decoded = hemafed::wire::DecodeMessage(frame);
  const auto* message = std::get_if<hemafed::wire::Message>(&decoded);
  if (message == nullptr) {
    if (std::get<hemafed::wire::BadMessage>(decoded).reason.empty()) std::abort();
    return;
  }
  const hemafed::Bytes encoded = hemafed::wire::EncodeMessage(*message);
  if (!std::equal(encoded.begin(), encoded.end(), frame.begin(), frame.end())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace wire = hemafed::wire;
  const hemafed::ByteView bytes(data, size);
  Try(bytes);
  if (size == 0 || size - 1 > wire::kMaxPayloadBytes) return 0;
  const auto type = static_cast<wire::MessageType>(1 + data[0] % wire::kLastMessageType);
  const auto header = wire::EncodeFrameHeader(type, size - 1);
  hemafed::Bytes frame(header.begin(), header.end());
  frame.insert(frame.end(), bytes.begin() + 1, bytes.end());
  Try(frame);
  return 0;
}
