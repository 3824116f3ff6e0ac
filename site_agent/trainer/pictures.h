// site_agent/trainer/pictures.h
// SPDX-License-Identifier: Apache-2.0
//
// A lab's pictures as the trainer uses them (learning/data/domain_pictures.h): handed to the learning code by split or
// by exemplar list. Under a plan of the architecture ae_cfe what is handed out are latents, under one that trains an
// autoencoder the cells of the training pictures (learning/features/extractor/).
//
// Errors: kNotFound (no pictures folder), kInvalidInput (label map); bad pictures are counted and named, never fatal.
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/file_system.h"
#include "learning/continual/batch_source.h"
#include "learning/continual/exemplar_store.h"
#include "learning/data/domain_pictures.h"
#include "learning/features/autoencoder/feature_cache.h"
#include "learning/features/extractor/cell_describer.h"
#include "learning/features/extractor/latent_table.h"

namespace hemafed::trainer {

// What a plan's frozen files do with pictures; null where the plan has none of the kind.
struct PictureTools {
  const learning::LatentExtractor* extractor = nullptr;  // architecture ae_cfe
  const learning::CellDescriber* describer = nullptr;    // architecture cell_autoencoder
};

class Pictures {
 public:
  // `on_progress` is called while pictures are read and decoded, and while latents are computed; it may throw to stop.
  // All borrowed during the call but `files` for good, and `withdrawn`: pictures that are in no source, though their
  // files may still be there. `tools`: those that the plan needs.
  using OnProgress = std::function<void(const std::string& phase, std::uint64_t done, std::uint64_t total)>;
  Pictures(FileSystem& files, const SiteSettings& settings, const Path& state_folder, const Plan& plan,
           const OnProgress& on_progress, const PictureTools& tools = {}, std::set<Digest> withdrawn = {});

  // Training pictures of these classes, and those that the lists name beside them: what an active site learns from.
  [[nodiscard]] std::vector<std::uint32_t> TrainPositions(const ClassSet& classes,
                                                          const learning::ExemplarStore& own) const;
  [[nodiscard]] std::unique_ptr<learning::BatchSource> Train(const ClassSet& classes,
                                                             const learning::ExemplarStore& own = {}) const;
  // Test pictures of these classes.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> Test(const ClassSet& classes) const;
  // The training pictures that the lists name, in the source's own order (by digest). Pictures that are gone are left
  // out.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> Rehearsal(const learning::ExemplarStore& store) const;
  // Up to `count` training pictures of these classes that no list names, drawn before the withdrawn ones are left out.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> HeldOut(const ClassSet& classes,
                                                               const learning::ExemplarStore& store,
                                                               std::uint32_t count, std::uint64_t seed) const;
  // Chosen pictures, ascending positions of the domain's index.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> At(
      std::vector<std::uint32_t> positions, learning::TileThreads threads = learning::TileThreads::kLibTorch) const;
  // Of plans that train an autoencoder: the best cell of each training picture that has one, all of domain 0. A reader
  // of its own for each caller.
  [[nodiscard]] learning::FeatureCache Cells() const;
  // Whether their file was removed since it was made, by a withdrawal: another Pictures makes it anew.
  [[nodiscard]] bool LacksCells() const;
  // What was imported and what was skipped and why, for people.
  [[nodiscard]] std::string Report() const;
  [[nodiscard]] const learning::DomainPictures& domain() const { return pictures_; }

 private:
  [[nodiscard]] std::vector<std::uint32_t> Positions(learning::DomainPart part,
                                                     std::span<const std::int64_t> labels = {}) const;
  [[nodiscard]] std::vector<std::uint32_t> PositionsOf(const learning::ExemplarStore& store) const;

  learning::DomainPictures pictures_;
  std::optional<learning::LatentTable> latents_;  // Of plans with an extractor.
  FileSystem* files_;
  Path cells_;               // File, of plans that train an autoencoder; else empty.
  std::string cell_report_;  // What became of the pictures there.
  std::set<Digest> withdrawn_;
};

}  // namespace hemafed::trainer
