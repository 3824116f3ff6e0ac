// SPDX-License-Identifier: Apache-2.0
#include "studies/local_federation/derived_keys.h"

#include <string>

#include "common/sha256.h"

namespace hemafed::studies {

namespace {

Digest SecretOf(std::uint64_t seed, std::string_view purpose) {
  return Sha256Of("hemafed simulated key\n" + std::to_string(seed) + "\n" + std::string(purpose));
}

}  // namespace

Ed25519KeyPair DerivedSigningKey(std::uint64_t seed, std::string_view purpose) {
  return Ed25519KeyPair::FromSeed(SecretOf(seed, purpose).bytes);
}

HpkePrivateKey DerivedExchangeKey(std::uint64_t seed, std::string_view purpose) {
  return HpkePrivateKey(SecretOf(seed, purpose).bytes);
}

wire::CurveKeyPair DerivedCurveKey(std::uint64_t seed, std::string_view purpose) {
  const wire::CurveKey secret = SecretOf(seed, purpose).bytes;
  return {.public_key = wire::CurvePublicKeyOf(secret), .secret_key = secret};
}

}  // namespace hemafed::studies
