// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/learner.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "codec/head_growth.h"
#include "common/error.h"
#include "common/random.h"
#include "learning/continual/select_exemplars.h"
#include "learning/continual/source_digest.h"
#include "learning/models/grow_head.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

Classifier Copy(const Classifier& model) { return model.Clone(model.tensors().front().value.scalar_type()); }

std::string TaskText(std::size_t task, const std::string& name) {
  return "task " + std::to_string(task) + " (" + name + ")";
}

}  // namespace

Learner::Learner(Classifier initial, LearnerSettings settings)
    : settings_(std::move(settings)),
      initial_(std::move(initial)),
      model_(Copy(initial_)),
      memory_{{}, PictureView({}, {})} {
  CheckSettings(settings_);
  strategy_ = MakeStrategy(settings_.strategy, settings_.method);
  for (std::int64_t row = 0; row < model_.classes(); ++row) class_of_row_.push_back(row);
}

Learner::~Learner() = default;
Learner::Learner(Learner&&) noexcept = default;
Learner& Learner::operator=(Learner&&) noexcept = default;

void Learner::KeepCheckpoints(FileSystem& files, Path folder, std::uint32_t every_steps) {
  checkpoints_ = {&files, std::move(folder), every_steps};
}

std::int64_t Learner::RowOf(std::int64_t label) const {
  const auto found = std::find(class_of_row_.begin(), class_of_row_.end(), label);
  if (found == class_of_row_.end()) Fail("class " + std::to_string(label) + " has no head row");
  return found - class_of_row_.begin();
}

void Learner::CheckTask(const TaskInput& task) const {
  const std::string where = TaskText(tasks_learned_, task.name);
  if (task.train == nullptr || task.domain.empty() || task.domain.size() > kMaxExemplarNameBytes ||
      task.name.size() > kMaxExemplarNameBytes) {
    Fail(where + " needs training pictures, the name of a domain, and names of at most " +
         std::to_string(kMaxExemplarNameBytes) + " bytes");
  }
  std::map<std::int64_t, std::uint64_t> counts;
  for (const std::int64_t label : task.classes) {
    if (label < 0 || label >= std::int64_t{kMaxHeadClasses}) {
      Fail(where + ": class " + std::to_string(label) + " is outside 0 to " + std::to_string(kMaxHeadClasses - 1));
    }
    if (!counts.emplace(label, 0).second) Fail(where + " declares class " + std::to_string(label) + " twice");
  }
  if (task.classes.empty()) Fail(where + " declares no class");
  for (std::size_t i = 0; i < task.train->Size(); ++i) {
    if (withdrawn_.contains(task.train->PictureDigest(i))) continue;
    const auto found = counts.find(task.train->Label(i));
    if (found == counts.end()) {
      Fail(where + " has a picture of class " + std::to_string(task.train->Label(i)) + ", which it does not declare");
    }
    ++found->second;
  }
  for (const auto& [label, count] : counts) {
    if (count == 0) {
      Fail(where + ": class " + std::to_string(label) +
           " has no training picture; take it out of the task or import pictures of it");
    }
  }
}

PictureView Learner::ViewOf(std::size_t first, std::size_t last) const {
  std::vector<BatchSource*> sources;
  std::vector<PictureRef> pictures;
  for (std::size_t t = first; t < last; ++t) {
    BatchSource& source = *tasks_[t].input.train;
    const auto number = static_cast<std::uint32_t>(sources.size());
    sources.push_back(&source);
    for (std::uint32_t i = 0; i < source.Size(); ++i) {
      if (!withdrawn_.empty() && withdrawn_.contains(source.PictureDigest(i))) continue;
      pictures.push_back({number, i, RowOf(source.Label(i))});
    }
  }
  return {std::move(sources), std::move(pictures)};
}

void Learner::RebuildMemory() {
  std::vector<MemorySourceOf> sources;
  for (const Begun& task : tasks_) sources.push_back({task.input.domain, task.input.train});
  memory_ = BuildMemory(store_, sources, class_of_row_);
}

