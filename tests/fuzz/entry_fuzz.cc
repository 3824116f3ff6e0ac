// SPDX-License-Identifier: Apache-2.0
//
// Any text as an entry of the round log, as a site's statement and as a coordinator's assignment: either refused with
// kInvalidInput, or read so completely that writing it gives the same text again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error.h"
#include "protocol/federation/assignment.h"
#include "protocol/federation/entries.h"

namespace {

template <class Rewrite>
void ReadAndWrite(std::string_view text, const Rewrite& rewrite) {
  try {
    if (rewrite(text) != text) std::abort();
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ReadAndWrite(text, [](std::string_view t) { return hemafed::EntryToText(hemafed::ParseEntry(t)); });
  ReadAndWrite(text, [](std::string_view t) { return hemafed::SiteStatement::FromText(t).ToText(); });
  ReadAndWrite(text, [](std::string_view t) { return hemafed::Assignment::FromText(t).ToText(); });
  return 0;
}
