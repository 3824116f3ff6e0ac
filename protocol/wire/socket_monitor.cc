// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/socket_monitor.h"

#include <atomic>
#include <cstdio>
#include <cstring>

#include "common/error.h"
#include "protocol/wire/zmq_calls.h"

namespace hemafed::wire {

namespace {

// libzmq's I/O thread waits when this many events are unread, so it bounds memory (about 100 bytes each) during a
// stranger's flood; far more than a loop that is busy for a second lets pile up.
constexpr int kMaxUnreadEvents = 50'000;

std::string UniqueAddress() {
  static std::atomic<std::uint64_t> count{0};  // Inproc names must differ within a context.
  return "inproc://hemafed-monitor-" + std::to_string(++count);
}

}  // namespace

SocketMonitor::SocketMonitor(zmq::context_t& context, zmq::socket_t& watched, int events)
    : watched_(watched), events_(context, zmq::socket_type::pair) {
  events_.set(zmq::sockopt::linger, 0);
  events_.set(zmq::sockopt::rcvhwm, kMaxUnreadEvents);
  const std::string address = UniqueAddress();
  if (::zmq_socket_monitor(watched_.handle(), address.c_str(), events) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot watch a socket: ") + ::zmq_strerror(::zmq_errno()));
  }
  events_.connect(address);
}

SocketMonitor::~SocketMonitor() {
  // Unread events first: an I/O thread that waits to deliver one holds a lock that the next call takes.
  while (Next()) {
  }
  ::zmq_socket_monitor(watched_.handle(), nullptr, 0);
}

std::optional<MonitorEvent> SocketMonitor::Next() {
  zmq::message_t numbers;
  if (!TryReceive(events_, numbers)) return std::nullopt;
  MonitorEvent event;
  if (numbers.size() == sizeof(event.event) + sizeof(event.value)) {
    const auto* bytes = numbers.data<std::uint8_t>();  // In the machine's own byte order.
    std::memcpy(&event.event, bytes, sizeof(event.event));
    std::memcpy(&event.value, bytes + sizeof(event.event), sizeof(event.value));
  }
  zmq::message_t address;
  if (numbers.more() && TryReceive(events_, address)) event.address = address.to_string();
  return event;
}

std::string DescribeHandshakeFailure(const MonitorEvent& event) {
  switch (event.event) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: {
      const char* meaning = event.value == 300   ? "too many handshakes from there, later"
                            : event.value == 400 ? "the key is not approved"
                                                 : "the authenticator failed";
      return std::string(meaning) + " (ZAP status " + std::to_string(event.value) + ")";
    }
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: {
      if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) return "the peer does not use CURVE";
      if (event.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) {
        return "the peer's handshake was sealed for another server key, or its own two keys do not belong together";
      }
      std::array<char, 16> code{};
      std::snprintf(code.data(), code.size(), "0x%08x", event.value);
      return std::string("the peer broke the protocol (libzmq ") + code.data() + ")";
    }
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return event.value == 0 ? std::string("the peer hung up during the handshake")
                              : std::string("the connection ended during the handshake: ") +
                                    ::zmq_strerror(static_cast<int>(event.value));
    default: return {};
  }
}

}  // namespace hemafed::wire
