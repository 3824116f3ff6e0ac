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
enum class MergeRule : std::uint8_t;       // codec/merge.h
enum class UpdateEncoding : std::uint8_t;  // codec/update.h

// Limits of a plan. Each bounds memory or log size somewhere else; far above what a consortium runs.
inline constexpr std::size_t kMaxPlanBytes = 64 << 10;
inline constexpr std::size_t kMaxClasses = 64;       // A confusion matrix of 64 x 64 still fits one log entry.
inline constexpr std::size_t kMaxTasks = 64;         // One column of the accuracy matrix each.
inline constexpr std::size_t kMaxColumns = 128;      // Tasks and observers; a row of millionths is one log entry.
inline constexpr std::size_t kMaxSites = 64;         // Roster, commitments and weights of one round fit one entry.
inline constexpr std::uint32_t kMaxRounds = 10'000;  // Rounds of one task.
inline constexpr std::size_t kMaxNameBytes = 48;     // Of a plan, site or class.
inline constexpr std::uint64_t kMaxPictures = 10'000'000;  // Pictures one site may commit to.

// How a site's training counters forgetting. What the numbers mean: learning/continual/strategies/.
enum class StrategyKind : std::uint8_t {
  kFinetuning,  // Cross-entropy on the task's pictures; nothing counters it.
  kUacl,        // Distillation on old classes, exemplars by herding and uncertainty.
  kReplay,      // Exemplars by herding, cross-entropy alone.
  kAnalytic,    // No training: one ridge regression over all hospitals' sums of random features (codec/ridge_head.h).
  kIcarl,       // UACL's loss, exemplars by herding, answers by the nearest class mean (codec/prototype_head.h).
  kEwc,         // No exemplars: weights that mattered to earlier tasks are held (learning/continual/held_weights.h).
  kDerpp,       // Exemplars with the answers that the model gave when their task ended.
  kWa,          // Softened distillation; new head rows get the old ones' length (codec/aligned_head.h).
  kSlowFast,    // A second model follows slowly; exemplars are answered as it does (codec/slow_model.h).
  kAlignment,   // An autoencoder of cells, its latents drawn together across hospitals (docs/latent_moments.md).
};
[[nodiscard]] std::string_view StrategyName(StrategyKind kind) noexcept;

enum class RehearsalPolicy : std::uint8_t {
  kNone,       // Nobody keeps exemplars.
  kLocal,      // Only the active site trains; it rehearses its own earlier tasks (design, 4.3).
  kFederated,  // Every earlier site also trains on its own exemplars from the same base and teacher.
  kSealed,     // Only the active site trains; earlier ones' exemplars travel to it, encrypted (codec/exchange.h).
};

enum class Sampling : std::uint8_t { kUniform, kBalanced };             // Pictures alike; or classes alike.
enum class LearningRateSchedule : std::uint8_t { kConstant, kLinear };  // kLinear falls to 0 over the task's steps.
enum class Rotation : std::uint8_t { kNone, kQuarter, kAny };

// The architecture whose pictures are latents, not pixels (docs/extractor.md).
inline constexpr std::string_view kLatentArchitecture = "ae_cfe";

// The architecture that is trained as what it will be in plans of the other one: AE-CFE's autoencoder of cells. It has
// no head and no classes, so nothing is scored.
inline constexpr std::string_view kAutoencoderArchitecture = "cell_autoencoder";

// The frozen files that find a picture's cell and turn it into the latent that the model sees.
struct ExtractorPlan {
  Digest detector;
  Digest autoencoder;
  bool operator==(const ExtractorPlan&) const = default;
};

// Numbers of the latents that plans of kLatentArchitecture see: its first layer is for as many (learning/models/).
inline constexpr std::uint32_t kSeenLatentWidth = 50;

