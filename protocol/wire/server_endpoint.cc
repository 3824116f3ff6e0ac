// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/server_endpoint.h"

#include <chrono>
#include <utility>

#include "common/error.h"
#include "protocol/wire/zmq_calls.h"

namespace hemafed::wire {

namespace {

// Routing ids that libzmq makes up are a zero byte and a counter; a peer's own choice cannot start with zero.
constexpr std::size_t kRoutingIdBytes = 5;

// How long Reopen waits for libzmq to give the port back; it takes a millisecond.
constexpr int kUnbindPatienceMs = 5'000;

bool IsGiven(const zmq::message_t& routing_id) {
  return routing_id.size() == kRoutingIdBytes && *routing_id.data<char>() == '\0';
}

// Properties of the connection a message came over; nothing if libzmq did not set them.
std::optional<std::string> Property(const zmq::message_t& message, const char* name) {
  const char* value = ::zmq_msg_gets(const_cast<zmq_msg_t*>(message.handle()), name);
  if (value == nullptr) return std::nullopt;
  return value;
}

// Without this, a server whose authenticator is missing lets every key in. The option is in libzmq since 4.3.0, but
// Debian's header names it only for programs that ask for draft features, so its number stands here and its effect is
// read back.
void EnforceAdmission(zmq::socket_t& socket) {
  constexpr int kZapEnforceDomain = 93;
  const int wanted = 1;
  int actual = 0;
  std::size_t size = sizeof(actual);
  const bool set = ::zmq_setsockopt(socket.handle(), kZapEnforceDomain, &wanted, sizeof(wanted)) == 0 &&
                   ::zmq_getsockopt(socket.handle(), kZapEnforceDomain, &actual, &size) == 0;
  if (!set || actual != wanted) {
    throw Error(ErrorCode::kInternal,
                "this libzmq cannot refuse connections without an authenticator; use 4.3 or newer");
  }
}

zmq::socket_t OpenRouter(WireContext& context, const ServerOptions& options) {
  zmq::socket_t socket(context.zmq(), zmq::socket_type::router);
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, KeyView(options.keys.secret_key));
  socket.set(zmq::sockopt::zap_domain, DomainName(options.domain));
  EnforceAdmission(socket);
  socket.set(zmq::sockopt::router_mandatory, true);  // Sending to a peer that left is reported, not swallowed.
  socket.set(zmq::sockopt::maxmsgsize,
             options.domain == AdmissionDomain::kEnrol ? kMaxEnrolMessageBytes : kMaxSocketMessageBytes);
  socket.set(zmq::sockopt::sndhwm, kSendQueueMessages);
  socket.set(zmq::sockopt::rcvhwm, kReceiveQueueMessages);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatIntervalMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::linger, kLingerMs);
  return socket;
}

}  // namespace

ServerEndpoint::ServerEndpoint(WireContext& context, const Allowlist& allowlist, const ServerOptions& options)
    : context_(context), allowlist_(allowlist), options_(options) {
  Open(options.bind_to);
}