void Learner::BeginTask(const TaskInput& task) {
  const StrategyNeeds needs = strategy_->needs();
  old_classes_ = static_cast<std::int64_t>(class_of_row_.size());
  teacher_.reset();
  if (needs.teacher && old_classes_ > 0) teacher_ = Copy(model_);
  for (const std::int64_t label : task.classes) {
    if (std::find(class_of_row_.begin(), class_of_row_.end(), label) == class_of_row_.end()) {
      class_of_row_.push_back(label);
    }
  }
  const Classifier& base = needs.restarts ? initial_ : model_;
  model_ = GrowHead(base, static_cast<std::int64_t>(class_of_row_.size()), DeriveSeed(settings_.seed, "head"),
                    static_cast<std::uint32_t>(tasks_.size()));
  tasks_.push_back({task, DigestOfSource(*task.train)});
  step_ = 0;
  optimiser_state_.clear();
  means_.reset();
  RebuildMemory();
}

TaskContext Learner::ContextOf(PictureView& pictures, const LearnObserver& observer) {
  TaskContext context;
  context.task = static_cast<std::uint32_t>(tasks_.size() - 1);
  context.old_classes = old_classes_;
  for (const std::int64_t label : tasks_.back().input.classes) context.rows.push_back(RowOf(label));
  context.model = &model_;
  context.teacher = teacher_ ? &*teacher_ : nullptr;
  context.pictures = &pictures;
  context.memory = &memory_;
  context.seed = DeriveSeed(settings_.seed, "task " + std::to_string(context.task));
  context.batch = settings_.batch;
  context.on_pictures = [this, observer](std::uint64_t done, std::uint64_t all) {
    LearnProgress progress;
    progress.phase = LearnPhase::kFinishing;
    progress.task = static_cast<std::uint32_t>(tasks_.size() - 1);
    progress.done = done;
    progress.all = all;
    if (observer) observer(progress);
  };
  return context;
}

void Learner::LearnTask(const TaskInput& task, const LearnObserver& observer) {
  if (learning_) {
    throw Error(ErrorCode::kConflict, "the learner was stopped within a task; resume it from its checkpoint");
  }
  ConfigureTorch(settings_.threads);
  const bool resumed = tasks_.size() > tasks_learned_;
  if (resumed) {
    const TaskInput& begun = tasks_.back().input;
    if (task.name != begun.name || task.domain != begun.domain || task.classes != begun.classes ||
        task.train != begun.train) {
      throw Error(ErrorCode::kConflict, "the learner is within " + TaskText(tasks_learned_, begun.name) +
                                            "; that task must be finished first");
    }
  } else {
    CheckTask(task);
  }
  learning_ = true;  // Whatever throws from here on leaves a learner that can only be resumed.
  if (!resumed) BeginTask(task);
  means_.reset();
  PictureView pictures = ViewOf(tasks_.size() - 1, tasks_.size());
  const TaskContext context = ContextOf(pictures, observer);
  if (!resumed) strategy_->BeforeTask(context);
  if (strategy_->needs().trains) Train(context, observer);
  strategy_->AfterTraining(context);
  if (strategy_->needs().KeepsExemplars()) ChooseExemplarsOf(context);
  RebuildMemory();
  strategy_->AfterTask(context);
  teacher_.reset();
  ++tasks_learned_;
  step_ = 0;
  learning_ = false;
  if (checkpoints_.files != nullptr) SaveCheckpoint();
}

