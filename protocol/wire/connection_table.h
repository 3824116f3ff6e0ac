// protocol/wire/connection_table.h
// SPDX-License-Identifier: Apache-2.0
//
// Which connection is whose. libzmq tells about connections in two places that do not wait for each other: messages
// carry a routing id, which is never used twice, and the connection's file descriptor; the socket monitor tells of
// accepted and closed descriptors, which are used again. A message may be read after its connection has closed. This
// class puts the two together, without sockets, so that it can be tested with every order of events.
//
// What it promises:
//   - A user has one current connection. When another connection of the same user speaks, the old one's departure is
//   told
//     first and the new one is current afterwards; what the old one says later is not accepted.
//   - A departure is told once for every connection that was current, and after its last accepted message.
//   - A message that was read late, from a closed connection, is accepted if its user has no newer connection.
//
// Before each message the caller must have reported all monitor events it can read.
//
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace hemafed::wire {

// Where an answer goes. Valid until the peer's connection ends; a later SendTo says kUnreachable.
struct Peer {
  std::string user_id;     // Work: the name on the allow-list. Enrolment: "enrol:<hex of the public key>".
  std::string routing_id;  // Opaque.
  bool operator==(const Peer&) const = default;
};

// Routing ids of ended connections that are remembered, so that late messages of theirs are recognised. A connection
// leaves a handful of those, read within moments.
inline constexpr std::size_t kMaxEndedRoutes = 1024;

class ConnectionTable {
 public:
  // From the monitor.
  void Accepted(int descriptor);
  // False if no message had come from it.
  bool Closed(int descriptor);

  enum class Verdict {
    kAccept,
    kTakesOver,   // Another connection of this user was current: its departure is told now. Ask again afterwards.
    kSuperseded,  // The user has a newer connection. Should that one end, this one counts again.
    kEnded,       // The connection has ended and its departure was told.
  };
  // A message of `peer` came over `descriptor`. A peer without standing (its key is on no list) is never current.
  [[nodiscard]] Verdict Message(const Peer& peer, int descriptor, bool has_standing);
  // The socket was closed by us: every connection has ended.
  void EndAll();
  // Nothing more could be read: connections that have closed have now said everything.
  void Drained();

  // Connections that were current and no longer are.
  [[nodiscard]] std::optional<Peer> NextDeparture();
  [[nodiscard]] bool HasDeparture() const { return !departures_.empty(); }

  [[nodiscard]] std::optional<Peer> CurrentOf(const std::string& user_id) const;
  [[nodiscard]] bool IsOpen(const std::string& routing_id) const;

 private:
  struct Connection {
    Peer peer;
    bool closed = false;
    bool superseded = false;
    std::uint64_t ends_at_message = 0;  // When closed: even a busy socket has by then read what was left of it.
  };

  Connection& Meet(const Peer& peer, int descriptor);
  void MarkClosed(Connection& connection);
  void LoseStanding(Connection& connection);
  void End(const std::string& routing_id);

  std::map<std::string, Connection> connections_;   // By routing id.
  std::map<std::string, std::string> current_;      // Routing id of each user's current connection.
  std::map<int, std::string> route_of_descriptor_;  // Of open connections that have spoken.
  std::set<int> open_;                              // Descriptors accepted and not closed.
  std::set<std::string> closing_;                   // Routing ids of closed connections whose messages may still come.
  std::set<std::string> ended_;
  std::deque<std::string> ended_order_;
  std::deque<Peer> departures_;
  std::uint64_t messages_ = 0;
};

}  // namespace hemafed::wire
