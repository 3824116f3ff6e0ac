// protocol/wire/connection_report.h
// SPDX-License-Identifier: Apache-2.0
//
// From a client socket's monitor events to news and to advice. CURVE gives no cause when a handshake fails, on purpose;
// what can be told apart is how far it got. This class counts that and turns it into a list of causes, most likely
// first.
//
// Thread-safety: value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/wire/socket_monitor.h"

namespace hemafed::wire {

enum class ConnectionNews {
  kReady,         // Handshake done: both keys are proven. Say hello, resume transfers.
  kRefused,       // The server read this key and does not accept it (now).
  kFailed,        // The handshake failed otherwise; the explanation lists the causes.
  kDisconnected,  // A connection that was ready ended; redialling has begun.
  kUnreachable,   // Nothing answers at the address; redialling goes on.
};

class ConnectionReport {
 public:
  // What the event means to a site; nothing if it only means that dialling goes on.
  std::optional<ConnectionNews> Note(const MonitorEvent& event);

  // Counts start over when a handshake succeeds.
  [[nodiscard]] std::string Explain(const std::string& server_endpoint) const;

 private:
  struct Counts {
    std::uint32_t unanswered = 0;           // Dialled, and no TCP connection came up.
    std::uint32_t connected = 0;            // TCP connections that came up.
    std::uint32_t refused = 0;              // The server said: key not accepted.
    std::uint32_t undecided = 0;            // The server said: cannot decide now.
    std::uint32_t foreign = 0;              // What answered does not speak ZeroMQ with CURVE, or does it wrongly.
    std::uint32_t closed_in_handshake = 0;  // What answered hung up before saying anything.
  };

  Counts counts_;
  bool ready_ = false;
  bool failure_told_ = false;     // The connection under way has had an event that says why its handshake failed.
  bool redial_expected_ = false;  // The next "retried" event belongs to a connection that ended, not to a failed dial.
};

}  // namespace hemafed::wire
