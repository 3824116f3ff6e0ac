// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/allowlist.h"

#include <mutex>

#include "common/error.h"
#include "protocol/wire/messages.h"

namespace hemafed::wire {

void Allowlist::Allow(const CurveKey& key, const std::string& user) {
  // A colon marks the user ids that the endpoints make up for keys without a name.
  const bool usable = !user.empty() && user.size() <= wire_limits::kNameBytes && user.find(':') == std::string::npos &&
                      IsPlainText(user, TextRule::kLine);
  if (!usable) {
    throw Error(ErrorCode::kInvalidInput, "'" + user + "' cannot name a site: use 1 to " +
                                              std::to_string(wire_limits::kNameBytes) +
                                              " bytes of text without a colon or control characters");
  }
  const std::unique_lock lock(mutex_);
  const auto holder = user_of_.find(key);
  if (holder != user_of_.end() && holder->second != user) {
    throw Error(ErrorCode::kInvalidInput,
                "the key of " + user + " already belongs to " + holder->second + "; every site needs a key of its own");
  }
  const auto old = key_of_.find(user);
  if (old != key_of_.end()) user_of_.erase(old->second);
  key_of_[user] = key;
  user_of_[key] = user;
}

void Allowlist::Revoke(const std::string& user) {
  const std::unique_lock lock(mutex_);
  const auto found = key_of_.find(user);
  if (found == key_of_.end()) return;
  user_of_.erase(found->second);
  key_of_.erase(found);
}

std::optional<std::string> Allowlist::UserOf(const CurveKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = user_of_.find(key);
  if (found == user_of_.end()) return std::nullopt;
  return found->second;
}

bool Allowlist::IsAllowed(const std::string& user) const {
  const std::shared_lock lock(mutex_);
  return key_of_.contains(user);
}

}  // namespace hemafed::wire