struct ModelPlan {
  std::string architecture;  // learning/models/architecture.h
  // "batch_frozen" (imported weights), "group" or "group_ws" (random weights); empty for an autoencoder, which has its
  // own.
  std::string normalisation;
  std::uint32_t input_px = 0;
  Digest weights;                          // The initial model file, without head.
  std::optional<ExtractorPlan> extractor;  // ae_cfe only.
  std::optional<Digest> detector;          // cell_autoencoder only: what finds the cells that it learns from.
  std::uint32_t latent = 0;                // cell_autoencoder only: numbers of its latent.
  double dropout = 0;

  // Numbers of the latents that the plan is about: those that it trains, or sees; 0 for plans of pixels.
  [[nodiscard]] std::uint32_t LatentWidth() const { return extractor ? kSeenLatentWidth : latent; }
  // Frozen files that pictures go through on their way to the model: detector and autoencoder, the detector, or none.
  [[nodiscard]] std::vector<Digest> FrozenFiles() const;
  // Every file that must be there before the plan can begin: the weights, then the frozen ones.
  [[nodiscard]] std::vector<Digest> Files() const;
};

// Of an autoencoder only steps, batch, learning rate and threads: Adam as published.
struct TrainingPlan {
  std::uint32_t steps = 0;  // Of one round at each participating site.
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

// Each number belongs to the strategies named; it is 0 with the others. Formulas: learning/continual/local_loss.h.
struct StrategyPlan {
  StrategyKind kind = StrategyKind::kFinetuning;
  double gamma = 0;                   // uacl, icarl: weight of the distillation loss.
  std::uint32_t probe = 0;            // uacl, icarl, wa: pictures on which an update's distillation is measured.
  std::uint32_t features = 0;         // analytic: M random features.
  double ridge = 0;                   // analytic.
  double penalty_share = 0;           // ewc: lambda.
  double importance = 0;              // ewc.
  std::uint32_t fisher_pictures = 0;  // ewc: on which the Fisher information is measured.
  double alpha = 0, beta = 0;         // derpp: weights of stored answers and of labels. alignment: beta alone, of the
                                      // alignment term; 0: hospitals are not aligned.
  double temperature = 0;             // wa.
  std::uint32_t slow_rate = 0;        // slow_fast: in 2^-15, how far the slow model follows in one round.
  double consistency = 0;             // slow_fast: weight of the slow model's answers.
  std::string source;                 // alignment with a beta: the hospital whose latents the others' are drawn to.
  std::uint32_t window = 0;           // alignment: of the structural similarity, in pixels.
};

struct RehearsalPlan {
  RehearsalPolicy policy = RehearsalPolicy::kNone;
  std::uint32_t exemplars = 0;  // m for each (hospital, class); 0 where a budget is given.
  std::uint32_t budget = 0;     // K for all lists of all hospitals together; 0 where m is given.
  std::uint32_t passes = 0;     // T of the MC-dropout uncertainty; 0 where nothing is chosen by it.
  bool normalised_herding = true;
  std::uint32_t picture_bytes = 0;  // Largest picture that may travel; 0 where none does.
};

// How updates are merged (codec/merge.h).
enum class AggregationRule : std::uint8_t {
  kMean,          // By pictures.
  kDistillation,  // Tensor by tensor, by pictures times distillation sensitivity.
  kMedian,        // Of the rehearsing sites.
  kTrimmedMean,   // Of the rehearsing sites.
};
[[nodiscard]] std::string_view AggregationRuleName(AggregationRule rule) noexcept;
// Rule `distillation` merges like the mean, with weights of its own.
[[nodiscard]] MergeRule MergeRuleOf(AggregationRule rule) noexcept;

struct AggregationPlan {
  AggregationRule rule = AggregationRule::kMean;
  UpdateEncoding encoding{};          // Of update files.
  std::uint32_t trim = 0;             // Of trimmed_mean: lowest and highest votes left out, each.
  std::uint32_t server_momentum = 0;  // In 2^-15; 0: none.
  double norm_bound = 0;              // Largest Euclidean norm of one update, in model units.
  double rehearsal_norm_bound = 0;    // The same where a site rehearses: at most norm_bound.
  double max_share = 0;               // Largest weight of one site with three or more updaters.
  // How far, in millionths of a nat, a rehearsing site's own L_dist may have risen since the task's first round before
  // its updates are refused (protocol/federation/update_rules.h); 0: no limit.
  std::uint64_t max_rise_millionths = 0;
  // How much of the way that the task's model has come one update of a rehearsing site may take back (codec/retreat.h),
  // in millionths; 0: no limit.
  std::uint64_t max_retreat_millionths = 0;
};

// Indices of Plan::classes, ascending.
using ClassSet = std::vector<std::uint32_t>;

// The retention gate (design, 4.4): earlier hospitals score a round's candidate against the task's teacher on training
// pictures that rehearse nowhere.
struct RetentionPlan {
  std::uint32_t pictures = 0;             // At each of them; 0: no gate.
  std::uint64_t max_drop_millionths = 0;  // Largest drop of agreement in one round, over all their pictures together.
  std::uint32_t halvings = 0;             // How often a step that drops more is halved before it is given up.
};

// How a hospital's latents are compared with those of the hospitals before it (docs/drift_check.md).
struct DriftPlan {
  std::uint32_t permutations = 0;
  std::uint32_t rows = 0;  // Most of either side in the test.
};
// With fewer no p below 0.01 could come out; more say nothing that a reader could use.
inline constexpr std::int64_t kMinPlanPermutations = 99, kMaxPlanPermutations = 9'999;

// What is done about a site that does not answer. A task's active site is always waited for; where sites train as
// equals, so is the alignment's source.
enum class AbsenceRule : std::uint8_t {
  kWait,   // It is waited for.
  kSkip,   // The task goes on without it.
  kPause,  // The log says that the task stands still; people decide.
};

struct AbsencePlan {
  AbsenceRule rehearsing = AbsenceRule::kWait;  // Of sites that rehearse or judge, or train beside the task's own.
  bool skips_evaluations = false;               // Whether a task may close without a site's evaluation.
  bool joins_late = false;    // Whether a site may join as late as the first task that it takes part in.
  std::uint32_t after_s = 0;  // So long after a task, round, candidate or evaluation was opened; 0: never.
};

struct TaskPlan {
  std::string site;
  std::vector<std::string> with;                  // Hospitals that train at the same time, as equals.
  std::uint32_t rounds = 0;                       // 1 where nothing is trained.
  ClassSet classes;                               // Those whose pictures it trains on.
  TrainingPlan training;                          // The plan's, with what the task says otherwise.
  double gamma = 0;                               // Likewise.
  AggregationRule rule = AggregationRule::kMean;  // Likewise.
};

// A column of the accuracy matrix: test pictures of one hospital.
struct Column {
  std::string site;
  std::size_t pool = 0;  // Place in PoolsOf(site).
  std::string title;     // The hospital; with a number where it has several tasks.
};

struct Plan {
  std::string name;
  std::uint64_t seed = 0;
  // The index of a class is its row in the head: tasks bring classes in this order.
  std::vector<std::string> classes;
  ModelPlan model;
  TrainingPlan training;  // Of tasks that say nothing else.
  AugmentationPlan augmentation;
  StrategyPlan strategy;
  RehearsalPlan rehearsal;
  AggregationPlan aggregation;
  RetentionPlan retention;
  AbsencePlan absence;
  std::optional<DriftPlan> drift;  // ae_cfe only: none, and hospitals are not compared.
  std::uint64_t min_pictures = 0;  // n_min of design 11.5.
  std::vector<TaskPlan> tasks;
  std::vector<std::string> observers;  // Hospitals that score every task's model and never train.

