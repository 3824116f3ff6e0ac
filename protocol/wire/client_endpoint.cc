// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/client_endpoint.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/error.h"
#include "protocol/wire/zmq_calls.h"

namespace hemafed::wire {

namespace {

zmq::socket_t OpenDealer(WireContext& context, const ClientOptions& options) {
  zmq::socket_t socket(context.zmq(), zmq::socket_type::dealer);
  socket.set(zmq::sockopt::curve_serverkey, KeyView(options.server_key));
  socket.set(zmq::sockopt::curve_publickey, KeyView(options.keys.public_key));
  socket.set(zmq::sockopt::curve_secretkey, KeyView(options.keys.secret_key));
  // Queue only for a connection whose handshake is done: a stale message must not meet a new session.
  socket.set(zmq::sockopt::immediate, true);
  socket.set(zmq::sockopt::maxmsgsize, kMaxSocketMessageBytes);
  socket.set(zmq::sockopt::sndhwm, kSendQueueMessages);
  socket.set(zmq::sockopt::rcvhwm, kReceiveQueueMessages);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeTimeoutMs);
  socket.set(zmq::sockopt::connect_timeout, kHandshakeTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatIntervalMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectFirstMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectLongestMs);
  socket.set(zmq::sockopt::linger, kLingerMs);
  return socket;
}

}  // namespace

ClientEndpoint::ClientEndpoint(WireContext& context, const Clock& clock, const ClientOptions& options)
    : context_(context), clock_(clock), options_(options) {
  Open();
}

ClientEndpoint::~ClientEndpoint() = default;

void ClientEndpoint::Open() {
  try {
    socket_ = OpenDealer(context_, options_);
    monitor_ =
        std::make_unique<SocketMonitor>(context_.zmq(), socket_,
                                        ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED |
                                            ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    socket_.connect(options_.server_endpoint);
  } catch (const zmq::error_t& error) {
    throw Error(ErrorCode::kInvalidInput, "cannot dial " + options_.server_endpoint + ": " + error.what() +
                                              "; an address looks like tcp://coordinator.example:7007");
  }
}

void ClientEndpoint::Close() {
  monitor_.reset();
  ready_ = false;
  socket_.set(zmq::sockopt::linger, 0);  // Only called where nothing could be sent.
  socket_.close();
}

std::optional<std::variant<Message, BadMessage>> ClientEndpoint::Receive(int timeout_ms) {
  using SteadyClock = std::chrono::steady_clock;
  const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    DrainMonitor();
    zmq::message_t frame;
    if (TryReceive(socket_, frame)) {
      ++traffic_.received_messages;
      traffic_.received_bytes += BytesOnWire(frame.size());
      bool one_part = true;
      for (zmq::message_t extra; frame.more() && TryReceive(socket_, extra);) {
        one_part = false;
        if (!extra.more()) break;
      }
      if (!one_part) return BadMessage{RefusalCode::kMalformed, "a message has exactly one part"};
      return DecodeMessage({frame.data<std::uint8_t>(), frame.size()});
    }
    if (waker_.Drain() || !events_.empty()) return std::nullopt;
    std::int64_t left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0) return std::nullopt;
    if (reopen_at_ms_) left = std::min(left, std::max<std::int64_t>(*reopen_at_ms_ - clock_.MonotonicMs(), 0));
    std::vector<zmq::pollitem_t> items{{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                       {monitor_->handle(), 0, ZMQ_POLLIN, 0},
                                       {nullptr, waker_.descriptor(), ZMQ_POLLIN, 0}};
    Poll(items, static_cast<long>(left));
  }
}

bool ClientEndpoint::Send(const Message& message) {
  DrainMonitor();
  if (!ready_) return false;
  zmq::message_t frame = ToZmqMessage(EncodeMessage(message));
  const std::uint64_t bytes = BytesOnWire(frame.size());
  if (!socket_.send(frame, zmq::send_flags::dontwait)) return false;
  ++traffic_.sent_messages;
  traffic_.sent_bytes += bytes;
  return true;
}

std::optional<ClientEvent> ClientEndpoint::NextEvent() {
  DrainMonitor();
  if (events_.empty()) return std::nullopt;
  ClientEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::string ClientEndpoint::ExplainFailure() const { return report_.Explain(options_.server_endpoint); }

void ClientEndpoint::DrainMonitor() {
  while (const auto event = monitor_->Next()) {
    const auto news = report_.Note(*event);
    // libzmq says at once when it is going to dial again.
    if (event->event == ZMQ_EVENT_DISCONNECTED) reopen_at_ms_ = clock_.MonotonicMs() + kReopenMs;
    if (event->event == ZMQ_EVENT_CONNECT_RETRIED) reopen_at_ms_.reset();
    if (!news) continue;
    ready_ = *news == ConnectionNews::kReady;
    AddEvent({*news, DescribeHandshakeFailure(*event)});
  }
  if (reopen_at_ms_ && clock_.MonotonicMs() >= *reopen_at_ms_) {
    reopen_at_ms_.reset();
    Close();
    Open();
  }
}

void ClientEndpoint::AddEvent(ClientEvent event) {
  // A site that dials for days makes the same news again and again: one is enough.
  if (!events_.empty() && events_.back().news == event.news) events_.pop_back();
  events_.push_back(std::move(event));
  if (events_.size() > kMaxClientEvents) events_.pop_front();
}

}  // namespace hemafed::wire
