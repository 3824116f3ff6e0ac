// tests/fuzz/note_fuzz.cc
// SPDX-License-Identifier: Apache-2.0
//
// Texts of strangers: notes, checkpoints, keys, canonical JSON. Whatever is accepted must encode to the very same
// bytes, and no note that the fuzzer can write verifies under a key that nobody holds.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error.h"
#include "protocol/log/canonical_json.h"
#include "protocol/log/checkpoint.h"
#include "protocol/log/note.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// A key whose private half is not known to this program; name and id are those of the samples, so that changed
// signatures do reach verification.
const hemafed::NoteKey& Key() {
  static const auto key =
      hemafed::NoteKey::Parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
  return *key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = hemafed::AsText({data, size});
  if (const auto note = hemafed::Note::Parse(text)) {
    Require(note->Encode() == text);
    const bool published = note->text == "This is an example message.\n";
    Require(published || hemafed::VerifyNote(*note, Key()) != hemafed::NoteVerdict::kVerified);
    if (const auto checkpoint = hemafed::Checkpoint::Parse(note->text)) Require(checkpoint->Encode() == note->text);
  }
  if (const auto checkpoint = hemafed::Checkpoint::Parse(text)) Require(checkpoint->Encode() == text);
  if (const auto key = hemafed::NoteKey::Parse(text)) Require(key->Encode() == text);
  try {
    Require(hemafed::CanonicalJson(hemafed::ParseCanonicalJson(text)) == text);
  } catch (const hemafed::Error& error) {
    Require(error.code() == hemafed::ErrorCode::kInvalidInput);
  }
  return 0;
}
