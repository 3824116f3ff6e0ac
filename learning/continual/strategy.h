// learning/continual/strategy.h
// SPDX-License-Identifier: Apache-2.0
//
// What tells one continual-learning method from another. The learner (learner.h) owns everything that all of them share
// (model, head growth, batches, steps, exemplars, checkpoints) and asks a strategy what it needs and what a batch
// costs. One small file for each method lies in strategies/; MakeStrategy knows them by name.
//
// Calls of one task, in this order:
//
//     BeforeTask                     the head has its new rows; exemplars are those of earlier tasks
//     BeforeEpoch, Loss, AfterStep .., AfterEpoch       for every epoch (no steps where needs().trains is false)
//     AfterTraining                  before exemplars of the task are chosen
//     AfterTask                      exemplars of the task are among the stored ones
//
// After a resume in the middle of a task the calls go on where they stopped, on a fresh object that was given the saved
// state: what a strategy learns in BeforeTask belongs into its state unless it can be had from the context again.
//
// From the first BeforeEpoch to the last AfterEpoch batches are read ahead on other threads (training_batches.h): a
// strategy leaves the context's pictures and memory alone there. They are its own in the other calls.
//
// Labels are rows of the model's head everywhere in here.
//
// Errors: Error(kInvalidInput). Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "learning/continual/exemplar_store.h"
#include "learning/continual/memory.h"
#include "learning/continual/picture_view.h"
#include "learning/continual/strategy_settings.h"
#include "learning/continual/tensor_map.h"
#include "learning/continual/training_step.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// Which pictures of earlier tasks a step sees.
enum class Rehearsal : std::uint8_t {
  kNone,
  kJoined,    // exemplars are mixed into the task's pictures; every picture of the batch tells whether it is one
  kSeparate,  // batches of exemplars are drawn beside the task's batch, as many as the loss asks for
  kAll,       // all pictures of all tasks so far, as if nothing were forgotten
};

// What is predicted from. kNearestMean: the class whose exemplars' mean of normalised features, itself normalised, is
// nearest to the picture's normalised features (iCaRL, Algorithm 1). kNearestDomainMean: the same with one mean a
// (domain, class).
enum class Prediction : std::uint8_t { kSoftmax, kNearestMean, kNearestDomainMean };

struct StrategyNeeds {
  Rehearsal rehearsal = Rehearsal::kNone;
  std::uint32_t memory_draws = 1;           // kSeparate: how many batches of exemplars a step draws, slots 1 to this
  bool teacher = false;                     // a frozen copy of the model from before the task
  bool trains = true;                       // whether gradient steps are taken
  bool restarts = false;                    // every task starts from the first weights
  ExemplarMix mix = ExemplarMix::kHerding;  // what the study gets unless it says otherwise
  Prediction prediction = Prediction::kSoftmax;

  [[nodiscard]] bool KeepsExemplars() const {
    return rehearsal == Rehearsal::kJoined || rehearsal == Rehearsal::kSeparate;
  }
};

// What a strategy sees of the task and of the learner.
struct TaskContext {
  std::uint32_t task = 0;          // from 0
  std::int64_t old_classes = 0;    // head rows before this task; 0 in the first
  std::vector<std::int64_t> rows;  // of the classes that this task declares
  Classifier* model = nullptr;     // with the new rows
  const Classifier* teacher = nullptr;
  PictureView* pictures = nullptr;  // this task's own
  Memory* memory = nullptr;         // exemplars
  std::uint64_t seed = 0;           // of the task
  std::uint32_t batch = 0;          // pictures a forward pass outside of training
  std::function<void(std::uint64_t done, std::uint64_t all)> on_pictures;  // progress of long passes; may throw
};

// One batch of a step.
struct StepInput {
  const TaskContext& context;
  std::uint32_t draw = 0;  // number of the batch in the task: the step, or its part where gradients are accumulated
  Batch batch;             // labels are rows
  at::Tensor is_memory;    // bool [N]
  // Logits of the model in training for pictures of slot 0 (the batch), 1, 2, ... (further ones of the same draw, so
  // that their dropout differs).
  std::function<at::Tensor(const at::Tensor& images, std::uint32_t slot)> forward;
  // The batch of exemplars of slot 1 .. needs().memory_draws; nothing while none are stored. Rehearsal::kSeparate only.
  std::function<std::optional<MemoryBatch>(std::uint32_t slot)> draw_memory;
};

// Saved beside the model; the text is JSON of the strategy's own making, or empty.
struct StrategyState {
  TensorMap tensors;
  std::string text;
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  [[nodiscard]] virtual StrategyNeeds needs() const = 0;
  virtual void BeforeTask(const TaskContext&) {}
  virtual void BeforeEpoch(const TaskContext&, std::uint32_t /*epoch*/) {}
  [[nodiscard]] virtual LossTerms Loss(const StepInput& input) = 0;
  // After optimiser step `step` of the task; runs without gradients.
  virtual void AfterStep(const TaskContext&, std::uint32_t /*step*/) {}
  virtual void AfterEpoch(const TaskContext&, std::uint32_t /*epoch*/) {}
  virtual void AfterTraining(const TaskContext&) {}
  virtual void AfterTask(const TaskContext&) {}

  // Scores [N, C] of un-augmented pictures, without gradients; the largest wins. As it is: softmax of the logits.
  [[nodiscard]] virtual at::Tensor Scores(const Classifier& model, const at::Tensor& pictures) const;

  // Forgets everything stored about one picture. `picture` shows it, with its label, if it can still be read.
  virtual void Withdraw(const Classifier& /*model*/, const Digest& /*digest*/, PictureView* /*picture*/) {}

  [[nodiscard]] virtual StrategyState State() const { return {}; }
  // `initial`: the learner's first weights, whose architecture the state's models share.
  virtual void SetState(const StrategyState& state, const Classifier& initial);
};

// The names, in the order in which tables list them.
[[nodiscard]] const std::vector<std::string_view>& StrategyNames();
// Throws Error(kInvalidInput) that lists the known names, or names a setting out of range.
[[nodiscard]] std::unique_ptr<Strategy> MakeStrategy(std::string_view name, const StrategySettings& settings);

// Pieces that several strategies use. ---------------------------------------------------------------------------------

// The named tensors of a model under a prefix, for a state, and back into a model of the same architecture with the
// number of classes that the state has. Nothing if the state has none under the prefix.
void PutModel(TensorMap& tensors, const std::string& prefix, const Classifier& model);
[[nodiscard]] std::optional<Classifier> TakeModel(const TensorMap& tensors, const std::string& prefix,
                                                  const Classifier& initial);

}  // namespace hemafed::learning
