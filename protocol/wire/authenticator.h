// protocol/wire/authenticator.h
// SPDX-License-Identifier: Apache-2.0
//
// Answers libzmq's question "may this key connect?" (ZeroMQ RFC 27/ZAP) in a thread of its own. Two domains:
//
//     "work"   keys on the allow-list only
//     "enrol"  any key, because the lab is not known yet; handshakes are rate-limited (handshake_limiter.h)
//
// The user id it attaches to a connection names the key itself ("work:<64 hex digits>"); names are looked up for each
// message, so that a revoked or replaced key loses its name at once. A peer cannot set that property: libzmq keeps the
// authenticator's value over one of the same name in the peer's own metadata (a test forges it).
//
// Fails closed: any other domain, mechanism or malformed request is denied, and server sockets are set to refuse
// handshakes altogether when no authenticator runs (ZMQ_ZAP_ENFORCE_DOMAIN).
//
// Ownership: make it before the first ServerEndpoint of a context and destroy it after the last. One for each context.
// Errors: the constructor throws Error(kConflict) if the context already has one.
// Thread-safety: construct and destroy from one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/clock.h"
#include "protocol/wire/allowlist.h"
#include "protocol/wire/wire_context.h"

namespace hemafed::wire {

enum class AdmissionDomain : std::uint8_t { kWork, kEnrol };
[[nodiscard]] std::string_view DomainName(AdmissionDomain domain) noexcept;

class Authenticator {
 public:
  // `context`, `allowlist` and `clock` are borrowed; the clock is read from the authenticator's thread.
  Authenticator(WireContext& context, const Allowlist& allowlist, const Clock& clock);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace hemafed::wire
