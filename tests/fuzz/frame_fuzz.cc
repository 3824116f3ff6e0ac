// tests/fuzz/frame_fuzz.cc
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a frame. What is accepted must be exactly what the encoder writes for its type and payload, within the
// stated limit.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "protocol/wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace wire = hemafed::wire;
  const hemafed::ByteView bytes(data, size);
  const auto decoded = wire::DecodeFrame(bytes);
  const auto* view = std::get_if<wire::FrameView>(&decoded);
  if (view == nullptr) return 0;
  const auto header = wire::EncodeFrameHeader(view->type, view->payload.size());
  const bool same = size == wire::kFrameHeaderBytes + view->payload.size() &&
                    std::equal(header.begin(), header.end(), bytes.begin()) &&
                    view->payload.data() == data + wire::kFrameHeaderBytes;
  if (!same || view->payload.size() > wire::kMaxPayloadBytes) std::abort();
  return 0;
}