  // Hospitals in the order of their first task, then observers: who has to join.
  [[nodiscard]] std::vector<std::string> Sites() const;
  // Who scores every task's model: all sites, or nobody.
  [[nodiscard]] std::vector<std::string> Scorers() const;
  // Sites that train in task `task`: the active one first, then (under `federated`) earlier ones in task order, or the
  // equals that the task names.
  [[nodiscard]] std::vector<std::string> Participants(std::size_t task) const;
  // Hospitals of earlier tasks, in task order, that judge the candidates of task `task`; none without a gate.
  [[nodiscard]] std::vector<std::string> Judges(std::size_t task) const;
  // Columns of the accuracy matrix: tasks in order, then observers. None where nothing is scored.
  [[nodiscard]] std::vector<Column> Columns() const;
  // Classes of a hospital's test pictures, by column: those of each of its tasks; all of the plan's for an observer.
  [[nodiscard]] std::vector<ClassSet> PoolsOf(std::string_view site) const;
  // Rows that the head has from task `task` on.
  [[nodiscard]] std::size_t KnownClasses(std::size_t task) const;
  // Whether the head is solved from sums instead of trained: then the trunk stays the initial weights, a task has no
  // rounds, and [training] says nothing but the threads.
  [[nodiscard]] bool SolvesHead() const { return strategy.kind == StrategyKind::kAnalytic; }
  // Whether what is trained is an autoencoder: a model without head and classes that all sites of a task train as
  // equals, each on the cells of its own pictures, and that nobody scores.
  [[nodiscard]] bool TrainsAutoencoder() const { return strategy.kind == StrategyKind::kAlignment; }
  // Whether each round begins with the moments of every participant's latents (docs/latent_moments.md).
  [[nodiscard]] bool AlignsLatents() const { return TrainsAutoencoder() && strategy.beta > 0; }
  // Whether hospitals state moments of latents at all: in each round, or once, before their first task.
  [[nodiscard]] bool StatesMoments() const { return AlignsLatents() || drift.has_value(); }
  // Whether tasks bring classes to a head that is trained.
  [[nodiscard]] bool GrowsHead() const { return !SolvesHead() && !TrainsAutoencoder(); }
  [[nodiscard]] bool KeepsExemplars() const { return rehearsal.policy != RehearsalPolicy::kNone; }
  // Whether the model from before a task teaches in it.
  [[nodiscard]] bool Distils() const {
    return strategy.kind == StrategyKind::kUacl || strategy.kind == StrategyKind::kIcarl ||
           strategy.kind == StrategyKind::kWa;
  }
  // Hospitals that hold exemplars once task `task` has chosen its own: its site first, then earlier ones in task order.
  [[nodiscard]] std::vector<std::string> Holders(std::size_t task) const;
  // Whether the Fisher information of task `task` is needed: by a later one.
  [[nodiscard]] bool MeasuresFisher(std::size_t task) const {
    return strategy.kind == StrategyKind::kEwc && task + 1 < tasks.size();
  }
  // Whether class means are collected after each task.
  [[nodiscard]] bool CollectsMeans() const { return strategy.kind == StrategyKind::kIcarl; }
  // Whether a slow model follows.
  [[nodiscard]] bool KeepsSlowModel() const { return strategy.kind == StrategyKind::kSlowFast; }
  // Whether the rows that task `task` added to the head are aligned with the old ones when it has been trained.
  [[nodiscard]] bool AlignsHead(std::size_t task) const {
    return strategy.kind == StrategyKind::kWa && task > 0 && KnownClasses(task) > KnownClasses(task - 1);
  }
  // m: how many pictures each list holds once `tasks_done` tasks have chosen theirs (published-systems 2.3: K divided
  // by the number of (hospital, class) lists).
  [[nodiscard]] std::uint32_t ExemplarsPerList(std::size_t tasks_done) const;
};

// `where` names the text in errors, for example the file.
[[nodiscard]] Plan ParsePlan(std::string_view toml, const std::string& where);

// The table [augmentation], which studies have too.
[[nodiscard]] AugmentationPlan ReadAugmentation(const Settings& table);

// Names of plans, sites and classes: 1 to kMaxNameBytes of a-z, 0-9, '_' and '-', starting with a letter or digit.
[[nodiscard]] bool IsPlainName(std::string_view name);

}  // namespace hemafed
