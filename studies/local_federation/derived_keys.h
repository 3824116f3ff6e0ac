// studies/local_federation/derived_keys.h
// SPDX-License-Identifier: Apache-2.0
//
// Private keys that follow from a number, so that a simulation's log is the same every time. Anybody can compute them:
// never for a consortium of several parties.
//
//     secret = SHA-256("hemafed simulated key\n<seed>\n<purpose>")
//
// is the seed of an Ed25519 key (RFC 8032) or the secret key of a CURVE or X25519 pair. Purposes: "operator", "log",
// "server",
// "<site>/curve", "<site>/statement", "<site>/witness"; of X25519 keys "<site>/exchange" and, as the ephemeral key of a
// sealed bundle, "<sender>/bundle <task> <recipient>".
//
// Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/hpke.h"
#include "protocol/identity/ed25519.h"
#include "protocol/wire/curve.h"

namespace hemafed::studies {

[[nodiscard]] Ed25519KeyPair DerivedSigningKey(std::uint64_t seed, std::string_view purpose);
[[nodiscard]] wire::CurveKeyPair DerivedCurveKey(std::uint64_t seed, std::string_view purpose);
[[nodiscard]] HpkePrivateKey DerivedExchangeKey(std::uint64_t seed, std::string_view purpose);

}  // namespace hemafed::studies
