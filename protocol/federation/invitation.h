// protocol/federation/invitation.h
// SPDX-License-Identifier: Apache-2.0
//
// The one line that an operator hands to a lab: where to dial, which keys to expect there, and a secret that works
// once.
//
//     hemafed1.<base64url of canonical JSON>
//
// Whoever holds the token can ask to join in its slot; the operator still approves by comparing fingerprints.
//
// Errors: Error(kInvalidInput) for a text that is not such a token. Thread-safety: value type.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/identity/ed25519.h"

namespace hemafed {

struct Invitation {
  std::string slot;
  std::string enrol_endpoint, work_endpoint;
  Bytes server_key;  // CURVE, 32 bytes.
  std::string log_name;
  Ed25519PublicKey log_key, operator_key;
  std::int64_t expires_ms = 0;  // Wall clock.
  std::array<std::uint8_t, 32> secret{};

  [[nodiscard]] std::string ToToken() const;
  [[nodiscard]] static Invitation FromToken(std::string_view token);
};

}  // namespace hemafed
