// protocol/wire/allowlist.h
// SPDX-License-Identifier: Apache-2.0
//
// Which CURVE keys may work, and under which name. The authenticator asks it once for each handshake; the server
// endpoint asks it again for every message, because a connection outlives the moment its key was let in: after Revoke
// the site's next message is refused although its connection is still open.
//
// Fails closed: an empty list lets nobody in. A user has one key and a key one user; allowing a user again with another
// key revokes the old key.
//
// Errors: Allow throws Error(kInvalidInput) for an empty or over-long name or a key of another user.
// Thread-safety: any call from any thread.
#pragma once

#include <map>
#include <optional>
#include <shared_mutex>
#include <string>

#include "protocol/wire/curve.h"

namespace hemafed::wire {

class Allowlist {
 public:
  void Allow(const CurveKey& key, const std::string& user);
  // Unknown users are not an error.
  void Revoke(const std::string& user);

  [[nodiscard]] std::optional<std::string> UserOf(const CurveKey& key) const;
  [[nodiscard]] bool IsAllowed(const std::string& user) const;

 private:
  mutable std::shared_mutex mutex_;
  std::map<CurveKey, std::string> user_of_;
  std::map<std::string, CurveKey> key_of_;
};

}  // namespace hemafed::wire
