// protocol/wire/traffic.h
// SPDX-License-Identifier: Apache-2.0
//
// What an endpoint sent and received, as bytes of encrypted messages: frame, CURVE's wrapping and ZMTP's own header.
// Bytes of TCP, of handshakes and of heartbeats are not in it.
//
// Thread-safety: belongs to its endpoint's thread.
#pragma once

#include <cstdint>

namespace hemafed::wire {

struct Traffic {
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_messages = 0;
  std::uint64_t received_messages = 0;
};

}  // namespace hemafed::wire