void Learner::ChooseExemplarsOf(const TaskContext& context) {
  const TaskInput& task = tasks_.back().input;
  std::vector<std::uint32_t> rows;
  for (const std::int64_t row : context.rows) {
    const std::int64_t label = class_of_row_[static_cast<std::size_t>(row)];
    const bool chosen = std::any_of(store_.lists.begin(), store_.lists.end(), [&](const ExemplarList& list) {
      return list.domain == task.domain && std::int64_t{list.label} == label;
    });
    if (!chosen) rows.push_back(static_cast<std::uint32_t>(row));
  }
  const ExemplarMix mix = settings_.mix.value_or(strategy_->needs().mix);
  const std::size_t m = RoomPerList(settings_.exemplars, store_.lists.size() + rows.size());
  Reduce(store_, m, mix);
  if (m == 0) rows.clear();
  const SelectionSettings selection{.uncertainty = {.passes = settings_.passes,
                                                    .dropout = settings_.uncertainty_dropout,
                                                    .seed = DeriveSeed(context.seed, "exemplars"),
                                                    .batch = settings_.batch},
                                    .herding = settings_.herding,
                                    .mix = mix};
  for (ExemplarList& list :
       SelectExemplars(model_, *context.pictures, task.domain, task.name, rows, m, selection, context.on_pictures)) {
    list.label = static_cast<std::uint32_t>(class_of_row_[list.label]);
    AddList(store_, std::move(list));
  }
}

Prediction Learner::PredictionRule() const { return settings_.prediction.value_or(strategy_->needs().prediction); }

Predictions Learner::Predict(BatchSource& source) {
  if (learning_) throw Error(ErrorCode::kConflict, "the learner cannot predict while it learns a task");
  if (model_.classes() == 0) throw Error(ErrorCode::kConflict, "the learner has not learned any class yet");
  ConfigureTorch(settings_.threads);
  const Prediction rule = PredictionRule();
  const bool by_mean = rule != Prediction::kSoftmax;
  if (by_mean && !means_) {
    means_ = MeansOfExemplars(model_, memory_, rule == Prediction::kNearestDomainMean, settings_.batch);
  }
  Predictions result;
  result.classes = class_of_row_;
  const at::NoGradGuard no_gradients;
  for (std::size_t first = 0; first < source.Size(); first += settings_.batch) {
    std::vector<std::uint32_t> indices(std::min<std::size_t>(settings_.batch, source.Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const at::Tensor images = source.Get(indices, std::nullopt).images.to(DeviceOf(model_));
    const at::Tensor scores = (by_mean ? NearestMeanScores(*means_, model_.Features(images), model_.classes())
                                       : strategy_->Scores(model_, images))
                                  .to(at::kCPU, at::kDouble)
                                  .contiguous();
    const auto columns = static_cast<std::size_t>(scores.size(1));
    const double* row = scores.const_data_ptr<double>();
    for (std::size_t n = 0; n < indices.size(); ++n, row += columns) {
      if (std::any_of(row, row + columns, [](double value) { return value != value; })) {
        Fail("a score is not a number; the model is broken");
      }
      result.predicted.push_back(class_of_row_[static_cast<std::size_t>(std::max_element(row, row + columns) - row)]);
      for (std::size_t c = 0; c < columns; ++c) result.scores.push_back(static_cast<float>(row[c]));
    }
  }
  return result;
}

std::size_t Learner::Withdraw(const Digest& picture) {
  if (learning_) throw Error(ErrorCode::kConflict, "a picture cannot be withdrawn while a task is being learned");
  const bool fresh = withdrawn_.insert(picture).second;
  const std::size_t lists = hemafed::learning::Withdraw(store_, picture);
  means_.reset();
  if (fresh) {
    std::vector<BatchSource*> sources;
    std::vector<PictureRef> places;
    for (std::size_t t = 0; t < tasks_learned_; ++t) {
      BatchSource& source = *tasks_[t].input.train;
      sources.push_back(&source);
      for (std::uint32_t i = 0; i < source.Size(); ++i) {
        if (source.PictureDigest(i) == picture) {
          places.push_back({static_cast<std::uint32_t>(t), i, RowOf(source.Label(i))});
        }
      }
    }
    PictureView view(std::move(sources), std::move(places));
    strategy_->Withdraw(model_, picture, view.Size() == 0 ? nullptr : &view);
  }
  RebuildMemory();
  if (checkpoints_.files != nullptr) SaveCheckpoint();
  return lists;
}

}  // namespace hemafed::learning
