// protocol/wire/connection_report.h
// SPDX-License-Identifier: Apache-2.0
//
// From monitor events to advice. CURVE gives no cause when a handshake fails, on purpose; what can be told apart is how
// far it got. This class counts that and turns it into a list of causes, most likely first.
//
// Thread-safety: value type.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/wire/socket_monitor.h"

namespace hemafed {

class ConnectionReport {
 public:
  // Starts over when a handshake succeeds.
  void Note(const MonitorEvent& event);

  [[nodiscard]] std::string Explain(const std::string& server_endpoint) const;

 private:
  std::uint32_t retries_ = 0;           // Nothing accepted our connection.
  std::uint32_t connected_ = 0;         // TCP connections that came up.
  std::uint32_t refused_ = 0;           // The server said: key not accepted.
  std::uint32_t server_trouble_ = 0;    // The server said: cannot decide.
  std::uint32_t not_our_protocol_ = 0;  // What answered does not speak ZeroMQ with CURVE.
  std::uint32_t closed_in_handshake_ = 0;
  std::uint32_t silent_in_handshake_ = 0;
  bool was_ready_ = false;
};

}  // namespace hemafed
