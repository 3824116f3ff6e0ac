// learning/continual/learner.h
// SPDX-License-Identifier: Apache-2.0
//
// Learns one task after the other by a strategy chosen by name (strategy.h), on one machine. hemafed-study and the
// simulator use it; a federated site's round (local_training.h) takes the same step (training_step.h).
//
//     Learner learner(LoadModel(files, weights), settings);
//     learner.KeepCheckpoints(files, folder, 200);
//     for (const TaskInput& task : tasks) {
//       learner.LearnTask(task, on_progress);
//       for (BatchSource* test : tests) Score(learner.Predict(*test));
//     }
//
// and after a restart:
//
//     Learner learner = Learner::Resume(files, folder, LoadModel(files, weights), settings, tasks);
//     for (std::size_t t = learner.tasks_learned(); t < tasks.size(); ++t) learner.LearnTask(tasks[t], on_progress);
//
// One task: the head gets rows for classes not seen before, in the order in which the task declares them; exemplars of
// earlier tasks and a frozen teacher are laid out as the strategy needs; epochs are trained; exemplars of the task's
// classes are chosen with the model that came out, from the task's own un-augmented pictures, after earlier lists were
// cut to their new room. Each (domain, class) is chosen once: a class that a domain declares again keeps its first
// list.
//
// Everything random is a pure function of the seed, the task's number and the number of the batch. A run that was
// killed anywhere and resumed ends with the same bits on the same machine class (torch build, instruction set,
// threads).
//
// Errors: Error(kInvalidInput) for settings, tasks and pictures that cannot work, before the first step, and for a loss
// or gradient that is not finite (the message names task and step; the last checkpoint is the way back, the learner
// itself can only be destroyed then); kConflict for calls out of order. Errors of sources, files and of the observer
// pass through; after one LearnTask may only be called again on a resumed learner.
//
// Sources are borrowed and must outlive the learner: exemplars are read through them. While LearnTask runs, they are
// read from its loader threads too (settings.loaders), so nobody else reads them then. Thread-safety: one thread; sets
// LibTorch's threads for the whole process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "learning/continual/batch_source.h"
#include "learning/continual/checkpoint.h"
#include "learning/continual/exemplar_store.h"
#include "learning/continual/learner_settings.h"
#include "learning/continual/memory.h"
#include "learning/continual/nearest_mean.h"
#include "learning/continual/strategy.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

struct TaskInput {
  std::string name;                   // for people
  std::string domain;                 // exemplars are kept by (domain, class)
  std::vector<std::int64_t> classes;  // declared classes, indices of the study; each needs a picture
  BatchSource* train = nullptr;       // labels are indices of the study
};

enum class LearnPhase : std::uint8_t {
  kTraining,
  kFinishing,  // passes over pictures when the task ends: choosing exemplars (class by class), Fisher information,
               // feature sums, stored logits
};

struct LearnProgress {
  LearnPhase phase = LearnPhase::kTraining;
  std::uint32_t task = 0;   // from 0
  std::uint32_t epoch = 0;  // from 0
  std::uint64_t done = 0;   // steps, or pictures when finishing
  std::uint64_t all = 0;
  std::uint64_t pictures = 0;  // of the task's draws so far
  double learning_rate = 0.0;
  StepReport step;
};
// Called after every step, when the step and a checkpoint that was due are done. An exception stops the learner.
using LearnObserver = std::function<void(const LearnProgress&)>;

struct Predictions {
  std::vector<std::int64_t> classes;    // [C], index of the study of each column, in the order of the head
  std::vector<std::int64_t> predicted;  // [N], index of the study; the lowest column among equals
  std::vector<float> scores;            // [N, C] row-major: probabilities, or what the strategy compares
};

class Learner {
 public:
  // `initial`: without a head, or with one whose rows are classes 0, 1, ... of the study, learned before.
  Learner(Classifier initial, LearnerSettings settings);
  ~Learner();
  Learner(Learner&&) noexcept;
  Learner& operator=(Learner&&) noexcept;

  // From the checkpoint in `folder`, which goes on being kept there (KeepCheckpoints). `initial`, `settings` and the
  // tasks begun so far must be those of the run that wrote it; more tasks may follow. kInvalidInput says what differs.
  [[nodiscard]] static Learner Resume(FileSystem& files, const Path& folder, Classifier initial,
                                      LearnerSettings settings, std::span<const TaskInput> tasks,
                                      std::uint32_t every_steps);
  // From now on a checkpoint is written after every `every_steps` steps (0: never within a task) and after every task.
  void KeepCheckpoints(FileSystem& files, Path folder, std::uint32_t every_steps);

  void LearnTask(const TaskInput& task, const LearnObserver& observer = {});
  [[nodiscard]] std::size_t tasks_learned() const { return tasks_learned_; }

  // Not while a task is being learned.
  [[nodiscard]] Predictions Predict(BatchSource& source);
  // Removes a picture from the exemplars, from everything the strategy stores about it, and from what later tasks and
  // `joint` draw; weights that have learned it stay. Returns in how many lists it was. A checkpoint is written if they
  // are kept: the earlier one still has what was stored.
  std::size_t Withdraw(const Digest& picture);

  [[nodiscard]] const Classifier& model() const { return model_; }
  [[nodiscard]] const ExemplarStore& exemplars() const { return store_; }
  // Class of the study by head row.
  [[nodiscard]] const std::vector<std::int64_t>& classes() const { return class_of_row_; }
  [[nodiscard]] const LearnerSettings& settings() const { return settings_; }
  [[nodiscard]] const Strategy& strategy() const { return *strategy_; }

 private:
  struct Checkpoints {
    FileSystem* files = nullptr;
    Path folder;
    std::uint32_t every_steps = 0;
  };
  struct Begun {
    TaskInput input;
    Digest pictures;  // over digests and labels
  };

  void CheckTask(const TaskInput& task) const;
  void BeginTask(const TaskInput& task);
  void Train(const TaskContext& context, const LearnObserver& observer);
  void ChooseExemplarsOf(const TaskContext& context);
  void RebuildMemory();
  // Pictures of tasks first .. last-1 with their head rows, withdrawn ones left out.
  [[nodiscard]] PictureView ViewOf(std::size_t first, std::size_t last) const;
  [[nodiscard]] std::int64_t RowOf(std::int64_t label) const;
  [[nodiscard]] TaskContext ContextOf(PictureView& pictures, const LearnObserver& observer);
  [[nodiscard]] Prediction PredictionRule() const;

  void SaveCheckpoint() const;
  void RestoreFrom(const Checkpoint& checkpoint, std::span<const TaskInput> tasks);

  LearnerSettings settings_;
  std::unique_ptr<Strategy> strategy_;
  Classifier initial_;
  Classifier model_;
  std::optional<Classifier> teacher_;
  std::vector<std::int64_t> class_of_row_;
  std::vector<Begun> tasks_;
  std::size_t tasks_learned_ = 0;  // tasks_.size(), or one less within a task
  std::int64_t old_classes_ = 0;   // head rows before the current task
  std::uint32_t step_ = 0;         // steps taken in the current task
  bool learning_ = false;          // LearnTask is running, or was left by an exception
  ExemplarStore store_;
  Memory memory_;
  std::set<Digest> withdrawn_;
  std::unique_ptr<Optimiser> optimiser_;  // within a task
  TensorMap optimiser_state_;             // of a resumed task, until its optimiser is made
  std::optional<ExemplarMeans> means_;    // of the model as it is
  Checkpoints checkpoints_;
};

}  // namespace hemafed::learning
