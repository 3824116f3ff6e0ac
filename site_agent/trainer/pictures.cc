// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/pictures.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/extractor/cell_cache.h"
#include "learning/features/extractor/latent_batches.h"
#include "site_agent/trainer/trainer_folder.h"

namespace hemafed::trainer {

namespace {

learning::ImportProgress NeverStop(const Pictures::OnProgress& on_progress, const std::string& phase) {
  return [&on_progress, phase](std::uint64_t done, std::uint64_t total) {
    on_progress(phase, done, total);
    return true;
  };
}

std::vector<std::int64_t> LabelsOf(const ClassSet& classes) { return {classes.begin(), classes.end()}; }

std::set<Digest> PicturesOf(const learning::ExemplarStore& store) {
  std::set<Digest> pictures;
  for (const learning::ExemplarList& list : store.lists) {
    for (const auto* part : {&list.herding, &list.uncertainty}) {
      for (const learning::Exemplar& exemplar : *part) pictures.insert(exemplar.picture);
    }
  }
  return pictures;
}

}  // namespace

Pictures::Pictures(FileSystem& files, const SiteSettings& settings, const Path& state_folder, const Plan& plan,
                   const OnProgress& on_progress, const PictureTools& tools, std::set<Digest> withdrawn)
    : pictures_(files,
                {.name = settings.site,
                 .folder = settings.pictures,
                 .layout = settings.layout,
                 .labels = settings.labels,
                 .crop = 0},
                state_folder, plan.classes, plan.model.input_px, plan.augmentation,
                NeverStop(on_progress, "reading pictures")),
      files_(&files),
      withdrawn_(std::move(withdrawn)) {
  if (plan.model.extractor.has_value() != (tools.extractor != nullptr) ||
      plan.model.detector.has_value() != (tools.describer != nullptr)) {
    throw Error(ErrorCode::kInternal, "the pictures of " + settings.site + " were opened without the plan's tools");
  }
  const auto file = [&](const Digest& tool, std::string_view suffix) {
    return state_folder / (settings.site + "-" + tool.Hex().substr(0, 16) + std::string(suffix));
  };
  if (tools.extractor != nullptr) {
    latents_.emplace(files, pictures_, *tools.extractor, file(tools.extractor->digest(), kLatentsSuffix),
                     NeverStop(on_progress, "computing latents"));
  }
  if (tools.describer != nullptr) {
    // Cells are labelled by their place in the plan's classes: two plans of a study may order them in two ways.
    const std::string classes = Sha256Of(nlohmann::json(plan.classes).dump()).Hex().substr(0, 16);
    cells_ = file(tools.describer->digest(), "-" + classes + std::string(kCellsSuffix));
    // One hospital, so one domain; what it is called among the others, a job says.
    const std::vector<learning::DomainCells> sources{
        {.pictures = &pictures_, .positions = Positions(learning::DomainPart::kTrain), .domain = 0}};
    const learning::CellCache cache =
        learning::OpenCellCache(files, cells_, *tools.describer, sources, {}, NeverStop(on_progress, "finding cells"));
    cell_report_ = "cells of training pictures: " + std::to_string(cache.cells.size()) +
                   "; pictures without one: " + std::to_string(cache.Count(learning::CellOutcome::kNoCell)) +
                   "; unusable: " + std::to_string(cache.Count(learning::CellOutcome::kUnusable)) + "\n";
  }
}

bool Pictures::LacksCells() const { return !cells_.empty() && !files_->Exists(cells_); }

learning::FeatureCache Pictures::Cells() const {
  if (cells_.empty()) throw Error(ErrorCode::kInternal, "cells were asked for under a plan that learns from none");
  return learning::FeatureCache::Open(*files_, cells_);
}

std::unique_ptr<learning::BatchSource> Pictures::At(std::vector<std::uint32_t> positions,
                                                    learning::TileThreads threads) const {
  if (latents_) return std::make_unique<learning::LatentBatches>(*latents_, pictures_, std::move(positions));
  return pictures_.Batches(positions, threads);
}

std::vector<std::uint32_t> Pictures::Positions(learning::DomainPart part, std::span<const std::int64_t> labels) const {
  std::vector<std::uint32_t> positions = pictures_.Positions(part, labels);
  if (withdrawn_.empty()) return positions;
  std::erase_if(positions, [&](std::uint32_t position) {
    return withdrawn_.contains(pictures_.index().pictures[position].digest);
  });
  return positions;
}

std::vector<std::uint32_t> Pictures::TrainPositions(const ClassSet& classes, const learning::ExemplarStore& own) const {
  const std::vector<std::uint32_t> task = Positions(learning::DomainPart::kTrain, LabelsOf(classes));
  const std::vector<std::uint32_t> kept = PositionsOf(own);
  std::vector<std::uint32_t> all;
  std::set_union(task.begin(), task.end(), kept.begin(), kept.end(), std::back_inserter(all));
  return all;
}

std::unique_ptr<learning::BatchSource> Pictures::Train(const ClassSet& classes,
                                                       const learning::ExemplarStore& own) const {
  return At(TrainPositions(classes, own), learning::TileThreads::kCaller);
}

std::unique_ptr<learning::BatchSource> Pictures::Test(const ClassSet& classes) const {
  return At(Positions(learning::DomainPart::kTest, LabelsOf(classes)));
}

std::unique_ptr<learning::BatchSource> Pictures::Rehearsal(const learning::ExemplarStore& store) const {
  return At(PositionsOf(store), learning::TileThreads::kCaller);
}

std::unique_ptr<learning::BatchSource> Pictures::HeldOut(const ClassSet& classes, const learning::ExemplarStore& store,
                                                         std::uint32_t count, std::uint64_t seed) const {
  // Withdrawn pictures take part in the draw and are dropped from what it gives: so a withdrawal leaves fewer of the
  // same pictures, and a judge's counts before and after it can be compared (docs/round_log.md).
  const std::set<Digest> kept = PicturesOf(store);
  std::vector<std::uint32_t> rest = pictures_.Positions(learning::DomainPart::kTrain, LabelsOf(classes));
  const auto digest = [&](std::uint32_t position) { return pictures_.index().pictures[position].digest; };
  std::erase_if(rest, [&](std::uint32_t position) { return kept.contains(digest(position)); });
  RandomStream random(seed);
  std::vector<std::uint32_t> chosen;
  for (const std::uint32_t place : Permutation(static_cast<std::uint32_t>(rest.size()), random)) {
    if (chosen.size() < count) chosen.push_back(rest[place]);
  }
  std::erase_if(chosen, [&](std::uint32_t position) { return withdrawn_.contains(digest(position)); });
  std::sort(chosen.begin(), chosen.end());
  return At(std::move(chosen));
}

std::vector<std::uint32_t> Pictures::PositionsOf(const learning::ExemplarStore& store) const {
  const std::set<Digest> kept = PicturesOf(store);
  std::vector<std::uint32_t> positions;
  for (const std::uint32_t position : Positions(learning::DomainPart::kTrain)) {
    if (kept.contains(pictures_.index().pictures[position].digest)) positions.push_back(position);
  }
  return positions;
}

std::string Pictures::Report() const {
  if (!latents_) return pictures_.report() + cell_report_;
  return pictures_.report() + "latents: " + std::to_string(latents_->Count(learning::LatentOf::kCell)) +
         " of the best cell; of whole pictures, where none was found: " +
         std::to_string(latents_->Count(learning::LatentOf::kWholePicture)) +
         "; pictures of one colour: " + std::to_string(latents_->Count(learning::LatentOf::kNothing)) + "\n";
}

}  // namespace hemafed::trainer
