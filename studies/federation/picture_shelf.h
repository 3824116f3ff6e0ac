// studies/federation/picture_shelf.h
// SPDX-License-Identifier: Apache-2.0
//
// The pictures of a simulation's sites, opened once and shared by all trainers and runs of this process. Two plans that
// differ in what becomes of a picture (classes, input size, augmentation) get two openings; their tiles lie in one
// folder a site, by content.
//
// Errors: those of trainer::Pictures; whatever `on_progress` throws. Thread-safety: Open from several threads, one
// opening at a time; what it returns may be used by several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/file_system.h"
#include "site_agent/trainer/pictures.h"

namespace hemafed::studies {

class PictureShelf {
 public:
  // Called while pictures are read; may throw to stop.
  using OnProgress =
      std::function<void(const std::string& site, const std::string& phase, std::uint64_t done, std::uint64_t total)>;

  // `files` is borrowed.
  PictureShelf(FileSystem& files, Path cache_folder, OnProgress on_progress);

  // For this plan and all others with the same detector, autoencoder and input, before any of them is opened.
  [[nodiscard]] bool HasExtractor(const Plan& plan) const;
  void AddExtractor(const Plan& plan, std::shared_ptr<const learning::LatentExtractor> extractor);
  // Likewise for plans that train an autoencoder, with the same detector and input.
  [[nodiscard]] bool HasDescriber(const Plan& plan) const;
  void AddDescriber(const Plan& plan, std::shared_ptr<const learning::CellDescriber> describer);
  [[nodiscard]] std::shared_ptr<const trainer::Pictures> Open(const SiteSettings& site, const Plan& plan);

 private:
  FileSystem& files_;
  Path cache_;
  OnProgress on_progress_;
  std::map<std::string, std::shared_ptr<const learning::LatentExtractor>> extractors_;
  std::map<std::string, std::shared_ptr<const learning::CellDescriber>> describers_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const trainer::Pictures>> shelf_;
};

}  // namespace hemafed::studies
