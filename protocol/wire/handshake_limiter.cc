// SPDX-License-Identifier: Apache-2.0
#include "protocol/wire/handshake_limiter.h"

#include <algorithm>

namespace hemafed::wire {

void HandshakeLimiter::Refill(Bucket& bucket, std::int64_t burst, std::int64_t refill_ms, std::int64_t now_ms) {
  const std::int64_t gained = (now_ms - bucket.refilled_ms) / refill_ms;
  bucket.tokens = std::min(burst, bucket.tokens + gained);
  // A full bucket gains nothing while it waits; otherwise the remainder of the interval counts towards the next token.
  bucket.refilled_ms = bucket.tokens == burst ? now_ms : bucket.refilled_ms + gained * refill_ms;
}

HandshakeLimiter::Bucket& HandshakeLimiter::BucketOf(const std::string& address, std::int64_t now_ms) {
  if (by_address_.size() >= kMaxAddresses && !by_address_.contains(address)) {
    for (auto entry = by_address_.begin(); entry != by_address_.end();) {
      Refill(entry->second, kBurstPerAddress, kRefillPerAddressMs, now_ms);
      entry = entry->second.tokens == kBurstPerAddress ? by_address_.erase(entry) : std::next(entry);
    }
    if (by_address_.size() >= kMaxAddresses) return overflow_;
  }
  return by_address_.try_emplace(address, Bucket{kBurstPerAddress, now_ms}).first->second;
}

bool HandshakeLimiter::Admit(const std::string& address, std::int64_t now_ms) {
  Refill(total_, kBurstTotal, kRefillTotalMs, now_ms);
  if (total_.tokens == 0) return false;  // Before the table is touched: a flood costs no search.
  Bucket& bucket = BucketOf(address, now_ms);
  Refill(bucket, kBurstPerAddress, kRefillPerAddressMs, now_ms);
  if (bucket.tokens == 0) return false;
  --bucket.tokens;
  --total_.tokens;
  return true;
}

}  // namespace hemafed::wire