void ServerEndpoint::Open(const std::string& address) {
  try {
    socket_ = OpenRouter(context_, options_);
    monitor_ =
        std::make_unique<SocketMonitor>(context_.zmq(), socket_,
                                        ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED |
                                            ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                            ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    socket_.bind(address);
    bound_endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
  } catch (const zmq::error_t& error) {
    const bool malformed = error.num() == EINVAL || error.num() == EPROTONOSUPPORT || error.num() == ENODEV;
    throw Error(malformed ? ErrorCode::kInvalidInput : ErrorCode::kUnavailable,
                "cannot listen on " + address + ": " + error.what() +
                    "; name an address of this machine and a free port, like tcp://*:7007");
  }
}

void ServerEndpoint::Reopen() {
  socket_.unbind(bound_endpoint_);
  // The port is free when the listener's end is told.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kUnbindPatienceMs);
  for (bool closed = false; !closed && std::chrono::steady_clock::now() < deadline;) {
    std::vector<zmq::pollitem_t> items{{monitor_->handle(), 0, ZMQ_POLLIN, 0}};
    Poll(items, kUnbindPatienceMs);
    while (const auto event = monitor_->Next()) closed |= event->event == ZMQ_EVENT_CLOSED;
  }
  monitor_.reset();
  socket_.set(zmq::sockopt::linger, 0);
  socket_.close();
  connections_.EndAll();
  held_back_.reset();
  handshake_just_failed_ = false;
  Open(bound_endpoint_);
}

ServerEndpoint::~ServerEndpoint() = default;

std::optional<std::string> ServerEndpoint::UserIdOf(const zmq::message_t& frame) const {
  const auto property = Property(frame, "User-Id");
  const std::string prefix = std::string(DomainName(options_.domain)) + ":";
  if (!property || !property->starts_with(prefix)) return std::nullopt;
  return property;
}

std::optional<std::string> ServerEndpoint::NameOf(const std::string& user_id) const {
  if (options_.domain == AdmissionDomain::kEnrol) return user_id;
  CurveKey key{};
  const auto bytes = HexDecode(std::string_view(user_id).substr(DomainName(options_.domain).size() + 1));
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return allowlist_.UserOf(key);
}

std::optional<Incoming> ServerEndpoint::ReceiveNow() {
  if (held_back_) {
    if (connections_.HasDeparture()) return std::nullopt;
    HeldBack held = std::move(*held_back_);
    held_back_.reset();
    if (auto incoming = Accept(std::move(held.incoming), held.descriptor, true)) return incoming;
  }
  DrainMonitor();
  zmq::message_t routing_id;
  zmq::message_t frame;
  while (TryReceive(socket_, routing_id)) {
    bool one_part = routing_id.more() && TryReceive(socket_, frame);
    for (zmq::message_t extra; one_part && frame.more();) {
      // Dropped part by part: a message of many parts must not be held together.
      one_part = false;
      while (TryReceive(socket_, extra) && extra.more()) {
      }
    }
    DrainMonitor();  // What is known about the descriptor must not be older than the message.
    ++traffic_.received_messages;
    traffic_.received_bytes += BytesOnWire(frame.size());

    const auto id = UserIdOf(frame);
    const auto descriptor = Property(frame, "__fd");
    if (!id || !descriptor || !IsGiven(routing_id)) {
      AddEvent({ServerEvent::Kind::kMessageDropped, {id.value_or(""), ""}, "the peer chose its own routing id"});
      continue;
    }
    const auto name = NameOf(*id);
    Incoming incoming{{name.value_or(*id), routing_id.to_string()}, Refusal{}};
    if (!name) {
      incoming.content =
          Refusal{RefusalCode::kNotAllowed, "this site's key is no longer approved; ask the consortium's operator", {}};
    } else if (!one_part) {
      incoming.content = Refusal{RefusalCode::kMalformed, "a message has exactly one part", {}};
    } else {
      auto decoded = DecodeMessage({frame.data<std::uint8_t>(), frame.size()});
      if (const auto* bad = std::get_if<BadMessage>(&decoded)) {
        incoming.content = bad->ToRefusal();
      } else {
        incoming.content = std::move(std::get<Message>(decoded));
      }
    }
    if (auto accepted = Accept(std::move(incoming), std::stoi(*descriptor), name.has_value())) return accepted;
    if (held_back_) return std::nullopt;
  }
  connections_.Drained();
  return std::nullopt;
}

std::optional<Incoming> ServerEndpoint::Accept(Incoming incoming, int descriptor, bool has_standing) {
  switch (connections_.Message(incoming.peer, descriptor, has_standing)) {
    case ConnectionTable::Verdict::kAccept: return incoming;
    case ConnectionTable::Verdict::kTakesOver: held_back_ = HeldBack{std::move(incoming), descriptor}; break;
    case ConnectionTable::Verdict::kEnded: break;
    case ConnectionTable::Verdict::kSuperseded:
      incoming.content = Refusal{RefusalCode::kUnexpected,
                                 "a newer connection with this site's key has taken over; is a second agent running?",
                                 {}};
      return incoming;
  }
  return std::nullopt;
}

std::optional<Incoming> ServerEndpoint::Receive(int timeout_ms) {
  using SteadyClock = std::chrono::steady_clock;
  const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    if (auto incoming = ReceiveNow()) return incoming;
    DrainMonitor();
    if (waker_.Drain() || HasNews()) return std::nullopt;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0 || !WaitForServers({this}, static_cast<int>(left))) return std::nullopt;
  }
}

