// studies/federation/federation_run.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes one run of a federated study: simulates a plan with one seed to its end, scores every task's model on every
// test set, lets the auditor replay the log, and leaves a FederationResult. A run that was stopped anywhere goes on and
// ends with the same result; one that is done is only read.
//
// What the sites signed and what the simulation counted must be the same figures: a difference is an Error(kInternal).
//
// Errors: kConflict if the folder was made from something else; those of Simulation. An auditor's finding is a value.
// Thread-safety: one thread for each run; several runs at once are independent.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/file_system.h"
#include "studies/federation/federation_result.h"
#include "studies/federation/picture_shelf.h"
#include "studies/federation/site_list.h"
#include "studies/federation/test_columns.h"
#include "studies/local_federation/poison.h"

namespace hemafed::studies {

struct FederationPlace {
  FileSystem* files = nullptr;
  const Clock* clock = nullptr;  // This machine's.
  PictureShelf* shelf = nullptr;
  const SiteList* sites = nullptr;
  Path folder;               // Of all runs.
  bool keep_updates = true;  // False: raw updates and models between tasks go once the audit was done.
};

struct FederationRun {
  std::string arm;   // Name of the plan's file.
  std::string plan;  // Its text, with the seed put in.
  std::uint64_t seed = 0;
  std::map<Digest, Path> models;  // Of ModelPlan::Files().
  std::optional<PoisonSettings> poison;

  [[nodiscard]] std::string Name() const { return arm + "/seed-" + std::to_string(seed); }
};

// A few words and the pictures drawn so far; may throw to stop.
using FederationTalk = std::function<void(const std::string& words, std::uint64_t pictures)>;

// Training draws of a whole run, for time left.
[[nodiscard]] std::uint64_t PicturesOf(const Plan& plan);

[[nodiscard]] FederationResult MakeRun(const FederationPlace& place, const FederationRun& run,
                                       const FederationTalk& talk);

}  // namespace hemafed::studies
