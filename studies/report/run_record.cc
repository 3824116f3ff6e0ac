// SPDX-License-Identifier: Apache-2.0
#include "studies/report/run_record.h"

#include <cmath>
#include <set>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr std::string_view kWhere = "run record";
// Objects and arrays inside each other within settings; ParseJsonObject stops at 32.
constexpr int kMaxDepth = 24;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxArguments = 4096;
constexpr std::size_t kMaxArgumentBytes = 4096;
constexpr std::size_t kMaxSeeds = 10'000;
constexpr std::size_t kMaxInputs = 10'000;

[[noreturn]] void Fail(const std::string& place, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, std::string(kWhere) + ": " + place + " " + problem);
}

// JSON has no NaN; the library would quietly write null.
void CheckValue(const json& value, const std::string& place, int depth) {
  if (depth > kMaxDepth) Fail(place, "is nested too deeply");
  if (value.is_number_float() && !std::isfinite(value.get<double>())) Fail(place, "is NaN or infinite");
  if (value.is_binary() || value.is_discarded()) Fail(place, "is no JSON value");
  if (value.is_object()) {
    for (const auto& [key, item] : value.items())
      CheckValue(item, std::string(place).append("/").append(key), depth + 1);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) CheckValue(value[i], place + "/" + std::to_string(i), depth + 1);
  }
}

void CheckObject(const json& value, const std::string& place) {
  if (!value.is_object()) Fail(place, "must be an object");
  CheckValue(value, place, 0);
}

json ToJson(const RunRecord& record) {
  if (record.seeds.size() > kMaxSeeds) Fail("seeds", "are more than " + std::to_string(kMaxSeeds));
  for (const std::uint64_t seed : record.seeds) {
    if (seed > kMaxRecordedSeed) Fail("seeds", "hold " + std::to_string(seed) + ", which is above 2^53 - 1");
  }
  CheckObject(record.settings, "settings");
  CheckObject(record.machine, "machine");
  json inputs = json::object();
  for (const auto& [name, digest] : record.inputs) inputs[name] = digest.Hex();
  return json{{"command_line", record.command_line},
              {"format", kRunRecordFormat},
              {"inputs", std::move(inputs)},
              {"machine", record.machine},
              {"program_version", record.program_version},
              {"seeds", record.seeds},
              {"settings", record.settings},
              {"study", record.study},
              {"study_file_sha256", record.study_file.Hex()},
              {"torch_version", record.torch_version}};
}

std::vector<std::uint64_t> ReadSeeds(JsonFields& fields) {
  const json& list = fields.Raw("seeds");
  if (!list.is_array() || list.size() > kMaxSeeds) fields.Fail("seeds", "must be a list of at most 10,000 seeds");
  std::vector<std::uint64_t> seeds;
  for (const json& seed : list) {
    if (!seed.is_number_unsigned() || seed.get<std::uint64_t>() > kMaxRecordedSeed)
      fields.Fail("seeds", "must hold integers from 0 to 2^53 - 1");
    seeds.push_back(seed.get<std::uint64_t>());
  }
  return seeds;
}

std::map<std::string, Digest> ReadInputs(JsonFields& fields) {
  const json& object = fields.Raw("inputs");
  if (!object.is_object() || object.size() > kMaxInputs)
    fields.Fail("inputs", "must be an object of at most 10,000 digests");
  std::map<std::string, Digest> inputs;
  for (const auto& [name, value] : object.items()) {
    const auto digest = value.is_string() ? Digest::FromHex(value.get_ref<const std::string&>()) : std::nullopt;
    if (!digest) fields.Fail("inputs", "has no SHA-256 for '" + name + "'");
    inputs.emplace(name, *digest);
  }
  return inputs;
}

json ReadObject(JsonFields& fields, const std::string& key) {
  const json& value = fields.Raw(key);
  if (!value.is_object()) fields.Fail(key, "must be an object");
  return value;
}

std::string Brief(const json& value) {
  constexpr std::size_t kMaxBytes = 80;
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kMaxBytes) text = text.substr(0, kMaxBytes) + "...";
  return text;
}

}  // namespace

std::string FormatRunRecord(const RunRecord& record) {
  std::string text = ToJson(record).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  if (text.size() > kMaxRunRecordBytes) {
    throw Error(ErrorCode::kInvalidInput, std::string(kWhere) + " would have " + std::to_string(text.size()) +
                                              " bytes, more than " + std::to_string(kMaxRunRecordBytes));
  }
  // Whatever is written can be read: names and arguments are bounded there.
  (void)ParseRunRecord(text, std::string(kWhere));
  return text;
}

RunRecord ParseRunRecord(std::string_view text, const std::string& where) {
  if (text.size() > kMaxRunRecordBytes)
    throw Error(ErrorCode::kInvalidInput, where + " is larger than a run record may be");
  const json object = ParseJsonObject(text, where);
  JsonFields fields(object, where);
  if (fields.Unsigned("format", UINT32_MAX) != kRunRecordFormat)
    fields.Fail("format", "is not one that this program knows; use the version that wrote it");
  RunRecord record;
  record.study = fields.Text("study", kMaxNameBytes);
  record.program_version = fields.Text("program_version", kMaxNameBytes);
  record.torch_version = fields.Text("torch_version", kMaxNameBytes);
  record.command_line = fields.Texts("command_line", kMaxArguments, kMaxArgumentBytes);
  record.study_file = fields.Sha256Digest("study_file_sha256");
  record.inputs = ReadInputs(fields);
  record.seeds = ReadSeeds(fields);
  record.settings = ReadObject(fields, "settings");
  record.machine = ReadObject(fields, "machine");
  fields.RequireAllRead();
  return record;
}

void WriteRunRecord(FileSystem& files, const Path& path, const RunRecord& record) {
  WriteFileAtomically(files, path, FormatRunRecord(record));
}

std::vector<std::string> RunDifferences(const RunRecord& before, const RunRecord& now) {
  json old_values = ToJson(before);
  json new_values = ToJson(now);
  old_values.erase("command_line");
  new_values.erase("command_line");
  // Places of all single values, as JSON pointers (RFC 6901).
  const json old_places = old_values.flatten();
  const json new_places = new_values.flatten();
  std::set<std::string> places;
  for (const json* values : {&old_places, &new_places}) {
    for (const auto& [place, value] : values->items()) places.insert(place);
  }
  std::vector<std::string> out;
  for (const std::string& place : places) {
    const auto was = old_places.find(place);
    const auto is = new_places.find(place);
    if (was != old_places.end() && is != new_places.end() && *was == *is) continue;
    out.push_back(place.substr(1) + ": " + (is == new_places.end() ? "missing" : Brief(*is)) + ", was " +
                  (was == old_places.end() ? "missing" : Brief(*was)));
  }
  return out;
}

}  // namespace hemafed::studies
