// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/authenticator.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/error.h"
#include "protocol/wire/handshake_limiter.h"
#include "protocol/wire/waker.h"

namespace hemafed::wire {

namespace {

constexpr const char* kZapAddress = "inproc://zeromq.zap.01";  // Fixed by RFC 27.
// Version, request id, domain, address, routing id, mechanism, then the mechanism's credentials: one key for CURVE.
constexpr std::size_t kRequestFrames = 7;

struct Verdict {
  const char* status;  // RFC 27: 200 in, 300 try later, 400 no, 500 the handler failed.
  std::string reason;
  std::string user_id;
};

}  // namespace

std::string_view DomainName(AdmissionDomain domain) noexcept {
  return domain == AdmissionDomain::kWork ? "work" : "enrol";
}

class Authenticator::Worker {
 public:
  Worker(zmq::context_t& context, const Allowlist& allowlist, const Clock& clock)
      : allowlist_(allowlist), clock_(clock), socket_(context, zmq::socket_type::rep) {
    socket_.set(zmq::sockopt::linger, 0);
    try {
      socket_.bind(kZapAddress);
    } catch (const zmq::error_t& error) {
      throw Error(ErrorCode::kConflict,
                  std::string("cannot start the authenticator: ") + error.what() + "; a context has exactly one");
    }
    thread_ = std::thread([this] { Run(); });
  }
  ~Worker() {
    stop_.Wake();
    thread_.join();
    // Closing alone gives the address back some time later; until then handshakes would wait for an answer in vain.
    try {
      socket_.unbind(kZapAddress);
    } catch (const zmq::error_t&) {
      return;  // The context has been terminated: the address went with it.
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  void Run() noexcept {
    // If this thread ends early, libzmq gets no answer and lets nobody in.
    try {
      while (true) {
        std::array<zmq::pollitem_t, 2> items{
            {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, stop_.descriptor(), ZMQ_POLLIN, 0}}};
        try {
          zmq::poll(items.data(), items.size(), std::chrono::milliseconds(-1));
        } catch (const zmq::error_t& error) {
          if (error.num() != EINTR) throw;
          continue;
        }
        if (items[1].revents != 0) return;
        Answer(ReceiveRequest());
      }
    } catch (const std::exception&) {
      return;
    }
  }

  std::vector<std::string> ReceiveRequest() {
    std::vector<std::string> frames;
    zmq::message_t frame;
    do {
      (void)socket_.recv(frame);
      if (frames.size() <= kRequestFrames) frames.push_back(frame.to_string());
    } while (frame.more());
    return frames;
  }

  void Answer(const std::vector<std::string>& request) {
    const Verdict verdict = Judge(request);
    const std::string request_id = request.size() > 1 ? request[1] : "";
    const std::array<std::string, 6> reply{"1.0", request_id, verdict.status, verdict.reason, verdict.user_id, ""};
    for (std::size_t i = 0; i < reply.size(); ++i) {
      socket_.send(zmq::buffer(reply[i]), i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

  Verdict Judge(const std::vector<std::string>& request) {
    if (request.size() != kRequestFrames || request[0] != "1.0") return {"500", "malformed request", ""};
    const std::string& domain = request[2];
    const std::string& address = request[3];
    CurveKey key;
    if (request[5] != "CURVE" || request[6].size() != key.size()) return {"400", "CURVE only", ""};
    std::copy(request[6].begin(), request[6].end(), key.begin());

    if (domain == DomainName(AdmissionDomain::kWork)) {
      if (!allowlist_.UserOf(key)) return {"400", "key not approved", ""};
    } else if (domain == DomainName(AdmissionDomain::kEnrol)) {
      if (!limiter_.Admit(address, clock_.MonotonicMs())) return {"300", "too many handshakes", ""};
    } else {
      return {"400", "unknown domain", ""};
    }
    return {"200", "OK", domain + ":" + HexEncode(key)};
  }

  const Allowlist& allowlist_;
  const Clock& clock_;
  HandshakeLimiter limiter_;
  zmq::socket_t socket_;
  Waker stop_;
  std::thread thread_;
};

Authenticator::Authenticator(WireContext& context, const Allowlist& allowlist, const Clock& clock)
    : worker_(std::make_unique<Worker>(context.zmq(), allowlist, clock)) {}

Authenticator::~Authenticator() = default;

}  // namespace hemafed::wire
