// codec/plan.h
// SPDX-License-Identifier: Apache-2.0
//
// A plan is the consortium's agreement about one federation: classes, model, training, rehearsal, aggregation and the
// tasks in order. It is a TOML text that the operator signs; every program reads the same bytes and nobody fills in a
// default that is not in them (docs/plan.md describes each key). The trainer gets the text in its job folder.
//
// ParsePlan checks form, ranges and the combinations that can never run. Errors: Error(kInvalidInput) with file, line
// and column; unknown keys are errors. Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"

namespace hemafed {

class Settings;

// Limits of a plan. Each bounds memory or log size somewhere else; far above what a consortium runs.
inline constexpr std::size_t kMaxPlanBytes = 64 << 10;
inline constexpr std::size_t kMaxClasses = 64;       // A confusion matrix of 64 x 64 still fits one log entry.
inline constexpr std::size_t kMaxTasks = 64;         // One column of the accuracy matrix each.
inline constexpr std::size_t kMaxSites = 64;         // Roster, commitments and weights of one round fit one entry.
inline constexpr std::uint32_t kMaxRounds = 10'000;  // Rounds of one task.
inline constexpr std::size_t kMaxNameBytes = 48;     // Of a plan, site or class.
inline constexpr std::uint64_t kMaxPictures = 10'000'000;  // Pictures one site may commit to.

enum class RehearsalPolicy : std::uint8_t {
  kNone,       // Sequential fine-tuning: gamma is 0 and nobody rehearses.
  kFederated,  // Every earlier site trains on its own exemplars from the same base and teacher (design, 4.3).
};

enum class Sampling : std::uint8_t { kUniform, kBalanced };             // Pictures alike; or classes alike.
enum class LearningRateSchedule : std::uint8_t { kConstant, kLinear };  // kLinear falls to 0 over the task's steps.
enum class Rotation : std::uint8_t { kNone, kQuarter, kAny };

struct ModelPlan {
  std::string architecture;   // "efficientnet_lite0" or "small_cnn".
  std::string normalisation;  // "batch_frozen" (imported weights) or "group_ws" (random weights).
  std::uint32_t input_px = 0;
  Digest weights;  // The initial model file, without head.
  double dropout = 0;
};

struct TrainingPlan {
  std::uint32_t steps = 0;  // SGD steps of one round at each participating site.
  std::uint32_t batch = 0;
  double learning_rate = 0;
  LearningRateSchedule schedule = LearningRateSchedule::kConstant;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double clip_norm = 0;  // Largest gradient norm; 0 turns clipping off.
  Sampling sampling = Sampling::kUniform;
  bool train_affine = true;   // Whether the scale and shift of the normalisation layers learn.
  std::uint32_t threads = 1;  // Intra-op threads: part of what fixes the bits (design, 11.9).
};

struct AugmentationPlan {
  bool flips = false;
  Rotation rotation = Rotation::kNone;
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;  // Largest relative change; hue in turns.
  double zoom = 0, shift = 0;                                    // Largest relative change of size and place.
  double blur = 0;                                               // Largest Gaussian sigma in pixels.
};

struct RehearsalPlan {
  RehearsalPolicy policy = RehearsalPolicy::kNone;
  std::uint32_t exemplars = 0;  // m for each (domain, class).
  double gamma = 0;             // Weight of the distillation loss.
  std::uint32_t passes = 0;     // T of the MC-dropout uncertainty.
  bool normalised_herding = true;
};

struct AggregationPlan {
  std::string rule;       // "mean".
  double norm_bound = 0;  // Largest Euclidean norm of one update, in model units.
  double max_share = 0;   // Largest weight of one site with three or more updaters.
};

struct TaskPlan {
  std::string site;
  std::uint32_t rounds = 0;
};

struct Plan {
  std::string name;
  std::uint64_t seed = 0;
  std::vector<std::string> classes;
  ModelPlan model;
  TrainingPlan training;
  AugmentationPlan augmentation;
  RehearsalPlan rehearsal;
  AggregationPlan aggregation;
  std::uint64_t min_pictures = 0;  // n_min of design 11.5.
  std::vector<TaskPlan> tasks;

  // Hospitals in the order of their first task: rows and columns of the accuracy matrix.
  [[nodiscard]] std::vector<std::string> Sites() const;
  // Sites that train in task `task`: the active one first, then (under `federated`) earlier ones in domain order.
  [[nodiscard]] std::vector<std::string> Participants(std::size_t task) const;
};

// `where` names the text in errors, for example the file.
[[nodiscard]] Plan ParsePlan(std::string_view toml, const std::string& where);

// The table [augmentation], which studies have too.
[[nodiscard]] AugmentationPlan ReadAugmentation(const Settings& table);

// Names of plans, sites and classes: 1 to kMaxNameBytes of a-z, 0-9, '_' and '-', starting with a letter or digit.
[[nodiscard]] bool IsPlainName(std::string_view name);

}  // namespace hemafed
