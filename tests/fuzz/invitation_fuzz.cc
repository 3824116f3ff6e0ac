// SPDX-License-Identifier: Apache-2.0
//
// Any text as an invitation token: either refused with kInvalidInput, or exactly the token that it writes again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error.h"
#include "protocol/federation/invitation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (hemafed::Invitation::FromToken(text).ToToken() != text) std::abort();
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
  return 0;
}
