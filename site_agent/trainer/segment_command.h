// site_agent/trainer/segment_command.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-train segment` and `hemafed-train score-finder`, without the parsing of their options.
//
// Thread-safety: once per process.
#pragma once

#include <string>
#include <vector>

#include "learning/features/cells/annotated_picture.h"
#include "site_agent/trainer/segment.h"

namespace hemafed::trainer {

// Runs the finder over a folder, shows progress on standard error and prints the report on standard output; its list of
// pictures left is cut at kMaxNamedOnScreen, report.txt has them all.
inline constexpr std::size_t kMaxNamedOnScreen = 20;
void RunSegment(FileSystem& files, learning::CellFinder& finder, const SegmentSettings& settings);

// Prints how well the finder agrees with the annotations of each folder (docs/segment.md): a row a domain, as a
// Markdown table, and what was left out of the annotations.
void RunScoreFinder(FileSystem& files, learning::CellFinder& finder, const std::vector<std::string>& domains,
                    learning::Split split);

}  // namespace hemafed::trainer
