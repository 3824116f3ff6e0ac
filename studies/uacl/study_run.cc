// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/study_run.h"

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/error.h"
#include "common/report/number_text.h"
#include "learning/models/model_file.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr std::string_view kResultName = "result.json";
constexpr std::string_view kAnswersName = "answers.json";
constexpr std::string_view kCheckpointName = "checkpoint";

Path FolderOf(const RunPlace& place, const RunKey& run) { return place.folder / place.study->RunName(run); }

// The tasks of a run with sources of its own, which the learner borrows.
struct Sources {
  std::vector<std::unique_ptr<learning::BatchSource>> training, tests;
  std::vector<learning::TaskInput> tasks;

  Sources(const RunPlace& place, const RunKey& run) {
    const Experiment& experiment = place.study->experiments.at(run.experiment);
    const auto& columns = place.data->Columns(run.experiment);
    for (std::size_t t = 0; t < experiment.tasks.size(); ++t) {
      const StudyTask& task = experiment.tasks[t];
      training.push_back(place.data->Training(task));
      tasks.push_back({columns[t].title, task.domain, task.classes, training.back().get()});
    }
    for (const TestColumn& column : columns) tests.push_back(place.data->Test(column));
  }
};

std::vector<std::int64_t> Millionths(const std::vector<float>& scores) {
  std::vector<std::int64_t> rounded;
  rounded.reserve(scores.size());
  for (const float score : scores) rounded.push_back(std::llround(static_cast<double>(score) * 1e6));
  return rounded;
}

class Run {
 public:
  Run(const RunPlace& place, const RunKey& run, const Digest& made_from, const RunObserver& observer)
      : place_(place),
        settings_(place.study->SettingsOf(run)),
        folder_(FolderOf(place, run)),
        sources_(place, run),
        observer_(observer) {
    settings_.loaders = place.loaders;
    result_.made_from = made_from;
    for (const TestColumn& column : place.data->Columns(run.experiment)) {
      result_.columns.push_back(column.truth);
      titles_.push_back(column.title);
    }
    result_.scores_millionths.resize(result_.columns.size());
  }

  RunResult Make(const learning::Classifier& initial) {
    place_.files->CreateFolders(folder_);
    ReadAnswers();
    const std::int64_t begin_ms = place_.clock->MonotonicMs();
    const std::uint64_t before = result_.seconds_thousandths;
    const auto note_time = [&] {
      result_.seconds_thousandths = before + static_cast<std::uint64_t>(place_.clock->MonotonicMs() - begin_ms);
    };
    learning::Learner learner = MakeLearner(initial);
    // A run stopped between a task's checkpoint and its scores scores the model that the checkpoint holds.
    if (learner.tasks_learned() > result_.answers.size()) ScoreTask(learner, note_time);
    while (learner.tasks_learned() < sources_.tasks.size()) {
      const std::size_t task = learner.tasks_learned();
      learner.LearnTask(sources_.tasks[task], [&](const learning::LearnProgress& progress) { Report(progress); });
      ScoreTask(learner, note_time);
    }
    return Finish(learner);
  }

 private:
  Path Checkpoint() const { return folder_ / kCheckpointName; }

  learning::Learner MakeLearner(const learning::Classifier& initial) {
    if (learning::HasCheckpoint(*place_.files, Checkpoint())) {
      return learning::Learner::Resume(*place_.files, Checkpoint(), initial.Clone(), settings_, sources_.tasks,
                                       kStepsBetweenCheckpoints);
    }
    if (!result_.answers.empty()) {
      throw Error(ErrorCode::kConflict, folder_.string() + " has answers but no checkpoint; remove the folder");
    }
    learning::Learner learner(initial.Clone(), settings_);
    learner.KeepCheckpoints(*place_.files, Checkpoint(), kStepsBetweenCheckpoints);
    return learner;
  }

  void ReadAnswers() {
    const Path path = folder_ / kAnswersName;
    if (!place_.files->Exists(path)) {
      WriteFileAtomically(*place_.files, path, result_.ToText());
      return;
    }
    RunResult before = RunResult::FromText(ReadFile(*place_.files, path, kMaxResultBytes), path.string());
    if (before.made_from != result_.made_from) {
      throw Error(ErrorCode::kConflict, folder_.string() +
                                            " was begun with other settings, pictures or weights; choose another "
                                            "output folder or remove it");
    }
    result_ = std::move(before);
  }

  void Report(const learning::LearnProgress& progress) {
    std::string what = "finishing the task";
    if (progress.phase == learning::LearnPhase::kTraining) {
      task_pictures_ = progress.pictures;
      what = "epoch " + std::to_string(progress.epoch + 1) + " of " + std::to_string(settings_.epochs) + ", loss " +
             FormatFixed(progress.step.loss, 2);
    }
    observer_({progress.task, sources_.tasks.size(), what, result_.train_pictures + task_pictures_});
  }

