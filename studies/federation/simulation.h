// studies/federation/simulation.h
// SPDX-License-Identifier: Apache-2.0
//
// Runs one plan to its end in one thread: the coordinator's service, and for each site of the plan the agent's session
// and the trainer's job runner, exactly those of the programs, over a network in memory and under virtual time.
//
// Plan, pictures, weights and key seed fix every byte of the log, so its root is the same every time, also after
// interruptions; and every model has the digest that the same plan gives with real processes. For that, what happens
// next is a function of the log: waiting messages first, in ascending order of the sites; then the first site (in the
// same order) that has a job runs it; time passes with entries (virtual_clock.h).
//
// Folder:
//     consortium/     as a coordinator leaves it: `hemafed-audit replay` works on it with trust.json
//     sites/<site>/   as a lab leaves it, without the models and results that it no longer needs
//     trust.json      for auditors; the keys are derived and secret to nobody (derived_keys.h)
//     begun.json      what the simulation was begun with; its presence says that all sites have joined
//     course.json     bytes moved and seconds so far
//
// A simulation that was stopped, or killed, goes on from its log as the coordinator does after a crash. Files are not
// synced: after a loss of power, remove the folder (the log tells by itself if it was damaged).
//
// Errors: kConflict if the folder was begun with another plan, other pictures or other weights, or if the federation
// stands still (the message says where); those of service, session and trainer; whatever the observer throws.
// Thread-safety: one thread for each simulation; several at once are independent.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/site_settings.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/folder_lock.h"
#include "site_agent/trainer/job_runner.h"
#include "studies/federation/picture_shelf.h"
#include "studies/local_federation/local_federation.h"
#include "studies/local_federation/poison.h"
#include "studies/local_federation/unsynced_file_system.h"
#include "studies/local_federation/virtual_clock.h"

namespace hemafed::studies {

inline constexpr std::string_view kConsortiumName = "simulation";
// Weights of 250 M parameters: ten times the largest network here.
inline constexpr std::uint64_t kMaxWeightsBytes = std::uint64_t{1} << 30;

struct SimulationSettings {
  Path folder;
  std::string plan;                           // Text of the plan.
  std::map<std::string, SiteSettings> sites;  // At least those of the plan.
  std::map<Digest, Path> models;              // Files that the plan names: all of ModelPlan::Files().
  std::uint64_t key_seed = 0;
  Digest made_from;  // Of everything else that results depend on, pictures above all.
  std::optional<PoisonSettings> poison;
};

struct SimulationProgress {
  std::size_t task = 0, tasks = 0;  // The task counts from 0.
  std::uint32_t round = 0;          // From 0.
  std::string what;                 // "raabin: training", "finished"
  std::uint64_t pictures = 0;       // Drawn for training so far.
};

// What a finished simulation leaves beside its log.
struct SimulationCourse {
  std::uint64_t bytes_to_sites = 0, bytes_from_sites = 0;  // As protocol/wire/traffic.h counts them.
  std::uint64_t seconds_thousandths = 0;                   // Of this machine's time, over all resumptions.
};

class Simulation {
 public:
  // Called often; may throw to stop.
  using Observer = std::function<void(const SimulationProgress&)>;

  // Founds the consortium and enrols the sites, or opens what an earlier one left. `files`, `clock` (this machine's
  // time) and `shelf` are borrowed.
  Simulation(FileSystem& files, const Clock& clock, PictureShelf& shelf, SimulationSettings settings,
             Observer observer);

  // Returns when the plan is closed and every site has the last model, or when it stands still until somebody decides.
  void Run();
  // Why it stands still, if it does.
  [[nodiscard]] const std::optional<std::string>& stood_still() const { return stood_still_; }

  [[nodiscard]] const FederationState& state() const { return federation_.service().state(); }
  [[nodiscard]] const RoundLogWriter& log() const { return federation_.service().log(); }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] SimulationCourse Course() const;
  [[nodiscard]] Path ConsortiumFolder() const { return settings_.folder / "consortium"; }
  [[nodiscard]] Path TrustFile() const { return settings_.folder / "trust.json"; }

 private:
  void Begin();
  void StartSites();
  void StartPoison();
  [[nodiscard]] LogEnd EndOfLog() const;
  bool RunOneJob();
  void Observe(const std::string& what);
  // Counts what the log has more than before; false if nothing.
  bool NoteEntries();
  void SaveCourse() const;
  void WriteTrust();

  mutable UnsyncedFileSystem files_;  // Saving the course is no change.
  const Clock& machine_clock_;
  PictureShelf& shelf_;
  SimulationSettings settings_;
  Observer observer_;
  Plan plan_;
  std::unique_ptr<FolderLock> lock_;
  VirtualClock clock_;
  LocalFederation federation_;
  std::map<std::string, std::unique_ptr<trainer::JobRunner>> runners_;
  std::optional<Poison> poison_;
  std::optional<std::string> stood_still_;
  SimulationCourse before_;  // Of earlier processes.
  bool finished_ = false;
  std::int64_t started_ms_ = 0;
  mutable LogEnd end_;              // As of the last reading.
  std::uint64_t noted_ = 0;         // Entries that have been counted.
  std::uint64_t pictures_ = 0;      // Drawn for the updates in the log, refused ones too.
  std::uint32_t steps_of_job_ = 0;  // Steps of the job that runs.
};

}  // namespace hemafed::studies
