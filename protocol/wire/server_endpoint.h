// protocol/wire/server_endpoint.h
// SPDX-License-Identifier: Apache-2.0
//
// The coordinator's end of the wire: a ROUTER socket with CURVE, admission by the Authenticator and a socket monitor.
//
// Who sent a message is the user id that the authenticator attached to the connection; a routing id only says where an
// answer goes. Each message's user is looked up again, so a revoked one's next message arrives as a refusal. Peers that
// choose their own routing id are refused: otherwise a site could take over another one's address after it left.
//
// A user has one connection, the one that spoke first most recently: when a site comes back before its old connection
// has ended here, kPeerLeft for the old one is told before the new one's first message, and what the old one still says
// is refused. State that belongs to a connection (credit, subscriptions) can so be dropped on kPeerLeft, always.
//
// A loop over one endpoint:
//
//     while (!stop) {
//       auto incoming = endpoint.Receive(1000);
//       while (auto event = endpoint.NextEvent()) ...      // a peer left, a handshake was refused
//       if (!incoming) continue;                           // time passed, an event, or Wake
//       if (const auto* refusal = std::get_if<Refusal>(&incoming->content)) {
//         endpoint.SendTo(incoming->peer, *refusal);       // nothing else may happen because of it
//       } else ...
//     }
//
// A loop over several endpoints waits in WaitForServers and then calls Receive(0) on each.
//
// Errors: the constructor and Reopen throw Error(kUnavailable) if the address cannot be bound and Error(kInvalidInput)
// if it is not an address. What peers do is never an exception.
//
// Thread-safety: one thread, except Wake (any thread or signal handler). Destroy before the Authenticator and the
// context.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "protocol/wire/authenticator.h"
#include "protocol/wire/connection_table.h"
#include "protocol/wire/curve.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/socket_monitor.h"
#include "protocol/wire/traffic.h"
#include "protocol/wire/waker.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::wire {

struct ServerOptions {
  std::string bind_to;  // "tcp://*:7007", "tcp://127.0.0.1:*" (any free port).
  CurveKeyPair keys;
  AdmissionDomain domain = AdmissionDomain::kWork;
};

struct Incoming {
  Peer peer;
  // Refusal here: the message was not accepted (not a valid message, or its sender is no longer allowed). It is what to
  // answer, if anything; the sender's own Refusal messages arrive inside Message.
  std::variant<Message, Refusal> content;
};

enum class SendResult {
  kSent,         // Queued; delivery is up to the connection.
  kUnreachable,  // The peer has gone.
  kQueueFull,    // kSendQueueMessages wait already: the peer does not read.
};

struct ServerEvent {
  enum class Kind {
    kPeerLeft,          // `peer`: its connection ended, a newer one of its user took its place, or it was revoked.
    kHandshakeRefused,  // Wrong key, no CURVE, not allowed, too fast, garbage: `detail` says which as far as known.
    kStrangerLeft,      // A connection ended before its first message, for no reason that libzmq tells.
    kMessageDropped,    // A connection that broke the rules so that no answer can be given; `detail` says how.
    kEventsLost,        // More happened than is kept (kMaxQueuedEvents); kPeerLeft is never among the lost.
  };
  Kind kind = Kind::kEventsLost;
  Peer peer;
  std::string detail;  // libzmq does not tell a refused stranger's address.
};

// Refusals kept until someone asks; a stranger's flood must not fill the memory.
inline constexpr std::size_t kMaxQueuedEvents = 256;

class ServerEndpoint {
 public:
  // All borrowed; `allowlist` is the one given to the context's Authenticator.
  ServerEndpoint(WireContext& context, const Allowlist& allowlist, const ServerOptions& options);
  ~ServerEndpoint();
  ServerEndpoint(const ServerEndpoint&) = delete;
  ServerEndpoint& operator=(const ServerEndpoint&) = delete;

  // The next message; nothing after `timeout_ms` (0: do not wait), after Wake, or when NextEvent has news.
  [[nodiscard]] std::optional<Incoming> Receive(int timeout_ms);
  [[nodiscard]] std::optional<ServerEvent> NextEvent();

  [[nodiscard]] SendResult SendTo(const Peer& peer, const Message& message);
  // The user's connection, if it has one.
  [[nodiscard]] std::optional<Peer> PeerOf(const std::string& user_id) const;

  // The address actually bound, with the real port.
  [[nodiscard]] const std::string& bound_endpoint() const { return bound_endpoint_; }
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }

  // Ends every connection and listens again on the same address; sites come back by themselves. For when a peer has
  // filled our memory: libzmq keeps the parts of an unfinished message without limit (heap_in_use.h).
  void Reopen();

  void Wake() noexcept { waker_.Wake(); }

 private:
  friend bool WaitForServers(std::initializer_list<ServerEndpoint*> endpoints, int timeout_ms);

  void Open(const std::string& address);
  void DrainMonitor();
  void AddEvent(ServerEvent event);
  std::optional<Incoming> ReceiveNow();
  // Nothing if the message was dropped, or has to wait in held_back_ until a departure was told.
  std::optional<Incoming> Accept(Incoming incoming, int descriptor, bool has_standing);
  std::optional<std::string> UserIdOf(const zmq::message_t& frame) const;
  std::optional<std::string> NameOf(const std::string& user_id) const;
  [[nodiscard]] bool HasNews() const { return connections_.HasDeparture() || !refusals_.empty(); }

  struct HeldBack {
    Incoming incoming;
    int descriptor;
  };

  WireContext& context_;
  const Allowlist& allowlist_;
  const ServerOptions options_;
  zmq::socket_t socket_;
  std::unique_ptr<SocketMonitor> monitor_;
  Waker waker_;
  std::string bound_endpoint_;
  Traffic traffic_;
  ConnectionTable connections_;
  std::optional<HeldBack> held_back_;  // First message of a connection that takes over.
  bool handshake_just_failed_ = false;
  std::deque<ServerEvent> refusals_;
};

// Waits until one of the endpoints has a message, an event or was woken; false when the time passed.
bool WaitForServers(std::initializer_list<ServerEndpoint*> endpoints, int timeout_ms);

}  // namespace hemafed::wire