  void ScoreTask(learning::Learner& learner, const std::function<void()>& note_time) {
    const std::size_t task = learner.tasks_learned() - 1;
    result_.train_pictures += std::exchange(task_pictures_, 0);
    std::vector<std::vector<std::int64_t>> answers;
    for (std::size_t j = 0; j < sources_.tests.size(); ++j) {
      observer_({task, sources_.tasks.size(), "scoring " + titles_[j], result_.train_pictures});
      learning::Predictions predictions = learner.Predict(*sources_.tests[j]);
      answers.push_back(std::move(predictions.predicted));
      result_.score_classes = std::move(predictions.classes);
      result_.scores_millionths[j] = Millionths(predictions.scores);
    }
    result_.answers.push_back(std::move(answers));
    result_.exemplars = learner.exemplars();
    note_time();
    WriteFileAtomically(*place_.files, folder_ / kAnswersName, result_.ToText());
  }

  RunResult Finish(const learning::Learner& learner) {
    result_.model = learning::SaveModel(*place_.files, folder_ / "model.safetensors", learner.model());
    WriteFileAtomically(*place_.files, folder_ / kResultName, result_.ToText());
    for (const std::string& name : place_.files->List(Checkpoint())) place_.files->Remove(Checkpoint() / name);
    place_.files->Remove(folder_ / kAnswersName);
    return std::move(result_);
  }

  const RunPlace& place_;
  learning::LearnerSettings settings_;
  Path folder_;
  Sources sources_;
  const RunObserver& observer_;
  std::vector<std::string> titles_;
  RunResult result_;
  std::uint64_t task_pictures_ = 0;
};

}  // namespace

Digest MadeFrom(const RunPlace& place, const RunKey& run, const Digest& initial_weights) {
  const Experiment& experiment = place.study->experiments.at(run.experiment);
  json tasks = json::array();
  for (const StudyTask& task : experiment.tasks) tasks.push_back({{"domain", task.domain}, {"classes", task.classes}});
  json digests = json::object();
  const auto add_domain = [&](const std::string& name) {
    digests[name] = IndexDigest(place.data->Domain(name).index()).Hex();
  };
  for (const StudyTask& task : experiment.tasks) add_domain(task.domain);
  for (const std::string& unseen : experiment.unseen) add_domain(unseen);
  const ModelChoice& model = place.study->model;
  const AugmentationPlan& augmentation = place.study->augmentation;
  json everything = {
      {"settings", learning::ToJson(place.study->SettingsOf(run))},
      {"tasks", tasks},
      {"unseen", experiment.unseen},
      {"classes", place.study->classes},
      {"part", place.study->part == StudyPart::kTest ? "test" : "validation"},
      {"pictures", digests},
      {"input_px", model.input_px},
      {"precision", learning::PrecisionName(model.precision)},
      {"weights", initial_weights.Hex()},
      {"augmentation",
       {augmentation.flips, static_cast<int>(augmentation.rotation), augmentation.brightness, augmentation.contrast,
        augmentation.saturation, augmentation.hue, augmentation.zoom, augmentation.shift, augmentation.blur}}};
  // Unsaid for the processor, as before there was a choice: results made then stay good.
  if (!place.device.is_cpu()) everything["device"] = c10::DeviceTypeName(place.device.type(), /*lower_case=*/true);
  return Sha256Of(everything.dump());
}

std::optional<RunResult> FinishedResult(const RunPlace& place, const RunKey& run, const Digest& made_from) {
  const Path path = FolderOf(place, run) / kResultName;
  if (!place.files->Exists(path)) return std::nullopt;
  RunResult result = RunResult::FromText(ReadFile(*place.files, path, kMaxResultBytes), path.string());
  if (result.made_from != made_from) {
    throw Error(ErrorCode::kConflict, path.string() +
                                          " was made with other settings, pictures or weights; choose another output "
                                          "folder or remove it");
  }
  return result;
}

std::uint64_t PicturesOf(const RunPlace& place, const RunKey& run) {
  const auto needs = learning::MakeStrategy(place.study->SettingsOf(run).strategy, {})->needs();
  if (!needs.trains) return 0;
  std::uint64_t pictures = 0, before = 0;
  for (const StudyTask& task : place.study->experiments.at(run.experiment).tasks) {
    const std::uint64_t own = place.data->TrainingPictures(task);
    pictures += own + (needs.rehearsal == learning::Rehearsal::kAll ? before : 0);
    before += own;
  }
  return pictures * place.study->SettingsOf(run).epochs;
}

RunResult MakeRun(const RunPlace& place, const RunKey& run, const learning::Classifier& initial,
                  const Digest& made_from, const RunObserver& observer) {
  if (auto result = FinishedResult(place, run, made_from)) return std::move(*result);
  return Run(place, run, made_from, observer).Make(initial);
}

}  // namespace hemafed::studies
