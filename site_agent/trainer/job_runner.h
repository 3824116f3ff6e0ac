// site_agent/trainer/job_runner.h
// SPDX-License-Identifier: Apache-2.0
//
// Runs one job of the job folder (docs/job_folder.md) and leaves its result. A job is a pure function of its text, the
// plan, the models it names and the lab's pictures, so a job that was interrupted is simply run again.
//
//   commit    counts of the pictures, or of the exemplars, that the task will train with
//   train     S steps from the base model (learning/continual/local_training.h), then
//             q = round_half_even((theta_local - theta_base + residual) 2^22) into update.hfu (codec/update.h)
//   select    exemplars by herding and MC-dropout uncertainty into the vault
//   evaluate  confusion matrix on the test pictures
//
// The trainer refuses what does not fit: a plan or model whose content does not have its digest, a job of another site.
//
// Errors: kInvalidInput, kCorrupt, kNoSpace and those of learning/; the job stays to be run again. Thread-safety: one
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "site_agent/trainer/pictures.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

struct TrainerFolder {
  Path root;

  [[nodiscard]] Path Vault() const { return root / "vault"; }
  [[nodiscard]] Path Pictures() const { return root / "pictures"; }
  [[nodiscard]] Path Residuals() const { return root / "residuals"; }
};

struct RunnerHooks {
  std::function<bool()> stop;                     // Asked after each step; true ends the job with Error(kInterrupted).
  std::function<void(const std::string&)> print;  // Lines for the lab's people.
  // Where the lab's pictures come from; null: the runner opens them itself. A simulation shares them among its runs.
  std::function<std::shared_ptr<const Pictures>(const SiteSettings&, const Plan&)> pictures = {};
};

class JobRunner {
 public:
  // All borrowed.
  JobRunner(FileSystem& files, const Clock& clock, JobFolder jobs, TrainerFolder folder, SiteSettings settings,
            RunnerHooks hooks);

  // Runs the first job of todo/ that has no result yet; false if there is none.
  bool RunNext();

 private:
  struct Work;  // One job with plan and pictures at hand.

  [[nodiscard]] std::optional<Job> NextJob() const;
  void Run(const Job& job);
  [[nodiscard]] const Plan& PlanOf(const Digest& digest);
  [[nodiscard]] const Pictures& PicturesFor(const Job& job);
  [[nodiscard]] nlohmann::json Commit(const Job& job);
  [[nodiscard]] nlohmann::json Train(const Job& job, const Path& work);
  [[nodiscard]] nlohmann::json Select(const Job& job);
  [[nodiscard]] nlohmann::json Evaluate(const Job& job);
  [[nodiscard]] nlohmann::json Judge(const Job& job);
  [[nodiscard]] Path ModelFile(const Digest& digest) const;
  [[nodiscard]] std::unique_ptr<learning::BatchSource> TrainingSource(const Job& job);
  // What this site kept of its earlier tasks, cut to the room that lists have in the job's task.
  [[nodiscard]] learning::ExemplarStore EarlierExemplars(const Job& job);
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
  std::int64_t phase_started_ms_ = 0;
  std::int64_t progress_written_ms_ = 0;
};

}  // namespace hemafed::trainer
