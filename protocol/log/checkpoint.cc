// protocol/log/checkpoint.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "common/error.h"

namespace hemafed {

namespace {

std::optional<std::uint64_t> ParseDecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

// Takes one non-empty line with its newline off the front of `text`.
std::optional<std::string_view> TakeLine(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string Checkpoint::Encode() const {
  std::string text = origin + "\n" + std::to_string(size) + "\n" + Base64Encode(root.bytes) + "\n";
  for (const std::string& line : extensions) text.append(line).append("\n");
  return text;
}

std::optional<Checkpoint> Checkpoint::Parse(std::string_view text) {
  if (text.size() > kMaxNoteBytes) return std::nullopt;
  const auto origin = TakeLine(text);
  const auto size_line = origin ? TakeLine(text) : std::nullopt;
  const auto root_line = size_line ? TakeLine(text) : std::nullopt;
  if (!root_line || origin->size() > kMaxKeyNameBytes) return std::nullopt;
  const auto size = ParseDecimal(*size_line);
  const auto root = Base64Decode(*root_line);
  Checkpoint checkpoint;
  if (!size || !root || root->size() != checkpoint.root.bytes.size()) return std::nullopt;
  checkpoint.origin = *origin;
  checkpoint.size = *size;
  std::copy(root->begin(), root->end(), checkpoint.root.bytes.begin());
  while (!text.empty()) {
    const auto line = TakeLine(text);
    if (!line) return std::nullopt;
    checkpoint.extensions.emplace_back(*line);
  }
  return checkpoint;
}

Checkpoint OpenCheckpoint(std::string_view note_bytes, const NoteKey& log_key, std::string_view where) {
  const std::string place(where);
  const auto note = Note::Parse(note_bytes);
  if (!note) throw Error(ErrorCode::kCorrupt, place + " is not a signed note; get it again or restore it from a copy");
  switch (VerifyNote(*note, log_key)) {
    case NoteVerdict::kVerified: break;
    case NoteVerdict::kNotSignedByKey:
      throw Error(ErrorCode::kRefused, place + " carries no signature of the key " + log_key.Encode() +
                                           "; it belongs to another log, or its signature lines were altered");
    case NoteVerdict::kWrongSignature:
      throw Error(ErrorCode::kCorrupt,
                  place + " was altered after " + log_key.name +
                      " signed it: the signature is wrong; get it again or restore it from a copy");
  }
  auto checkpoint = Checkpoint::Parse(note->text);
  if (!checkpoint) throw Error(ErrorCode::kCorrupt, place + " is signed, but it is not a checkpoint of a log");
  if (checkpoint->origin != log_key.name) {
    throw Error(ErrorCode::kRefused,
                place + " is a checkpoint of the log '" + checkpoint->origin + "', not of '" + log_key.name + "'");
  }
  return *std::move(checkpoint);
}

}  // namespace hemafed
