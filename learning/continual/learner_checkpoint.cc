// SPDX-License-Identifier: Apache-2.0
//
// What a learner writes into a checkpoint and takes back. Tensors: "model.*", "teacher.*" within a task, "optimiser.*"
// after its first step, "strategy.*". Exemplars are the canonical text of exemplar_store.h.
#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "codec/head_growth.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "learning/continual/learner.h"
#include "learning/continual/source_digest.h"
#include "learning/models/torch_setup.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

constexpr const char* kWhere = "checkpoint of a learner";
constexpr std::size_t kMaxTasks = 4096;           // of one study; the published ones have at most 12
constexpr std::size_t kMaxWithdrawn = 1'000'000;  // pictures
constexpr std::size_t kMaxTaskNameBytes = 1024;
constexpr std::size_t kMaxStrategyTextBytes = 32u << 20;  // a line of 200 bytes for every exemplar allowed

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

void PutPrefixed(TensorMap& tensors, const std::string& prefix, const TensorMap& part) {
  for (const auto& [name, tensor] : part) tensors[prefix + name] = tensor;
}

TensorMap TakePrefixed(const TensorMap& tensors, const std::string& prefix) {
  TensorMap part;
  for (auto place = tensors.lower_bound(prefix); place != tensors.end() && place->first.starts_with(prefix); ++place) {
    part[place->first.substr(prefix.size())] = place->second;
  }
  return part;
}

// The first setting that differs, with both values.
void RequireSameSettings(const json& stored, const json& current, const std::string& place) {
  if (stored == current) return;
  if (stored.is_object() && current.is_object()) {
    for (const auto& [key, value] : current.items()) {
      if (!stored.contains(key)) Fail("the checkpoint was made without a setting that is '" + key + "' now");
      std::string below = place;
      below.append(key).append(".");
      RequireSameSettings(stored.at(key), value, below);
    }
    Fail("the checkpoint has settings that this program does not know");
  }
  const std::string name = place.empty() ? place : place.substr(0, place.size() - 1);
  Fail("the checkpoint was made with " + name + " = " + stored.dump() + ", now it is " + current.dump() +
       "; resume with the settings of the run, or start over in another folder");
}

}  // namespace

void Learner::SaveCheckpoint() const {
  Checkpoint checkpoint;
  PutModel(checkpoint.tensors, "model.", model_);
  if (teacher_) PutModel(checkpoint.tensors, "teacher.", *teacher_);
  if (optimiser_) PutPrefixed(checkpoint.tensors, "optimiser.", optimiser_->State());
  PutPrefixed(checkpoint.tensors, "optimiser.", optimiser_state_);  // Resumed, but not gone on with yet.
  const StrategyState state = strategy_->State();
  PutPrefixed(checkpoint.tensors, "strategy.", state.tensors);
  json tasks = json::array();
  for (const Begun& task : tasks_) {
    tasks.push_back({{"classes", task.input.classes},
                     {"domain", task.input.domain},
                     {"name", task.input.name},
                     {"pictures", task.pictures.Hex()}});
  }
  json withdrawn = json::array();
  for (const Digest& digest : withdrawn_) withdrawn.push_back(digest.Hex());
  checkpoint.fields = {{"class_of_row", class_of_row_},
                       {"exemplars", ExemplarStoreToJson(store_)},
                       {"initial", DigestOfModel(initial_).Hex()},
                       {"old_classes", old_classes_},
                       {"settings", ToJson(settings_)},
                       {"step", step_},
                       {"strategy", state.text},
                       {"tasks", std::move(tasks)},
                       {"tasks_learned", tasks_learned_},
                       {"withdrawn", std::move(withdrawn)}};
  WriteCheckpoint(*checkpoints_.files, checkpoints_.folder, checkpoint);
}

