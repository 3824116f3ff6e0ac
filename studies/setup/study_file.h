// studies/setup/study_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A study as its author writes it: one TOML file (docs/study_file.md, configs/studies/) that names the domains, the
// classes, the model, the training, the methods and the experiments. What it says is what runs: nothing has a default
// that is not written there, except what docs/study_file.md lists as optional.
//
// A run is one (experiment, method, budget, seed). Settings of a run come from the study; a [[method]] and an
// [[experiment]] may override some, the method last.
//
// Paths of the file are relative to its own folder, those of domains to the data folder given on the command line.
//
// Errors: Error(kInvalidInput) with file, line and column; unknown keys are errors. Thread-safety: value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/plan.h"
#include "common/file_system.h"
#include "learning/continual/learner_settings.h"
#include "learning/data/domain_pictures.h"
#include "learning/models/architecture.h"
#include "learning/models/precision.h"

namespace hemafed::studies {

// Limits that refuse typing errors; the published studies have 5 experiments, 12 tasks and 5 methods.
inline constexpr std::size_t kMaxExperiments = 32;
inline constexpr std::size_t kMaxMethods = 32;
inline constexpr std::size_t kMaxSeeds = 100;
inline constexpr std::size_t kMaxDomains = 32;
inline constexpr std::size_t kMaxBudgets = 32;

struct ModelChoice {
  learning::Architecture architecture{};
  learning::Normalisation normalisation{};
  std::optional<Path> weights;  // Imported weights; without them random ones from the run's seed.
  learning::Precision precision{};
  std::uint32_t input_px = 0;  // pictures are squares of this side
};

struct StudyTask {
  std::string domain;
  std::vector<std::int64_t> classes;  // class indices of the study, ascending
};

struct Method {
  std::string name;      // what tables and folders call it
  std::string strategy;  // learning/continual/strategy.h
};

struct Experiment {
  std::string name;
  std::string title;                // for people
  std::string published;            // row of the published table that it repeats, or empty
  std::vector<StudyTask> tasks;     // in order
  std::vector<std::string> unseen;  // domains that are only scored, one column each after the tasks'
  std::vector<std::string> methods;
  std::vector<std::size_t> budgets;  // exemplar budgets to compare; empty: the one of the settings
};

// Which part of the data trains and scores: kTest is the published table, kValidation is for choosing settings.
enum class StudyPart : std::uint8_t { kTest, kValidation };

// One run.
struct RunKey {
  std::size_t experiment = 0;         // position in the study
  std::size_t method = 0;             // position in the study
  std::optional<std::size_t> budget;  // of a budget comparison
  std::uint64_t seed = 0;
};

class StudyFile {
 public:
  [[nodiscard]] static StudyFile Load(FileSystem& files, const Path& path);
  // `folder`: what the text's paths are relative to.
  [[nodiscard]] static StudyFile Parse(std::string_view text, const std::string& where, const Path& folder);

  std::string name;
  std::string title;
  std::string text;  // as written
  StudyPart part = StudyPart::kTest;
  std::vector<std::string> classes;  // class index = position
  std::vector<std::uint64_t> seeds;
  ModelChoice model;
  AugmentationPlan augmentation;
  std::vector<learning::DomainSource> domains;  // folders relative to the data folder
  std::vector<Method> methods;
  std::vector<Experiment> experiments;

  // Position of a name; throws kInvalidInput that lists the known ones.
  [[nodiscard]] std::size_t MethodNamed(std::string_view wanted) const;
  [[nodiscard]] std::size_t ExperimentNamed(std::string_view wanted) const;
  [[nodiscard]] std::size_t DomainNamed(std::string_view wanted) const;

  // Everything that the learner of one run is told.
  [[nodiscard]] learning::LearnerSettings SettingsOf(const RunKey& run) const;
  // All runs in the order in which they are made: seeds last, so that early tables compare methods.
  [[nodiscard]] std::vector<RunKey> Runs() const;
  // "D/uacl/seed-1", "K/uacl-K125/seed-1": folder and name of a run.
  [[nodiscard]] std::string RunName(const RunKey& run) const;

 private:
  // Settings of every (experiment, method), in that order.
  std::vector<std::vector<learning::LearnerSettings>> settings_;
};

}  // namespace hemafed::studies
