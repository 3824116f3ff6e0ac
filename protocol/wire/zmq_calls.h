// protocol/wire/zmq_calls.h
// SPDX-License-Identifier: Apache-2.0
//
// The few ZeroMQ calls that both endpoints share. For use inside protocol/wire only.
//
// Thread-safety: as the socket given.
#pragma once

#include <initializer_list>
#include <vector>
#include <zmq.hpp>

#include "common/bytes.h"
#include "protocol/wire/curve.h"

namespace hemafed::wire {

// Receives one part without waiting; false if there is none.
[[nodiscard]] bool TryReceive(zmq::socket_t& socket, zmq::message_t& part);

// A message that owns `frame` without copying it, if it is large.
[[nodiscard]] zmq::message_t ToZmqMessage(Bytes frame);

// Waits until one of the items is ready; false if `timeout_ms` passed or a signal came.
bool Poll(std::vector<zmq::pollitem_t>& items, long timeout_ms);

[[nodiscard]] std::string_view KeyView(const CurveKey& key);

// The bytes of a frame on the wire: with CURVE's wrapping and the header of a ZMTP frame (flags 1, length 1 or 8).
[[nodiscard]] std::uint64_t BytesOnWire(std::size_t frame_bytes);

}  // namespace hemafed::wire
