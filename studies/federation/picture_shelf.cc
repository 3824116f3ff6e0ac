// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/picture_shelf.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace hemafed::studies {

namespace {

// Of a plan's frozen files and the pictures that they take; empty where it has none.
std::string NameOf(const Plan& plan) {
  std::string name;
  for (const Digest& file : plan.model.FrozenFiles()) name += file.Hex() + " ";
  return name.empty() ? name : name + std::to_string(plan.model.input_px);
}

// Everything that an opening depends on.
std::string KeyOf(const SiteSettings& site, const Plan& plan) {
  const AugmentationPlan& change = plan.augmentation;
  const nlohmann::json key = {site.site,
                              site.pictures.string(),
                              static_cast<int>(site.layout),
                              site.labels.string(),
                              plan.classes,
                              plan.model.input_px,
                              NameOf(plan),
                              {change.flips, static_cast<int>(change.rotation), change.brightness, change.contrast,
                               change.saturation, change.hue, change.zoom, change.shift, change.blur}};
  return key.dump();
}

}  // namespace

PictureShelf::PictureShelf(FileSystem& files, Path cache_folder, OnProgress on_progress)
    : files_(files), cache_(std::move(cache_folder)), on_progress_(std::move(on_progress)) {}

bool PictureShelf::HasExtractor(const Plan& plan) const { return extractors_.contains(NameOf(plan)); }

void PictureShelf::AddExtractor(const Plan& plan, std::shared_ptr<const learning::LatentExtractor> extractor) {
  const std::lock_guard lock(mutex_);
  extractors_.emplace(NameOf(plan), std::move(extractor));
}

bool PictureShelf::HasDescriber(const Plan& plan) const { return describers_.contains(NameOf(plan)); }

void PictureShelf::AddDescriber(const Plan& plan, std::shared_ptr<const learning::CellDescriber> describer) {
  const std::lock_guard lock(mutex_);
  describers_.emplace(NameOf(plan), std::move(describer));
}

std::shared_ptr<const trainer::Pictures> PictureShelf::Open(const SiteSettings& site, const Plan& plan) {
  const std::lock_guard lock(mutex_);
  auto& pictures = shelf_[KeyOf(site, plan)];
  if (!pictures) {
    const Path folder = cache_ / site.site;
    files_.CreateFolders(folder);
    pictures = std::make_shared<const trainer::Pictures>(
        files_, site, folder, plan,
        [&](const std::string& phase, std::uint64_t done, std::uint64_t total) {
          if (on_progress_) on_progress_(site.site, phase, done, total);
        },
        trainer::PictureTools{.extractor = plan.model.extractor ? extractors_.at(NameOf(plan)).get() : nullptr,
                              .describer = plan.model.detector ? describers_.at(NameOf(plan)).get() : nullptr});
  }
  return pictures;
}

}  // namespace hemafed::studies
