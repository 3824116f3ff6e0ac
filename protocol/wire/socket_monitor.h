// protocol/wire/socket_monitor.h
// SPDX-License-Identifier: Apache-2.0
//
// What libzmq says about a socket's connections: accepted, handshake done or failed and how, disconnected, retried.
// Both endpoints and the tests decide by these events and never by waiting a while.
//
// Destroy the monitor before the socket it watches.
//
// Errors: the constructor throws Error(kUnavailable). Thread-safety: one thread, that of the watched socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <zmq.hpp>

namespace hemafed::wire {

struct MonitorEvent {
  std::uint16_t event = 0;  // ZMQ_EVENT_...
  std::uint32_t value = 0;  // A descriptor, an errno, a ZAP status or a protocol error, as the event defines.
  std::string address;
};

class SocketMonitor {
 public:
  SocketMonitor(zmq::context_t& context, zmq::socket_t& watched, int events);
  ~SocketMonitor();
  SocketMonitor(const SocketMonitor&) = delete;
  SocketMonitor& operator=(const SocketMonitor&) = delete;

  // The next event without waiting.
  [[nodiscard]] std::optional<MonitorEvent> Next();
  // For polling.
  [[nodiscard]] void* handle() { return events_.handle(); }

 private:
  zmq::socket_t& watched_;
  zmq::socket_t events_;
};

// What a failed handshake's event tells, in words ("the key is not approved (ZAP status 400)"); empty for other events.
[[nodiscard]] std::string DescribeHandshakeFailure(const MonitorEvent& event);

}  // namespace hemafed::wire
