// protocol/wire/wire_context.h
// SPDX-License-Identifier: Apache-2.0
//
// The ZeroMQ context (its I/O threads), and the numbers that every socket of ours is set to. docs/wire.md says which of
// them matter for speed and what was measured.
//
// Thread-safety: the context may be shared by threads; destroy it after every endpoint made from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <zmq.hpp>

#include "protocol/wire/frame.h"

namespace hemafed::wire {

// One I/O thread encrypts and decrypts about 0.5 GB/s; a connection lives in one thread, so more help only with many
// busy sites and more than two cores.
inline constexpr int kDefaultIoThreads = 1;

// CURVE wraps a message in "\x07MESSAGE" 8, nonce 8, authenticator 16 and flags 1 (RFC 26); libzmq compares the wrapped
// size with its limit.
inline constexpr std::int64_t kCurveOverheadBytes = 33;

// Given to the socket, so that a bigger claim costs the sender its connection and not us memory.
inline constexpr std::int64_t kMaxSocketMessageBytes = static_cast<std::int64_t>(kMaxFrameBytes) + kCurveOverheadBytes;

// Nobody sends an object at enrolment: requests are below 5 KB, but the handshake itself must pass.
inline constexpr std::int64_t kMaxEnrolMessageBytes = std::int64_t{16} * 1024;

// Messages queued for one peer before a send is refused. Credit keeps at most 16 chunks under way over all peers
// (transfer_server.h); the rest are small answers. A peer that reads nothing costs at most this many.
inline constexpr int kSendQueueMessages = 64;

// Messages of one peer decoded and not yet received by us. Each may be a chunk, so this bounds what a peer that ignores
// its credit can occupy: 8 MiB a connection.
inline constexpr int kReceiveQueueMessages = 8;

// A quiet connection is probed this often...
inline constexpr int kHeartbeatIntervalMs = 10'000;
// ...and given up after this long without an answer. An answer waits behind a chunk already being written, so this is
// also the slowest link we support: 1 MiB in 60 s, 18 kB/s. libzmq computes the time-to-live in 16 bits of
// milliseconds: not above 65 s.
inline constexpr int kHeartbeatTimeoutMs = 60'000;

// A stranger that connects and says nothing keeps a descriptor this long.
inline constexpr int kHandshakeTimeoutMs = 10'000;

// How long closing waits for messages already queued (a last refusal, a last acknowledgement).
inline constexpr int kLingerMs = 2'000;

// First and longest wait before dialling again; libzmq doubles in between and adds jitter.
inline constexpr int kReconnectFirstMs = 200;
inline constexpr int kReconnectLongestMs = 10'000;

class WireContext {
 public:
  explicit WireContext(int io_threads = kDefaultIoThreads) : context_(io_threads) {}
  [[nodiscard]] zmq::context_t& zmq() { return context_; }

 private:
  zmq::context_t context_;
};

}  // namespace hemafed::wire
