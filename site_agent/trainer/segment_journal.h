// site_agent/trainer/segment_journal.h
// SPDX-License-Identifier: Apache-2.0
//
// What `hemafed-train segment` has found so far, so that a run that was stopped goes on where it was. One JSON object a
// line, UTF-8, line ends LF:
//
//     {"settings": {...}, "version": 2}                                               first line
//     {"cells": [[x0, y0, x1, y1, score], ...], "drawn": count,
//      "file": text, "sha256": hex}                                one line for each picture, any order
//
// `cells` are all that were found, best score first; `drawn` says how many of them counted and are in the drawing. What
// counts may change from run to run; then a picture whose drawing shows other cells is done again.
//
// A line is added after the picture's crop and drawing are on the disk. A last line without a line end was being
// written when the program was stopped: it is cut off and its picture done again. Damage anywhere else is an error. A
// later line about the same file replaces an earlier one (the picture was changed in between).
//
// Errors: kConflict, naming what differs, if the journal was begun with other settings or by another version of this
// program; kCorrupt, with the line, if it is damaged. Thread-safety: one object, one thread; one process a folder.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/features/cells/found_cell.h"

namespace hemafed::trainer {

inline constexpr std::string_view kSegmentJournalFile = "found.jsonl";
// A line of the journal has about 200 bytes, and a domain at most 250,000 pictures.
inline constexpr std::uint64_t kMaxSegmentJournalBytes = 256u << 20;
// Cells of one picture: a field of view of 12 megapixels has some dozens.
inline constexpr std::size_t kMaxCellsPerPicture = 2000;

struct JournalEntry {
  Digest digest;                           // of the picture's file
  std::vector<learning::FoundCell> cells;  // without masks, best score first
  std::size_t drawn = 0;                   // of them, the best ones
};

class SegmentJournal {
 public:
  // Opens or begins the journal in `folder`. `settings`: a JSON object with all that changes what is found and how it
  // is drawn and cropped. `files` is borrowed.
  SegmentJournal(FileSystem& files, const Path& folder, const std::string& settings);

  // What is known of a file with this content; nothing if it is new or was changed.
  [[nodiscard]] const JournalEntry* Find(const std::string& file, const Digest& digest) const;
  void Add(const std::string& file, const JournalEntry& entry);
  void Sync();

 private:
  void ReadBack(const std::string& text, const std::string& header);

  std::string where_;
  std::map<std::string, JournalEntry> entries_;
  std::unique_ptr<WritableFile> file_;
};

}  // namespace hemafed::trainer
