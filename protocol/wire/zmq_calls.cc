// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/zmq_calls.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

#include "protocol/wire/wire_context.h"

namespace hemafed::wire {

namespace {

// Below this, copying is cheaper than a shared owner.
constexpr std::size_t kCopyBelowBytes = 4096;

// Keeps a frame alive until libzmq has sent it. The flag orders our writes before the I/O thread's release in a way
// that ThreadSanitizer sees; libzmq's own queues do it too, but are not instrumented.
struct SharedFrame {
  explicit SharedFrame(Bytes content) : bytes(std::move(content)) {}
  Bytes bytes;
  std::atomic<bool> handed_over{false};
};

void ReleaseFrame(void*, void* hint) {
  const std::unique_ptr<SharedFrame> owner(static_cast<SharedFrame*>(hint));
  (void)owner->handed_over.load(std::memory_order_acquire);
}

}  // namespace

bool TryReceive(zmq::socket_t& socket, zmq::message_t& part) {
  while (true) {
    try {
      return socket.recv(part, zmq::recv_flags::dontwait).has_value();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

zmq::message_t ToZmqMessage(Bytes frame) {
  if (frame.size() < kCopyBelowBytes) return {frame.data(), frame.size()};
  auto shared = std::make_unique<SharedFrame>(std::move(frame));
  shared->handed_over.store(true, std::memory_order_release);
  zmq::message_t message(shared->bytes.data(), shared->bytes.size(), &ReleaseFrame, shared.get());
  (void)shared.release();  // Owned by the message now.
  return message;
}

bool Poll(std::vector<zmq::pollitem_t>& items, long timeout_ms) {
  try {
    return zmq::poll(items, std::chrono::milliseconds(timeout_ms)) > 0;
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
    return false;
  }
}

std::string_view KeyView(const CurveKey& key) { return AsText(key); }

std::uint64_t BytesOnWire(std::size_t frame_bytes) {
  const std::uint64_t wrapped = frame_bytes + static_cast<std::uint64_t>(kCurveOverheadBytes);
  return wrapped + (wrapped > 255 ? 9 : 2);
}

}  // namespace hemafed::wire
