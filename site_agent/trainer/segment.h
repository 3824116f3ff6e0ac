// site_agent/trainer/segment.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-train segment`: finds the cell in each picture of a folder, and shows what was found. docs/segment.md has
// the layout of the output folder:
//
//     cells.csv       each found cell: file, detections, cell, x0, y0, x1, y1, score, crop
//     crops/          the crop of each picture that goes on, <file>.png
//     overlays/       each picture with what was found drawn on it, <file>.png
//     sheets/         contact sheets of the crops (crops-001.png ...) and of the pictures left (left-001.png ...)
//     report.txt      counts, and the pictures that do not go on with the reason; report.json the same for programs
//     found.jsonl     what was found so far (segment_journal.h): a run that was stopped goes on
//     lock            held while a run works on the folder
//
// A picture goes on if exactly one cell is found in it; with `take_best`, also if there are several: the one with the
// best score. One bad file never ends a run.
//
// min_score and take_best may change from run to run of one output folder: cells are counted anew from found.jsonl, and
// only pictures whose drawing or crop is then another one are done again. Everything else that changes the result needs
// an output folder of its own.
//
// Errors: kNotFound (no such folder); kInvalidInput (no picture in it, the output folder lies within it, no picture
// goes on: everything is written first); kConflict while another run works on the output folder; kConflict, kCorrupt
// (segment_journal.h); kInterrupted when `progress` says so: start again to go on. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "learning/features/cells/cell_crop.h"
#include "learning/features/cells/cell_finder.h"

namespace hemafed::trainer {

struct SegmentSettings {
  Path pictures;
  Path output;
  learning::CropSettings crop;
  double min_score = 0.0;  // cells below are not counted
  bool take_best = false;
};

struct LeftPicture {
  std::string file;
  std::string reason;  // for people
  std::uint64_t detections = 0;
};

struct SegmentSummary {
  std::string finder;
  std::uint64_t pictures = 0;     // files with the name of a picture
  std::uint64_t other_files = 0;  // without, hidden, or below masks/
  std::uint64_t unreadable = 0;   // no picture inside
  std::uint64_t with_none = 0, with_one = 0, with_several = 0;
  std::uint64_t used = 0;          // go on
  std::uint64_t from_journal = 0;  // found by an earlier run
  std::map<std::uint64_t, std::uint64_t> pictures_by_detections;
  std::vector<LeftPicture> left;  // in order of files
};

// Called after each picture with pictures done and in all; returns false to stop.
using SegmentProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

[[nodiscard]] SegmentSummary SegmentFolder(FileSystem& files, learning::CellFinder& finder,
                                           const SegmentSettings& settings, const SegmentProgress& progress = {});

// report.txt. Names at most `max_named` of the pictures left.
[[nodiscard]] std::string SegmentReport(const SegmentSummary& summary, std::size_t max_named = SIZE_MAX);

}  // namespace hemafed::trainer
