// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/pictures.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "common/random.h"

namespace hemafed::trainer {

namespace {

learning::ImportProgress NeverStop(const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
  return [&on_progress](std::uint64_t done, std::uint64_t total) {
    on_progress(done, total);
    return true;
  };
}

std::vector<std::int64_t> LabelsOf(const ClassSet& classes) { return {classes.begin(), classes.end()}; }

}  // namespace

Pictures::Pictures(FileSystem& files, const SiteSettings& settings, const Path& state_folder, const Plan& plan,
                   const std::function<void(std::uint64_t done, std::uint64_t total)>& on_progress)
    : pictures_(files,
                {.name = settings.site,
                 .folder = settings.pictures,
                 .layout = settings.layout,
                 .labels = settings.labels,
                 .crop = 0},
                state_folder, plan.classes, plan.model.input_px, plan.augmentation, NeverStop(on_progress)) {}

std::vector<std::uint32_t> Pictures::TrainPositions(const ClassSet& classes, const learning::ExemplarStore& own) const {
  const std::vector<std::uint32_t> task = pictures_.Positions(learning::DomainPart::kTrain, LabelsOf(classes));
  const std::vector<std::uint32_t> kept = PositionsOf(own);
  std::vector<std::uint32_t> all;
  std::set_union(task.begin(), task.end(), kept.begin(), kept.end(), std::back_inserter(all));
  return all;
}

std::unique_ptr<learning::BatchSource> Pictures::Train(const ClassSet& classes,
                                                       const learning::ExemplarStore& own) const {
  return pictures_.Batches(TrainPositions(classes, own), learning::TileThreads::kCaller);
}

std::unique_ptr<learning::BatchSource> Pictures::Test(const ClassSet& classes) const {
  return pictures_.Batches(pictures_.Positions(learning::DomainPart::kTest, LabelsOf(classes)));
}

std::unique_ptr<learning::BatchSource> Pictures::Rehearsal(const learning::ExemplarStore& store) const {
  return pictures_.Batches(PositionsOf(store), learning::TileThreads::kCaller);
}

std::unique_ptr<learning::BatchSource> Pictures::HeldOut(const ClassSet& classes, const learning::ExemplarStore& store,
                                                         std::uint32_t count, std::uint64_t seed) const {
  const std::vector<std::uint32_t> all = pictures_.Positions(learning::DomainPart::kTrain, LabelsOf(classes));
  const std::vector<std::uint32_t> kept = PositionsOf(store);
  std::vector<std::uint32_t> rest;
  std::set_difference(all.begin(), all.end(), kept.begin(), kept.end(), std::back_inserter(rest));
  RandomStream random(seed);
  std::vector<std::uint32_t> chosen;
  for (const std::uint32_t place : Permutation(static_cast<std::uint32_t>(rest.size()), random)) {
    if (chosen.size() < count) chosen.push_back(rest[place]);
  }
  std::sort(chosen.begin(), chosen.end());
  return pictures_.Batches(chosen);
}

std::vector<std::uint32_t> Pictures::PositionsOf(const learning::ExemplarStore& store) const {
  std::set<Digest> kept;
  for (const learning::ExemplarList& list : store.lists) {
    for (const auto* part : {&list.herding, &list.uncertainty}) {
      for (const learning::Exemplar& exemplar : *part) kept.insert(exemplar.picture);
    }
  }
  std::vector<std::uint32_t> positions;
  for (const std::uint32_t position : pictures_.Positions(learning::DomainPart::kTrain)) {
    if (kept.contains(pictures_.index().pictures[position].digest)) positions.push_back(position);
  }
  return positions;
}

std::string Pictures::Report() const { return pictures_.report(); }

}  // namespace hemafed::trainer
