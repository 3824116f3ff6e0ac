// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/connection_table.h"

#include <utility>
#include <vector>

#include "protocol/wire/wire_context.h"

namespace hemafed::wire {

void ConnectionTable::Accepted(int descriptor) { open_.insert(descriptor); }

bool ConnectionTable::Closed(int descriptor) {
  open_.erase(descriptor);
  const auto route = route_of_descriptor_.find(descriptor);
  if (route == route_of_descriptor_.end()) return false;
  const auto connection = connections_.find(route->second);
  route_of_descriptor_.erase(route);
  if (connection != connections_.end()) MarkClosed(connection->second);
  return true;
}

void ConnectionTable::MarkClosed(Connection& connection) {
  connection.closed = true;
  // libzmq serves connections in turn, so this many messages contain what a closed one left.
  connection.ends_at_message = messages_ + (kReceiveQueueMessages + 1u) * (connections_.size() + 1);
  closing_.insert(connection.peer.routing_id);
}

ConnectionTable::Connection& ConnectionTable::Meet(const Peer& peer, int descriptor) {
  const auto known = connections_.find(peer.routing_id);
  if (known != connections_.end()) return known->second;
  Connection& connection = connections_[peer.routing_id];
  connection.peer = peer;
  const auto other = route_of_descriptor_.find(descriptor);
  // Two that claim one descriptor: it was used again, and the older one (routing ids count up) is the one that closed.
  if (!open_.contains(descriptor) || (other != route_of_descriptor_.end() && other->second > peer.routing_id)) {
    MarkClosed(connection);
    return connection;
  }
  if (other != route_of_descriptor_.end()) MarkClosed(connections_.at(other->second));
  route_of_descriptor_[descriptor] = peer.routing_id;
  return connection;
}

void ConnectionTable::LoseStanding(Connection& connection) {
  const auto current = current_.find(connection.peer.user_id);
  if (current == current_.end() || current->second != connection.peer.routing_id) return;
  departures_.push_back(connection.peer);
  current_.erase(current);
}

ConnectionTable::Verdict ConnectionTable::Message(const Peer& peer, int descriptor, bool has_standing) {
  ++messages_;
  std::vector<std::string> over;
  for (const std::string& route : closing_) {
    if (connections_.at(route).ends_at_message < messages_ && route != peer.routing_id) over.push_back(route);
  }
  for (const std::string& route : over) End(route);
  if (ended_.contains(peer.routing_id)) return Verdict::kEnded;

  Connection& connection = Meet(peer, descriptor);
  if (connection.peer.user_id != peer.user_id) {
    LoseStanding(connection);
    connection.peer = peer;
    connection.superseded = false;
  }
  if (!has_standing) return Verdict::kAccept;
  const auto [current, free] = current_.try_emplace(peer.user_id, peer.routing_id);
  if (free || current->second == peer.routing_id) {
    connection.superseded = false;
    return Verdict::kAccept;
  }
  if (connection.superseded) return Verdict::kSuperseded;
  if (connection.closed) {
    End(peer.routing_id);
    return Verdict::kEnded;
  }
  Connection& old = connections_.at(current->second);
  LoseStanding(old);
  old.superseded = true;
  return Verdict::kTakesOver;
}

void ConnectionTable::Drained() {
  for (const std::string& route : std::exchange(closing_, {})) End(route);
}

void ConnectionTable::EndAll() {
  while (!connections_.empty()) End(connections_.begin()->first);
  route_of_descriptor_.clear();
  open_.clear();
}

void ConnectionTable::End(const std::string& routing_id) {
  const std::string route = routing_id;  // The caller's may be the one that is erased.
  const auto found = connections_.find(route);
  if (found == connections_.end()) return;
  LoseStanding(found->second);
  connections_.erase(found);
  closing_.erase(route);
  ended_.insert(route);
  ended_order_.push_back(route);
  if (ended_order_.size() > kMaxEndedRoutes) {
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
}

std::optional<Peer> ConnectionTable::NextDeparture() {
  if (departures_.empty()) return std::nullopt;
  Peer peer = std::move(departures_.front());
  departures_.pop_front();
  return peer;
}

std::optional<Peer> ConnectionTable::CurrentOf(const std::string& user_id) const {
  const auto found = current_.find(user_id);
  if (found == current_.end()) return std::nullopt;
  return connections_.at(found->second).peer;
}

bool ConnectionTable::IsOpen(const std::string& routing_id) const {
  const auto found = connections_.find(routing_id);
  return found != connections_.end() && !found->second.closed;
}

}  // namespace hemafed::wire
