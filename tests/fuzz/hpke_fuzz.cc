// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a sealed message for the key of the published vector (tests/data/hpke/): either refused, or the
// published text. Others could be made with the public key, but not by flipping bits.
#include <cstdint>
#include <cstdlib>

#include "common/error.h"
#include "common/hpke.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hemafed;
  static const HpkePrivateKey kKey =
      HpkePrivateKey::Derive(*HexDecode("dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee"));
  try {
    const auto opened = HpkeOpen(kKey, AsBytes("Ode on a Grecian Urn"), AsBytes("Count-0"), {data, size});
    if (opened && AsText(*opened) != "Beauty is truth, truth beauty") std::abort();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
  return 0;
}