Learner Learner::Resume(FileSystem& files, const Path& folder, Classifier initial, LearnerSettings settings,
                        std::span<const TaskInput> tasks, std::uint32_t every_steps) {
  Learner learner(std::move(initial), std::move(settings));
  ConfigureTorch(learner.settings_.threads);
  learner.RestoreFrom(ReadCheckpoint(files, folder), tasks);
  learner.KeepCheckpoints(files, folder, every_steps);
  return learner;
}

void Learner::RestoreFrom(const Checkpoint& checkpoint, std::span<const TaskInput> tasks) {
  JsonFields fields(checkpoint.fields, kWhere);
  RequireSameSettings(fields.Raw("settings"), ToJson(settings_), "");
  if (fields.Sha256Digest("initial") != DigestOfModel(initial_)) {
    Fail("the checkpoint began with other weights; resume with those, or start over in another folder");
  }
  tasks_learned_ = fields.Unsigned("tasks_learned", kMaxTasks);
  step_ = static_cast<std::uint32_t>(fields.Unsigned("step", UINT32_MAX));
  old_classes_ = fields.Integer("old_classes", 0, kMaxHeadClasses);
  class_of_row_.clear();
  for (const auto& label : fields.Counts("class_of_row", kMaxHeadClasses, kMaxHeadClasses - 1)) {
    if (!label || std::find(class_of_row_.begin(), class_of_row_.end(), static_cast<std::int64_t>(*label)) !=
                      class_of_row_.end()) {
      fields.Fail("class_of_row", "is not a list of different classes");
    }
    class_of_row_.push_back(static_cast<std::int64_t>(*label));
  }
  for (JsonFields& item : fields.Objects("tasks", kMaxTasks)) {
    const std::size_t number = tasks_.size();
    const std::string name = item.Text("name", kMaxTaskNameBytes);
    if (number >= tasks.size() || tasks[number].train == nullptr) {
      Fail("the checkpoint is beyond task " + std::to_string(number) + " (" + name + "), which was not given");
    }
    std::vector<std::int64_t> classes;
    for (const auto& label : item.Counts("classes", kMaxHeadClasses, kMaxHeadClasses - 1)) {
      classes.push_back(label ? static_cast<std::int64_t>(*label) : -1);
    }
    const TaskInput& given = tasks[number];
    const Digest pictures = item.Sha256Digest("pictures");
    if (given.name != name || given.domain != item.Text("domain", kMaxExemplarNameBytes) || given.classes != classes ||
        DigestOfSource(*given.train) != pictures) {
      Fail("task " + std::to_string(number) + " (" + name +
           ") of the checkpoint has another name, domain, classes or pictures than the one given");
    }
    item.RequireAllRead();
    tasks_.push_back({given, pictures});
  }
  if (tasks_.size() != tasks_learned_ && tasks_.size() != tasks_learned_ + 1) {
    fields.Fail("tasks_learned", "does not fit the tasks");
  }
  for (const std::string& hex : fields.Texts("withdrawn", kMaxWithdrawn, 64)) {
    const std::optional<Digest> digest = Digest::FromHex(hex);
    if (!digest) fields.Fail("withdrawn", "holds something that is not a digest");
    withdrawn_.insert(*digest);
  }
  store_ = ExemplarStoreFromJson(fields.Text("exemplars", kMaxExemplarStoreBytes));

  std::optional<Classifier> model = TakeModel(checkpoint.tensors, "model.", initial_);
  if (model) {
    model_ = std::move(*model);
  } else if (!class_of_row_.empty()) {
    Fail("the checkpoint lacks the model");
  }
  if (model_.classes() != static_cast<std::int64_t>(class_of_row_.size())) {
    fields.Fail("class_of_row", "does not have as many classes as the model");
  }
  teacher_ = TakeModel(checkpoint.tensors, "teacher.", initial_);
  optimiser_state_ = TakePrefixed(checkpoint.tensors, "optimiser.");
  strategy_->SetState({TakePrefixed(checkpoint.tensors, "strategy."), fields.Text("strategy", kMaxStrategyTextBytes)},
                      initial_);
  fields.RequireAllRead();
  RebuildMemory();
}

}  // namespace hemafed::learning