bool WaitForServers(std::initializer_list<ServerEndpoint*> endpoints, int timeout_ms) {
  std::vector<zmq::pollitem_t> items;
  for (ServerEndpoint* endpoint : endpoints) {
    if (endpoint->HasNews() || endpoint->held_back_) return true;
    items.push_back({endpoint->socket_.handle(), 0, ZMQ_POLLIN, 0});
    items.push_back({endpoint->monitor_->handle(), 0, ZMQ_POLLIN, 0});
    items.push_back({nullptr, endpoint->waker_.descriptor(), ZMQ_POLLIN, 0});
  }
  return Poll(items, timeout_ms);
}

SendResult ServerEndpoint::SendTo(const Peer& peer, const Message& message) {
  // libzmq itself notices a departure a little later than the monitor says it.
  if (!connections_.IsOpen(peer.routing_id)) return SendResult::kUnreachable;
  zmq::message_t routing_id(peer.routing_id.data(), peer.routing_id.size());
  zmq::message_t frame = ToZmqMessage(EncodeMessage(message));
  const std::uint64_t bytes = BytesOnWire(frame.size());
  try {
    // The first part decides: libzmq takes the second wherever it took the first.
    if (!socket_.send(routing_id, zmq::send_flags::sndmore | zmq::send_flags::dontwait)) return SendResult::kQueueFull;
    if (!socket_.send(frame, zmq::send_flags::dontwait)) return SendResult::kQueueFull;
  } catch (const zmq::error_t& error) {
    if (error.num() != EHOSTUNREACH) throw;
    return SendResult::kUnreachable;
  }
  ++traffic_.sent_messages;
  traffic_.sent_bytes += bytes;
  return SendResult::kSent;
}

std::optional<Peer> ServerEndpoint::PeerOf(const std::string& user_id) const { return connections_.CurrentOf(user_id); }

std::optional<ServerEvent> ServerEndpoint::NextEvent() {
  DrainMonitor();
  if (auto peer = connections_.NextDeparture()) return ServerEvent{ServerEvent::Kind::kPeerLeft, std::move(*peer), {}};
  if (refusals_.empty()) return std::nullopt;
  ServerEvent event = std::move(refusals_.front());
  refusals_.pop_front();
  return event;
}

void ServerEndpoint::DrainMonitor() {
  while (const auto event = monitor_->Next()) {
    switch (event->event) {
      case ZMQ_EVENT_ACCEPTED: connections_.Accepted(static_cast<int>(event->value)); break;
      case ZMQ_EVENT_DISCONNECTED:
        // Bytes that are not even a greeting end a connection without an event of their own.
        if (!connections_.Closed(static_cast<int>(event->value)) && !handshake_just_failed_) {
          AddEvent({ServerEvent::Kind::kStrangerLeft,
                    {},
                    "a peer left before its first message: not a HemaFed program, or one that was stopped"});
        }
        handshake_just_failed_ = false;
        break;
      case ZMQ_EVENT_ACCEPT_FAILED:
        AddEvent(
            {ServerEvent::Kind::kHandshakeRefused,
             {},
             std::string("a connection could not be accepted: ") + ::zmq_strerror(static_cast<int>(event->value))});
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        handshake_just_failed_ = true;  // The end of that connection is the next event.
        AddEvent({ServerEvent::Kind::kHandshakeRefused, {}, DescribeHandshakeFailure(*event)});
        break;
      default: break;
    }
  }
}

void ServerEndpoint::AddEvent(ServerEvent event) {
  if (refusals_.size() < kMaxQueuedEvents) {
    refusals_.push_back(std::move(event));
  } else if (refusals_.back().kind != ServerEvent::Kind::kEventsLost) {
    refusals_.push_back({ServerEvent::Kind::kEventsLost, {}, "more refusals than are kept"});
  }
}

}  // namespace hemafed::wire
