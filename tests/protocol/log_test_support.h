// tests/protocol/log_test_support.h
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the round log share: fixed keys and entries, folders as values, errors as values.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/file_system.h"
#include "protocol/identity/ed25519.h"
#include "protocol/log/note.h"

namespace hemafed::testing_support {

inline constexpr const char* kOrigin = "example.org/round-log";

// The key of seed 00 01 .. 1f, shifted by `first`.
inline Ed25519KeyPair FixedKey(std::uint8_t first = 0) {
  std::array<std::uint8_t, 32> seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(first + i);
  return Ed25519KeyPair::FromSeed(seed);
}

inline NoteKey FixedLogKey() { return {kOrigin, NoteKeyType::kEd25519, FixedKey().PublicKey()}; }

// "entry 0", "entry 1", ...
inline std::vector<std::string> NumberedEntries(std::uint64_t count, std::uint64_t first = 0) {
  std::vector<std::string> entries;
  for (std::uint64_t i = first; i < first + count; ++i) entries.push_back("entry " + std::to_string(i));
  return entries;
}

struct Failure {
  ErrorCode code;
  std::string message;
};

// The Error that a call throws, or nothing.
inline std::optional<Failure> FailureOf(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return Failure{error.code(), error.what()};
  }
  return std::nullopt;
}

// Relative path and content of every file below a folder.
inline std::map<std::string, std::string> FilesIn(const Path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& item : std::filesystem::recursive_directory_iterator(folder)) {
    if (!item.is_regular_file()) continue;
    files[std::filesystem::relative(item.path(), folder).string()] =
        ReadFile(RealFileSystem(), item.path(), std::uint64_t{1} << 30);
  }
  return files;
}

inline std::string ReadAll(const Path& path) { return ReadFile(RealFileSystem(), path, std::uint64_t{1} << 30); }

// Replaces a file's content in place.
inline void Overwrite(const Path& path, std::string_view content) { RealFileSystem().Create(path)->Append(content); }

inline std::string WithBitFlipped(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

inline bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace hemafed::testing_support
