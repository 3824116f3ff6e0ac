// protocol/log/canonical_json.h
// SPDX-License-Identifier: Apache-2.0
//
// One text for one value: the JSON of log entries and of signed bodies, where bytes are hashed and signed.
//
//   - object keys in ascending byte order, each once; no space outside strings
//   - UTF-8; \" \\ \b \f \n \r \t, other characters below U+0020 as \u00xx in lower case, nothing else escaped
//   - numbers are integers from -(2^53 - 1) to 2^53 - 1 without sign of zero; fractions are written in millionths
//   - at most kMaxJsonDepth objects and arrays inside each other
//
// Errors: kInvalidInput with the reason. Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "protocol/log/tiles.h"

namespace hemafed {

// Largest integer that every JSON reader holds exactly (RFC 8259 section 6).
inline constexpr std::int64_t kMaxJsonInteger = (std::int64_t{1} << 53) - 1;
// Objects and arrays inside each other; entries need four. Bounds the stack of everything that walks a value.
inline constexpr int kMaxJsonDepth = 16;

// `limit_bytes`: size of the text; the default is that of a log entry.
[[nodiscard]] std::string CanonicalJson(const nlohmann::json& value, std::size_t limit_bytes = kMaxEntryBytes);

// Accepts only text that is byte for byte its own canonical form.
[[nodiscard]] nlohmann::json ParseCanonicalJson(std::string_view text, std::size_t limit_bytes = kMaxEntryBytes);

}  // namespace hemafed
