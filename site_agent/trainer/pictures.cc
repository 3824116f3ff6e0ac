// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/pictures.h"

#include <optional>
#include <set>
#include <utility>

#include "common/error.h"
#include "learning/data/dataset_index.h"
#include "learning/data/import.h"
#include "learning/data/label_map.h"
#include "learning/data/tile_batches.h"
#include "learning/data/tile_cache.h"

namespace hemafed::trainer {

namespace {

learning::Import ImportPictures(FileSystem& files, const SiteSettings& settings,
                                const learning::ImportProgress& progress) {
  const auto labels = learning::LabelMap::Load(files, settings.labels);
  if (settings.layout == PictureLayout::kFolders) {
    return learning::ImportTree(files, settings.pictures, settings.site, labels, {}, progress);
  }
  return learning::ImportManifest(files, settings.pictures, settings.site, labels, progress);
}

}  // namespace

struct Pictures::State {
  learning::DatasetIndex index;
  learning::TileCache tiles;
  std::vector<std::string> classes;
  AugmentationPlan augmentation;
  std::string report;

  [[nodiscard]] std::unique_ptr<learning::BatchSource> Batches(const std::vector<std::uint32_t>& positions) const {
    return std::make_unique<learning::TileBatches>(tiles, index, positions, classes, augmentation);
  }
};

Pictures::Pictures(FileSystem& files, const SiteSettings& settings, const Path& state_folder, const Plan& plan,
                   const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress) {
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    on_progress(done, total);
    return true;
  };
  // The pictures' folder is read again on every start: a picture that was withdrawn is gone with it. Tiles are kept by
  // the index's digest, so nothing is decoded twice as long as nothing changed.
  learning::Import import = ImportPictures(files, settings, progress);
  learning::SaveIndex(files, state_folder / (settings.site + ".index"), import.index);
  learning::TileCache tiles = learning::TileCache::OpenOrBuild(
      files, settings.pictures, import.index, {.side = plan.model.input_px, .crop = 0}, state_folder, progress);
  state_ = std::make_unique<State>(State{.index = std::move(import.index),
                                         .tiles = std::move(tiles),
                                         .classes = plan.classes,
                                         .augmentation = plan.augmentation,
                                         .report = import.report.ToText()});
}

Pictures::~Pictures() = default;

std::unique_ptr<learning::BatchSource> Pictures::Train() const {
  return state_->Batches(state_->index.Positions(learning::Split::kTrain));
}

std::unique_ptr<learning::BatchSource> Pictures::Test() const {
  return state_->Batches(state_->index.Positions(learning::Split::kTest));
}

std::unique_ptr<learning::BatchSource> Pictures::Rehearsal(const learning::ExemplarStore& store) const {
  std::set<Digest> kept;
  for (const learning::ExemplarList& list : store.lists) {
    for (const auto* part : {&list.herding, &list.uncertainty}) {
      for (const learning::Exemplar& exemplar : *part) kept.insert(exemplar.picture);
    }
  }
  std::vector<std::uint32_t> positions;
  for (const std::uint32_t position : state_->index.Positions(learning::Split::kTrain)) {
    if (kept.contains(state_->index.pictures[position].digest)) positions.push_back(position);
  }
  return state_->Batches(positions);
}

std::string Pictures::Report() const { return state_->report; }

}  // namespace hemafed::trainer
