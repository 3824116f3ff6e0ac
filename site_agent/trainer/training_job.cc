// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "codec/reports.h"
#include "codec/update.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "learning/continual/distillation_probe.h"
#include "learning/continual/local_training.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/round_update.h"
#include "site_agent/trainer/step_loss.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

// Threads that make batches while training uses the last one: one makes them faster than any network here takes them.
constexpr unsigned kLoaders = 1;

learning::TrainingSettings SettingsOf(const Plan& plan, const Job& job) {
  const TaskPlan& task = plan.tasks[job.task];
  const TrainingPlan& training = task.training;
  return {.steps = training.steps,
          .batch = training.batch,
          .rounds = task.rounds,
          .learning_rate = training.learning_rate,
          .schedule = training.schedule,
          .sgd = {.momentum = training.momentum,
                  .nesterov = training.nesterov,
                  .weight_decay = training.weight_decay,
                  .clip_norm = training.clip_norm},
          .dropout = plan.model.dropout,
          .freeze_affine = !training.train_affine,
          .augment = true,
          .sampling = training.sampling,
          .threads = static_cast<int>(training.threads),
          .loaders = kLoaders};
}

// The probe of distillation (design, 4.4): begun at the round's base, finished after training has moved it.
class Probe {
 public:
  Probe(const JobContext& context, const learning::Classifier& teacher, learning::BatchSource& source)
      : teacher_(teacher),
        source_(source),
        settings_{.pictures = context.plan.strategy.probe,
                  .batch = context.task().training.batch,
                  .seed = DeriveSeed(context.plan.seed, context.job.Name() + " probe of " + context.job.site)},
        pictures_(learning::ProbedPictures(source, settings_)) {}

  void MeasureBase(learning::Classifier& base, const UpdateLayout& layout) {
    result_.pictures = pictures_.size();
    result_.before_millionths = LossMillionths(Measure(base).loss);
    std::map<std::string, double> by_name;
    const std::vector<double> values = learning::DistillationSensitivity(
        base, teacher_.classes(), source_, pictures_, settings_.batch, DeriveSeed(settings_.seed, "signs"));
    for (std::size_t i = 0; i < values.size(); ++i) by_name[base.tensors()[i].name] = values[i];
    for (const TensorSpec& tensor : layout.tensors) {
      result_.sensitivity.push_back(SensitivityUnits(by_name.at(tensor.name)));
    }
  }

  [[nodiscard]] DistillationProbe Finish(const learning::Classifier& trained) {
    const learning::DistillationState after = Measure(trained);
    result_.after_millionths = LossMillionths(after.loss);
    for (const double value : after.disagreement) result_.disagreement_millionths.push_back(LossMillionths(value));
    return std::move(result_);
  }

 private:
  [[nodiscard]] learning::DistillationState Measure(const learning::Classifier& model) const {
    return learning::MeasureDistillation(model, teacher_, source_, pictures_, settings_.batch);
  }

  const learning::Classifier& teacher_;
  learning::BatchSource& source_;
  learning::ProbeSettings settings_;
  std::vector<std::uint32_t> pictures_;
  DistillationProbe result_;
};

}  // namespace

json RunCommitJob(const JobContext& context) {
  const auto source = context.TrainingSource();
  return CommitmentReport{
      .pictures = source->Size(),
      .classes = WithholdSmall(CountsByClass(*source, context.plan.classes.size()), context.plan.min_pictures)}
      .ToJson();
}

json RunTrainingJob(const JobContext& context) {
  const Job& job = context.job;
  const Plan& plan = context.plan;
  const auto source = context.TrainingSource();
  const Path base = context.object(job.model);
  learning::Classifier model = context.LoadModel(job.model);
  std::optional<learning::Classifier> teacher;
  if (job.teacher) teacher = context.LoadModel(*job.teacher);
  std::optional<Probe> probe;
  if (teacher) {
    probe.emplace(context, *teacher, *source);
    probe->MeasureBase(model, LayoutOfModel(SafetensorsReader::Open(context.files, base)));
  }

  const std::unique_ptr<learning::LocalLoss> loss = LossOf(context, *source, teacher ? &*teacher : nullptr);
  const std::string phase = job.rehearsing ? "rehearsing" : "training";
  context.progress(phase, 0, context.task().training.steps, 0);
  const auto on_step = [&](const learning::TrainingProgress& progress) {
    context.RequireGoingOn();
    context.progress(phase, progress.steps_done, progress.steps, progress.pictures_done);
  };
  const learning::TrainingReport trained =
      TrainLocally(model, *loss, *source, SettingsOf(plan, job),
                   {.plan_seed = plan.seed, .task = job.task, .round = job.round, .site = job.site}, on_step);

  UpdateReport report;
  if (probe) report.probe = probe->Finish(model);
  const QuantizedUpdate update = WriteRoundUpdate(context, model.tensors(), base);
  report.values = update.file.values;
  report.layout = update.layout;
  report.file = update.file.file;
  report.file_bytes = update.file.file_bytes;
  report.teacher = job.teacher;
  report.gamma_millionths = LossMillionths(context.task().gamma);
  report.pictures = source->Size();
  report.classes = WithholdSmall(CountsByClass(*source, plan.classes.size()), plan.min_pictures);
  report.steps = trained.steps;
  report.loss_millionths = LossMillionths(trained.mean_loss);
  report.distillation_millionths = LossMillionths(trained.mean_extra);
  report.residual = update.residual;
  return report.ToJson();
}

}  // namespace hemafed::trainer
