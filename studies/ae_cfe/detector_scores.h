// studies/ae_cfe/detector_scores.h
// SPDX-License-Identifier: Apache-2.0
//
// What finders of cells did on the test pictures of several domains, as tables and JSON.
//
// Thread-safety: value types and free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/report/table.h"
#include "learning/features/cells/cell_finder.h"
#include "learning/features/cells/finder_score.h"

namespace hemafed::studies {

// One finder on one domain.
struct DomainScore {
  std::string domain;
  std::string finder;
  bool annotated = true;                    // false: detections are counted, nothing else
  bool masked = false;                      // whether any picture has masks
  learning::FinderScore counts;             // of the detections that are sure enough
  learning::AveragePrecision boxes, masks;  // of all detections
  std::uint64_t detections = 0;             // sure enough ones

  [[nodiscard]] double DetectionsPerPicture() const;
};

// Finds once and scores each picture twice: over everything, and over what is sure enough.
[[nodiscard]] DomainScore ScoreDomain(learning::CellFinder& finder, const std::string& name,
                                      const learning::AnnotatedDomain& domain, double min_score,
                                      const learning::ScoreProgress& progress);

// The test pictures of a domain without annotations, relative to its folder; files with "_aug" in their name are not
// originals and are left out. kInvalidInput or kNotFound where the manifest cannot be read.
[[nodiscard]] std::vector<std::string> TestPicturesOf(FileSystem& files, const Path& folder);

// How many cells are found in them.
[[nodiscard]] DomainScore CountDetections(learning::CellFinder& finder, const std::string& name, FileSystem& files,
                                          const Path& folder, double min_score,
                                          const learning::ScoreProgress& progress);

[[nodiscard]] report::Table ScoreTable(const std::vector<DomainScore>& scores);
[[nodiscard]] nlohmann::json ScoresToJson(const std::vector<DomainScore>& scores);

}  // namespace hemafed::studies
