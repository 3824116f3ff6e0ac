// protocol/wire/client_endpoint.h
// SPDX-License-Identifier: Apache-2.0
//
// A site's end of the wire: a DEALER socket that dials out with CURVE and keeps dialling. The caller sees each new
// connection as a kReady event and then says hello and resumes its transfers; what was queued on a broken connection is
// lost and is sent again by those who sent it.
//
// libzmq redials by itself after a lost connection, but gives up for good where it holds the other end to blame: a
// refused key (a site that is not approved yet), a proxy's error page, a broken message. When no redial follows the end
// of a connection, this endpoint opens a new socket after kReopenMs, so that approval takes effect without a restart.
//
// Errors: the constructor throws Error(kInvalidInput) if `server_endpoint` is not an address. What the network does is
// an event. Thread-safety: one thread, except Wake. Destroy before the context.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "common/clock.h"
#include "protocol/wire/connection_report.h"
#include "protocol/wire/curve.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/socket_monitor.h"
#include "protocol/wire/traffic.h"
#include "protocol/wire/waker.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::wire {

struct ClientOptions {
  std::string server_endpoint;  // "tcp://coordinator.example:7007"
  CurveKey server_key{};
  CurveKeyPair keys;
};

struct ClientEvent {
  ConnectionNews news = ConnectionNews::kFailed;
  std::string detail;
};

// Long enough that a waiting site costs the server nothing, short enough for two people on the phone.
inline constexpr std::int64_t kReopenMs = 3'000;

// A server's events that nobody asked for are merged beyond this.
inline constexpr std::size_t kMaxClientEvents = 64;

class ClientEndpoint {
 public:
  // All borrowed. Starts dialling at once.
  ClientEndpoint(WireContext& context, const Clock& clock, const ClientOptions& options);
  ~ClientEndpoint();
  ClientEndpoint(const ClientEndpoint&) = delete;
  ClientEndpoint& operator=(const ClientEndpoint&) = delete;

  // The next message, or why bytes from the server were none; nothing after `timeout_ms`, after Wake, or when NextEvent
  // has news.
  [[nodiscard]] std::optional<std::variant<Message, BadMessage>> Receive(int timeout_ms);
  [[nodiscard]] std::optional<ClientEvent> NextEvent();

  // False when there is no ready connection or its queue is full; nothing was queued then.
  [[nodiscard]] bool Send(const Message& message);

  [[nodiscard]] bool ready() const { return ready_; }
  // For a person, after kRefused, kFailed or kUnreachable: what was seen and the possible causes, most likely first.
  [[nodiscard]] std::string ExplainFailure() const;
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }

  void Wake() noexcept { waker_.Wake(); }

 private:
  void Open();
  void Close();
  void DrainMonitor();
  void AddEvent(ClientEvent event);

  WireContext& context_;
  const Clock& clock_;
  ClientOptions options_;
  zmq::socket_t socket_;
  std::unique_ptr<SocketMonitor> monitor_;
  Waker waker_;
  bool ready_ = false;
  std::optional<std::int64_t> reopen_at_ms_;
  ConnectionReport report_;
  Traffic traffic_;
  std::deque<ClientEvent> events_;
};

}  // namespace hemafed::wire
