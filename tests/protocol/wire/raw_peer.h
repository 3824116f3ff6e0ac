// tests/protocol/wire/raw_peer.h
// SPDX-License-Identifier: Apache-2.0
//
// Peers that do not use libzmq, to say on the wire what libzmq never would.
//
// RawSocket is a TCP connection. RawCurvePeer speaks the client's side of ZMTP 3.1 (RFC 23) with CurveZMQ (RFC 26),
// written from those documents over libsodium's boxes, one stage at a time, so that a test or a fuzzer can put other
// bytes in the place of any stage. Nothing here checks what the server answers beyond what the next stage needs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "protocol/wire/curve.h"

namespace hemafed::wire::testing_support {

class RawSocket {
 public:
  // "tcp://127.0.0.1:PORT".
  explicit RawSocket(const std::string& endpoint);
  // Takes over a connected descriptor.
  explicit RawSocket(int descriptor) : descriptor_(descriptor) {}
  ~RawSocket();
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  // False if the other end has closed.
  bool Send(ByteView bytes);
  // Exactly `count` bytes, or nothing if the other end closed first.
  std::optional<Bytes> Receive(std::size_t count);
  // Reads until the other end closes; false if it does not within the tests' patience.
  bool WaitForClose();
  void Close();

 private:
  int descriptor_;
};

// Something else on the coordinator's port.
class RawListener {
 public:
  RawListener();
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  [[nodiscard]] std::string endpoint() const;
  // Waits for a connection.
  [[nodiscard]] RawSocket Accept();

 private:
  int descriptor_;
};

class RawCurvePeer {
 public:
  RawCurvePeer(const CurveKey& server_key, const CurveKeyPair& keys);

  // What the client sends at each stage, complete with ZMTP framing.
  static Bytes Greeting(std::string_view mechanism = "CURVE");
  Bytes Hello();
  Bytes Initiate(const std::vector<std::pair<std::string, std::string>>& metadata);
  // Commands are ZMTP's own (PING); `more` announces another part.
  Bytes MessageFrame(ByteView content, bool more = false, bool command = false);

  // What the server sent, without ZMTP framing. False: not what the handshake needs.
  bool TakeWelcome(ByteView command);

  // Reads one ZMTP frame and returns its body.
  static std::optional<Bytes> ReceiveFrame(RawSocket& socket);

  // The handshake up to the server's welcome; false if it ended it.
  bool SayHello(RawSocket& socket);
  // The whole handshake; false if the server ended it.
  bool Handshake(RawSocket& socket, const std::vector<std::pair<std::string, std::string>>& metadata);

 private:
  Bytes Box(ByteView plain, std::string_view nonce_prefix, ByteView nonce_suffix, const CurveKey& to,
            const CurveKey& from) const;

  CurveKey server_key_;
  CurveKeyPair keys_;
  CurveKeyPair session_ = GenerateCurveKeyPair();
  CurveKey server_session_key_{};
  Bytes cookie_;
  std::uint64_t nonce_ = 1;
};

// The metadata every DEALER sends.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> DealerMetadata();

}  // namespace hemafed::wire::testing_support
