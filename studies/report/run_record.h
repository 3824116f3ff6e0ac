// studies/report/run_record.h
// SPDX-License-Identifier: Apache-2.0
//
// What a result depended on: every setting, seed, digest and version of a run, as one JSON file in the result folder.
// Make it before the work starts, so that a run that cannot be described is refused at once; a resumed run compares the
// stored record with its own (RunDifferences) and goes on only if they agree.
//
// One text for one record: keys in ascending byte order, two blanks for each level, numbers in their shortest form that
// reads back alike, one line end at the end. No times and no host names: the same run gives the same bytes.
//
//     {
//       "command_line": ["hemafed-study", "uacl", ...],
//       "format": 1,
//       "inputs": {"<name>": "<sha256>", ...},          data indexes, label maps, initial weights
//       "machine": {"device": "cpu", "threads": 2, ...},
//       "program_version": "HemaFed 0.1.0",
//       "seeds": [0, 1, 2],
//       "settings": {...},                               the study file with all defaults filled in
//       "study": "uacl",
//       "study_file_sha256": "<sha256>",
//       "torch_version": "2.13.0"
//     }
//
// Errors: kInvalidInput naming the place ("run record: settings/learning_rate ..."): a number that is NaN or infinite,
// a seed above 2^53 - 1 (larger integers do not survive every JSON reader, RFC 8259 section 6), settings or machine
// that are no objects, a text over a limit; when reading, also whatever differs from the form above. Thread-safety:
// value type and free functions without state.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed::studies {

inline constexpr std::uint64_t kRunRecordFormat = 1;
// Bytes of the file. A record with a thousand inputs and settings has a tenth of it.
inline constexpr std::size_t kMaxRunRecordBytes = 4u << 20;
inline constexpr std::uint64_t kMaxRecordedSeed = (std::uint64_t{1} << 53) - 1;

struct RunRecord {
  std::string study;  // Command of hemafed-study.
  std::string program_version;
  std::string torch_version;              // "none" where LibTorch has no part in it.
  std::vector<std::string> command_line;  // Bytes that are not UTF-8 are replaced by U+FFFD in the file.
  Digest study_file;
  std::map<std::string, Digest> inputs;
  std::vector<std::uint64_t> seeds;
  nlohmann::json settings = nlohmann::json::object();
  nlohmann::json machine = nlohmann::json::object();
};

[[nodiscard]] std::string FormatRunRecord(const RunRecord& record);

// `where` names the source in messages.
[[nodiscard]] RunRecord ParseRunRecord(std::string_view text, const std::string& where);

// Formats, then writes atomically (common/file_system.h).
void WriteRunRecord(FileSystem& files, const Path& path, const RunRecord& record);

// What would make two runs give different results: "settings/learning_rate: 0.001, was 0.0005", by place. The command
// line is left out: the same settings can be asked for in several ways.
[[nodiscard]] std::vector<std::string> RunDifferences(const RunRecord& before, const RunRecord& now);

}  // namespace hemafed::studies
