// learning/data/domain_pictures.h
// SPDX-License-Identifier: Apache-2.0
//
// The pictures of one domain, ready for learning: imported, decoded once into tiles, handed out as batches. What the
// trainer of a lab and a study share.
//
// The pictures' folder is read again on every opening: a picture that was withdrawn is gone with it. Tiles are kept in
// the state folder by the digest of the index, so nothing is decoded twice as long as nothing changed.
//
// Parts: training and test pictures as the import splits them; and, for choosing settings without looking at test
// pictures (design 11.2), the training pictures without a fifth, and that fifth.
//
// Errors: kNotFound (no such folder), kInvalidInput (label map, tables), kInterrupted when `progress` asks to stop. Bad
// pictures are counted and named, never fatal. Thread-safety: const calls from several threads; each source that is
// handed out belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/file_system.h"
#include "learning/continual/batch_source.h"
#include "learning/data/import.h"
#include "learning/data/tile_batches.h"
#include "learning/data/tile_cache.h"

namespace hemafed::learning {

// Where a domain's pictures are and what they are called.
struct DomainSource {
  std::string name;
  Path folder;
  PictureLayout layout = PictureLayout::kManifest;
  Path labels;             // label map
  std::uint32_t crop = 0;  // pixels of the picture that are used, from its middle; 0: all of it (tile_cache.h)
};

enum class DomainPart : std::uint8_t {
  kTrain,      // all training pictures
  kTest,       // test pictures
  kFit,        // training pictures without kValidation
  kValidation  // a fifth of the training pictures (split_rule.h)
};

class DomainPictures {
 public:
  // `classes` fixes the labels of what is handed out; a class of the label map that is not among them is an error.
  DomainPictures(FileSystem& files, const DomainSource& source, const Path& state_folder,
                 std::vector<std::string> classes, std::uint32_t side, const AugmentationPlan& augmentation,
                 const ImportProgress& progress = {});

  [[nodiscard]] const DatasetIndex& index() const { return index_; }
  // What was imported, what was skipped and why, for people.
  [[nodiscard]] const std::string& report() const { return report_; }
  // Files that were left out, whatever the reason.
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  // Positions in the index of one part, ascending, of these labels only (all of them if `labels` is empty).
  [[nodiscard]] std::vector<std::uint32_t> Positions(DomainPart part, std::span<const std::int64_t> labels = {}) const;
  // Label of one picture: the place of its class among `classes`.
  [[nodiscard]] std::int64_t Label(std::uint32_t position) const;
  // kCaller is for pictures that loaders fetch ahead of training.
  [[nodiscard]] std::unique_ptr<BatchSource> Batches(const std::vector<std::uint32_t>& positions,
                                                     TileThreads threads = TileThreads::kLibTorch) const;
  [[nodiscard]] const TileShape& shape() const { return tiles_.shape(); }
  // What labels are places in.
  [[nodiscard]] const std::vector<std::string>& classes() const { return classes_; }
  // Tile of one picture, RGB.
  [[nodiscard]] cv::Mat Tile(std::uint32_t position) const;

 private:
  std::vector<std::string> classes_;
  AugmentationPlan augmentation_;
  std::string report_;  // These two before index_: the import makes all three.
  std::uint64_t left_out_ = 0;
  DatasetIndex index_;
  std::vector<std::int64_t> label_of_class_;  // of the index
  TileCache tiles_;
};

}  // namespace hemafed::learning
