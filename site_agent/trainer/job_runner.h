// site_agent/trainer/job_runner.h
// SPDX-License-Identifier: Apache-2.0
//
// Runs one job of the job folder (docs/job_folder.md) and leaves its result. A job is a pure function of its text, the
// plan, the models it names and the lab's pictures, so a job that was interrupted is simply run again. What each kind
// does: jobs.h.
//
// The trainer refuses what does not fit: a plan or model whose content does not have its digest, a job of another site.
//
// Errors: kInvalidInput, kCorrupt, kNoSpace and those of learning/; the job stays to be run again. Thread-safety: one
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "site_agent/trainer/job_context.h"
#include "site_agent/trainer/pictures.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

struct RunnerHooks {
  std::function<bool()> stop;                     // Asked after each step; true ends the job with Error(kInterrupted).
  std::function<void(const std::string&)> print;  // Lines for the lab's people.
  // Where the lab's pictures come from; null: the runner opens them itself. A simulation shares them among its runs.
  std::function<std::shared_ptr<const Pictures>(const SiteSettings&, const Plan&)> pictures = {};
  // Opens a plan's detector and autoencoder; null: learning::LoadCellLatents. Tests give simple ones.
  std::function<std::unique_ptr<const learning::LatentExtractor>(const Path& detector, const Path& autoencoder)>
      extractor = {};
  // Opens the detector of a plan that trains an autoencoder; null: learning::LoadCellDescriber.
  std::function<std::unique_ptr<const learning::CellDescriber>(const Path& detector)> describer = {};
  // Ephemeral keys of sealed bundles; null: random ones. Only a simulation gives them, so that its log is the same
  // every time; each address must get another key.
  std::function<HpkePrivateKey(const BundleAddress&)> ephemeral_key = {};
};

class JobRunner {
 public:
  // All borrowed.
  JobRunner(FileSystem& files, const Clock& clock, JobFolder jobs, TrainerFolder folder, SiteSettings settings,
            RunnerHooks hooks);

  // Runs the first job of todo/ that has no result yet; false if there is none.
  bool RunNext();

 private:
  [[nodiscard]] std::optional<Job> NextJob() const;
  void Run(const Job& job);
  [[nodiscard]] const Plan& PlanOf(const Digest& digest);
  [[nodiscard]] const Pictures& PicturesFor(const Job& job);
  [[nodiscard]] Path CheckedObject(const Digest& digest) const;
  void Progress(const Job& job, const std::string& phase, std::uint64_t done, std::uint64_t total,
                std::uint64_t pictures_done);

  FileSystem& files_;
  const Clock& clock_;
  JobFolder jobs_;
  TrainerFolder folder_;
  SiteSettings settings_;
  RunnerHooks hooks_;
  Vault vault_;
  std::optional<std::pair<Digest, Plan>> plan_;
  std::optional<std::pair<Digest, std::shared_ptr<const Pictures>>> pictures_;  // By plan.
  std::set<Digest> withdrawn_;                                                  // That `pictures_` leaves out.
  std::string phase_;                                                           // What is being done now, for progress.
  std::int64_t phase_started_ms_ = 0;
  std::int64_t progress_written_ms_ = 0;
};

}  // namespace hemafed::trainer
