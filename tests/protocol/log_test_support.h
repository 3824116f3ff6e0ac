// tests/protocol/log_test_support.h
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the round log share: fixed keys and entries, folders as values, errors as values.
#pragma once

#include <gtest/gtest.h>

#include <array>
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

inline std::string ReadAll(const Path& path, FileSystem& files = RealFileSystem()) {
  return ReadFile(files, path, std::uint64_t{1} << 30);
}

// Replaces a file. Removed first: emptying and rewriting one makes some file systems wait for the disk.
inline void Overwrite(const Path& path, std::string_view content, FileSystem& files = RealFileSystem()) {
  files.Remove(path);
  files.Create(path)->Append(content);
}

// Path relative to `folder` and content of every file below it.
inline std::map<std::string, std::string> FilesIn(const Path& folder, FileSystem& files = RealFileSystem()) {
  std::map<std::string, std::string> found;
  for (const std::string& name : files.List(folder)) {
    std::optional<std::map<std::string, std::string>> below;
    if (FailureOf([&] { below = FilesIn(folder / name, files); })) {
      found[name] = ReadAll(folder / name, files);  // Not a folder.
    }
    for (const auto& [path, content] : below.value_or(std::map<std::string, std::string>())) {
      found[name + "/" + path] = content;
    }
  }
  return found;
}

inline std::string WithBitFlipped(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

inline bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace hemafed::testing_support
