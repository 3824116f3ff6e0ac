// protocol/wire/handshake_limiter.h
// SPDX-License-Identifier: Apache-2.0
//
// How many strangers may knock at the enrolment endpoint. Two token buckets decide: one for the peer's address, so that
// one noisy machine cannot keep others out, and one for all, so that many machines cannot keep the coordinator busy.
//
// A bucket holds up to `burst` tokens and gains one every `refill_ms`; a handshake takes one from both or is denied.
// Addresses are remembered up to kMaxAddresses; when the table is full, full buckets are forgotten first, and if every
// address in it is active the newcomer shares one common bucket.
//
// Thread-safety: one thread (the authenticator's).
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace hemafed::wire {

class HandshakeLimiter {
 public:
  // A lab enrols once and then asks every few seconds over one connection; five tries at once and one every ten seconds
  // are plenty for a person retyping a token, also for a few labs behind one address.
  static constexpr std::int64_t kBurstPerAddress = 5;
  static constexpr std::int64_t kRefillPerAddressMs = 10'000;
  // A handshake costs about 0.3 ms of the I/O thread: twenty a second stay below one percent of one core.
  static constexpr std::int64_t kBurstTotal = 60;
  static constexpr std::int64_t kRefillTotalMs = 50;
  // 100 bytes each: below half a megabyte.
  static constexpr std::size_t kMaxAddresses = 4096;

  [[nodiscard]] bool Admit(const std::string& address, std::int64_t now_ms);

 private:
  struct Bucket {
    std::int64_t tokens = 0;
    std::int64_t refilled_ms = 0;
  };
  static void Refill(Bucket& bucket, std::int64_t burst, std::int64_t refill_ms, std::int64_t now_ms);
  Bucket& BucketOf(const std::string& address, std::int64_t now_ms);

  std::map<std::string, Bucket> by_address_;
  Bucket total_{kBurstTotal, 0};
  Bucket overflow_{kBurstPerAddress, 0};
};

}  // namespace hemafed::wire
