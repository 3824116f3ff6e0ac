// site_agent/trainer/job_context.h
// SPDX-License-Identifier: Apache-2.0
//
// What the code of one kind of job works with: the job, its plan, the lab's pictures, the models it names, and where
// to leave results. Made by the JobRunner for one job; everything is borrowed for its time.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "codec/analytic_head.h"
#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/sealed_bundle.h"
#include "codec/site_settings.h"
#include "common/file_system.h"
#include "learning/continual/batch_source.h"
#include "learning/continual/exemplar_store.h"
#include "learning/models/classifier.h"
#include "site_agent/trainer/pictures.h"
#include "site_agent/trainer/trainer_folder.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

struct JobContext {
  FileSystem& files;
  const Job& job;
  const Plan& plan;
  const SiteSettings& settings;
  const TrainerFolder& folder;
  trainer::Vault& vault;
  Path work;  // Becomes the result's folder: files written here go with the report.
  // The lab's pictures, read at the first call.
  std::function<const trainer::Pictures&()> pictures;
  // An object of the shared folder; kCorrupt if its content does not have the digest of its name.
  std::function<Path(const Digest&)> object;
  // For people: what is being done and how far it is. Another phase starts another clock.
  std::function<void(const std::string& phase, std::uint64_t done, std::uint64_t total, std::uint64_t pictures_done)>
      progress;
  std::function<bool()> stop;
  std::function<void(const std::string&)> print;  // Lines for the lab's people.
  // The ephemeral key of a bundle; null, as in production: a random one (codec/sealed_bundle.h).
  std::function<HpkePrivateKey(const BundleAddress&)> ephemeral_key;

  [[nodiscard]] const TaskPlan& task() const { return plan.tasks[job.task]; }
  // kInvalidInput if it has another normalisation than the plan's, which training would silently keep.
  [[nodiscard]] learning::Classifier LoadModel(const Digest& digest) const;
  // The job's model, where it is a solved head: for the plan's features, and for the trunk that the job names.
  [[nodiscard]] AnalyticHead LoadHead() const;
  // Throws Error(kInterrupted) once somebody wants the trainer to stop.
  void RequireGoingOn() const;
  // What this site kept of its earlier tasks, cut to the room that lists have in the job's task.
  [[nodiscard]] learning::ExemplarStore EarlierExemplars() const;
  // What the job trains on: the task's pictures with the site's earlier exemplars (under `sealed` with those of earlier
  // hospitals too), or exemplars alone.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> TrainingSource() const;
};

// How the plan's strategy chooses exemplars.
[[nodiscard]] learning::ExemplarMix MixOf(const Plan& plan);
// Pictures of each of `classes` classes.
[[nodiscard]] std::vector<std::uint64_t> CountsByClass(const learning::BatchSource& source, std::size_t classes);

// Pictures of one forward pass outside training: memory, not meaning.
inline constexpr std::uint32_t kInferenceBatch = 32;

}  // namespace hemafed::trainer
