// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/segment_journal.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/json_fields.h"
#include "learning/data/path_rules.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

constexpr int kVersion = 2;
constexpr std::size_t kMaxHeaderBytes = 1 << 16;  // of a first line that is looked into: two paths and some numbers
constexpr std::size_t kMaxValueShown = 200;       // bytes of a foreign value in a message

learning::FoundCell CellFrom(const json& numbers, const std::string& where) {
  std::array<double, 5> values{};
  bool fits = numbers.is_array() && numbers.size() == values.size();
  for (std::size_t i = 0; fits && i < values.size(); ++i) {
    fits = numbers[i].is_number();
    if (fits) values[i] = numbers[i].get<double>();
    fits = fits && std::isfinite(values[i]) && std::abs(values[i]) <= 1e6;
  }
  const auto [x0, y0, x1, y1, score] = values;
  if (!fits || x0 >= x1 || y0 >= y1)
    throw Error(ErrorCode::kInvalidInput, where + ": a cell is not x0, y0, x1, y1, score");
  return {cv::Rect2f(static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1 - x0),
                     static_cast<float>(y1 - y0)),
          static_cast<float>(score),
          {}};
}

std::string Shown(const json& settings, const std::string& key) {
  return settings.contains(key) ? learning::Printable(settings.at(key).dump().substr(0, kMaxValueShown)) : "not there";
}

// What the settings of the first line say other than the settings now. Nothing is trusted of a line that differs.
std::string Difference(const std::string& before, const std::string& now) {
  const char* other_version = "by another version of this program";
  if (before.size() > kMaxHeaderBytes) return other_version;
  const json then = json::parse(before, nullptr, /*allow_exceptions=*/false);
  if (!then.is_object() || !then.contains("settings") || !then.at("settings").is_object() ||
      !then.contains("version") || then.at("version") != kVersion) {
    return other_version;
  }
  const json settings = json::parse(now).at("settings");
  std::string words;
  for (const auto& [key, value] : settings.items()) {
    const json& old = then.at("settings");
    if (old.contains(key) && old.at(key) == value) continue;
    words += (words.empty() ? "with other settings: " : "; ") + key + " was " + Shown(old, key) + ", is " +
             Shown(settings, key);
  }
  return words.empty() ? "with settings that this program does not know" : words;
}

}  // namespace

SegmentJournal::SegmentJournal(FileSystem& files, const Path& folder, const std::string& settings) {
  const Path path = folder / kSegmentJournalFile;
  where_ = path.string();
  const std::string header = json{{"version", kVersion}, {"settings", json::parse(settings)}}.dump();
  std::string text;
  if (files.Exists(path)) {
    text = ReadFile(files, path, kMaxSegmentJournalBytes);
    const std::size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
    if (whole < text.size()) {
      text.resize(whole);
      files.Truncate(path, whole);
    }
    ReadBack(text, header);
  }
  file_ = files.OpenForAppend(path);
  if (text.empty()) file_->Append(header + "\n");
}

void SegmentJournal::ReadBack(const std::string& text, const std::string& header) {
  std::size_t line = 0;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = text.find('\n', from);
    const std::string words = text.substr(from, end - from);
    from = end + 1;
    if (++line == 1) {
      if (words == header) continue;
      throw Error(ErrorCode::kConflict, where_ + " was begun " + Difference(words, header) +
                                            ". Name another output folder, ask for what this one was made with, or "
                                            "remove it to find all cells again");
    }
    const std::string where = where_ + " line " + std::to_string(line);
    try {
      const json object = ParseJsonObject(words, where);
      JsonFields fields(object, where);
      const std::string file = fields.Text("file", learning::kMaxPicturePathBytes);
      JournalEntry entry{fields.Sha256Digest("sha256"), {}, 0};
      entry.drawn = fields.Unsigned("drawn", kMaxCellsPerPicture);
      const json& cells = fields.Raw("cells");
      fields.RequireAllRead();
      if (!cells.is_array() || cells.size() > kMaxCellsPerPicture) {
        throw Error(ErrorCode::kInvalidInput, where + ": 'cells' is not a list of cells");
      }
      for (const json& numbers : cells) entry.cells.push_back(CellFrom(numbers, where));
      if (entry.drawn > entry.cells.size()) {
        throw Error(ErrorCode::kInvalidInput, where + ": more cells are drawn than were found");
      }
      entries_.insert_or_assign(file, std::move(entry));
    } catch (const Error& error) {
      throw Error(ErrorCode::kCorrupt, std::string(error.what()) + "; remove " + where_ + " to find all cells again");
    }
  }
}

const JournalEntry* SegmentJournal::Find(const std::string& file, const Digest& digest) const {
  const auto found = entries_.find(file);
  return found == entries_.end() || found->second.digest != digest ? nullptr : &found->second;
}

void SegmentJournal::Add(const std::string& file, const JournalEntry& entry) {
  json cells = json::array();
  for (const learning::FoundCell& cell : entry.cells) {
    cells.push_back(json::array({double{cell.box.x}, double{cell.box.y}, double{learning::Right(cell.box)},
                                 double{learning::Bottom(cell.box)}, double{cell.score}}));
  }
  file_->Append(json{{"file", file}, {"sha256", entry.digest.Hex()}, {"cells", cells}, {"drawn", entry.drawn}}.dump() +
                "\n");
  entries_.insert_or_assign(file, entry);
}

void SegmentJournal::Sync() { file_->Sync(); }

}  // namespace hemafed::trainer
