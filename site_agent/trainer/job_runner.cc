// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/job_runner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "codec/evaluation.h"
#include "codec/reports.h"
#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "learning/continual/distillation_probe.h"
#include "learning/continual/evaluate.h"
#include "learning/continual/local_training.h"
#include "learning/continual/select_exemplars.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "site_agent/trainer/quantize.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

// People look at progress about twice a second; the file is tiny and not synced.
constexpr std::int64_t kProgressMs = 400;
// Pictures of one forward pass outside training: memory, not meaning.
constexpr std::uint32_t kInferenceBatch = 32;

std::uint64_t Millionths(double value) { return static_cast<std::uint64_t>(std::llround(std::max(0.0, value) * 1e6)); }

std::vector<std::uint64_t> CountsByClass(const learning::BatchSource& source, std::size_t classes) {
  std::vector<std::uint64_t> counts(classes);
  for (std::size_t i = 0; i < source.Size(); ++i) ++counts.at(static_cast<std::size_t>(source.Label(i)));
  return counts;
}

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
          .gamma = task.gamma,
          .dropout = plan.model.dropout,
          .freeze_affine = !training.train_affine,
          .augment = true,
          .sampling = training.sampling,
          .threads = static_cast<int>(training.threads),
          .loaders = kLoaders};
}

learning::ExemplarMix MixOf(const Plan& plan) {
  return plan.strategy.kind == StrategyKind::kUacl ? learning::ExemplarMix::kBoth : learning::ExemplarMix::kHerding;
}

// Distillation at the round's base; what training changes is added later.
DistillationProbe ProbeBase(learning::Classifier& model, const learning::Classifier& teacher,
                            const UpdateLayout& layout, learning::BatchSource& source,
                            const learning::ProbeSettings& settings, const std::vector<std::uint32_t>& pictures) {
  DistillationProbe probe;
  probe.pictures = pictures.size();
  probe.before_millionths =
      Millionths(learning::MeasureDistillation(model, teacher, source, pictures, settings.batch).loss);
  std::map<std::string, double> by_name;
  const std::vector<double> values = learning::DistillationSensitivity(
      model, teacher.classes(), source, pictures, settings.batch, DeriveSeed(settings.seed, "signs"));
  for (std::size_t i = 0; i < values.size(); ++i) by_name[model.tensors()[i].name] = values[i];
  for (const TensorSpec& tensor : layout.tensors)
    probe.sensitivity.push_back(SensitivityUnits(by_name.at(tensor.name)));
  return probe;
}

Path ResidualFile(const TrainerFolder& folder, const Job& job, std::uint32_t round) {
  return folder.Residuals() / (job.plan.Hex().substr(0, 8) + "-t" + std::to_string(job.task) + "-r" +
                               std::to_string(round) + ".safetensors");
}

}  // namespace

JobRunner::JobRunner(FileSystem& files, const Clock& clock, JobFolder jobs, TrainerFolder folder, SiteSettings settings,
                     RunnerHooks hooks)
    : files_(files),
      clock_(clock),
      jobs_(std::move(jobs)),
      folder_(std::move(folder)),
      settings_(std::move(settings)),
      hooks_(std::move(hooks)),
      vault_(files, folder_.Vault()) {
  jobs_.CreateAll(files_);
  files_.CreateFolders(folder_.Residuals(), 0700);
  files_.CreateFolders(folder_.Pictures(), 0700);
}

std::optional<Job> JobRunner::NextJob() const {
  for (const std::string& name : files_.List(jobs_.Todo())) {
    if (!name.ends_with(".json")) continue;
    const Path path = jobs_.Todo() / name;
    std::string text;
    try {
      text = ReadFile(files_, path, kMaxJobBytes);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) continue;  // The agent took it back.
      throw;
    }
    const Job job = Job::FromText(text, path.string());
    if (job.site != settings_.site) {
      throw Error(ErrorCode::kRefused, path.string() + " is a job of " + job.site + ", this lab is " + settings_.site);
    }
    if (job.Name() + ".json" != name) {
      throw Error(ErrorCode::kInvalidInput, path.string() + " is not named after its content, " + job.Name());
    }
    if (!files_.Exists(jobs_.DoneFolder(job.Name()))) return job;
  }
  return std::nullopt;
}

bool JobRunner::RunNext() {
  const auto job = NextJob();
  if (!job) return false;
  Run(*job);
  return true;
}

void JobRunner::Run(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  if (job.task >= plan.tasks.size()) throw Error(ErrorCode::kInvalidInput, job.Name() + ": the plan has no such task");
  learning::ConfigureTorch(static_cast<int>(plan.training.threads));
  phase_started_ms_ = clock_.MonotonicMs();
  progress_written_ms_ = 0;

  const Path work = jobs_.Work() / job.Name();
  files_.Remove(work);
  files_.CreateFolders(work);
  JobReport report{.job = Sha256Of(job.ToText()), .body = {}};
  switch (job.kind) {
    case JobKind::kCommit: report.body = Commit(job); break;
    case JobKind::kTrain: report.body = Train(job, work); break;
    case JobKind::kSelect: report.body = Select(job); break;
    case JobKind::kEvaluate: report.body = Evaluate(job); break;
    case JobKind::kJudge: report.body = Judge(job); break;
  }
  WriteFileAtomically(files_, work / std::string(kReportFileName), report.ToText());
  files_.Rename(work, jobs_.DoneFolder(job.Name()));
  files_.SyncDirectory(jobs_.Done());
}

const Plan& JobRunner::PlanOf(const Digest& digest) {
  if (!plan_ || plan_->first != digest) {
    const Path path = jobs_.PlanFile(digest);
    const std::string text = ReadFile(files_, path, kMaxPlanBytes);
    if (Sha256Of(text) != digest)
      throw Error(ErrorCode::kCorrupt, path.string() + " does not have the digest of its name");
    plan_ = {digest, ParsePlan(text, path.string())};
    pictures_.reset();
  }
  return plan_->second;
}

const Pictures& JobRunner::PicturesFor(const Job& job) {
  if (hooks_.pictures && (!pictures_ || pictures_->first != job.plan)) {
    pictures_ = {job.plan, hooks_.pictures(settings_, PlanOf(job.plan))};
  }
  if (!pictures_ || pictures_->first != job.plan) {
    auto pictures = std::make_unique<Pictures>(
        files_, settings_, folder_.Pictures(), PlanOf(job.plan),
        [&](std::uint64_t done, std::uint64_t total) { Progress(job, "reading pictures", done, total, done); });
    hooks_.print(pictures->Report());
    pictures_ = {job.plan, std::move(pictures)};
    phase_started_ms_ = clock_.MonotonicMs();
  }
  return *pictures_->second;
}

Path JobRunner::ModelFile(const Digest& digest) const {
  Path path = jobs_.Object(digest);
  Sha256 hash;
  const auto file = files_.OpenForRead(path);
  Bytes buffer(1 << 20);
  for (std::uint64_t offset = 0;;) {
    const std::size_t got = file->ReadAt(offset, buffer);
    if (got == 0) break;
    hash.Update(ByteView(buffer).first(got));
    offset += got;
  }
  if (hash.Finish() != digest)
    throw Error(ErrorCode::kCorrupt, path.string() + " does not have the digest of its name");
  return path;
}

std::unique_ptr<learning::BatchSource> JobRunner::TrainingSource(const Job& job) {
  const Pictures& pictures = PicturesFor(job);
  const learning::ExemplarStore exemplars = EarlierExemplars(job);
  return job.rehearsing ? pictures.Rehearsal(exemplars)
                        : pictures.Train(PlanOf(job.plan).tasks[job.task].classes, exemplars);
}

learning::ExemplarStore JobRunner::EarlierExemplars(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  learning::ExemplarStore store = vault_.Load(job.plan);
  learning::Reduce(store, plan.ExemplarsPerList(job.task), MixOf(plan));
  return store;
}

json JobRunner::Commit(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  const auto source = TrainingSource(job);
  return CommitmentReport{.pictures = source->Size(),
                          .classes = WithholdSmall(CountsByClass(*source, plan.classes.size()), plan.min_pictures)}
      .ToJson();
}

json JobRunner::Train(const Job& job, const Path& work) {
  const Plan& plan = PlanOf(job.plan);
  const auto source = TrainingSource(job);
  const Path base = ModelFile(job.model);
  learning::Classifier model = learning::LoadModel(files_, base);
  std::optional<learning::Classifier> teacher;
  if (job.teacher) teacher = learning::LoadModel(files_, ModelFile(*job.teacher));

  // The base is measured before training moves it.
  std::optional<DistillationProbe> probe;
  learning::ProbeSettings probed;
  std::vector<std::uint32_t> probed_pictures;
  if (teacher) {
    probed = {.pictures = plan.strategy.probe,
              .batch = plan.tasks[job.task].training.batch,
              .seed = DeriveSeed(plan.seed, job.Name() + " probe of " + job.site)};
    probed_pictures = learning::ProbedPictures(*source, probed);
    probe = ProbeBase(model, *teacher, LayoutOfModel(SafetensorsReader::Open(files_, base)), *source, probed,
                      probed_pictures);
  }

  phase_started_ms_ = clock_.MonotonicMs();
  const auto on_step = [&](const learning::TrainingProgress& progress) {
    if (hooks_.stop())
      throw Error(ErrorCode::kInterrupted, "stopped in " + job.Name() + "; it is run again on the next start");
    Progress(job, job.rehearsing ? "rehearsing" : "training", progress.steps_done, progress.steps,
             progress.pictures_done);
  };
  const learning::TrainingReport trained =
      TrainLocally(model, teacher ? &*teacher : nullptr, *source, SettingsOf(plan, job),
                   {.plan_seed = plan.seed, .task = job.task, .round = job.round, .site = job.site}, on_step);

  if (probe) {
    const learning::DistillationState after =
        learning::MeasureDistillation(model, *teacher, *source, probed_pictures, probed.batch);
    probe->after_millionths = Millionths(after.loss);
    for (const double value : after.disagreement) probe->disagreement_millionths.push_back(Millionths(value));
  }

  std::optional<Path> carried;
  if (job.carry_residual && job.round > 0) carried = ResidualFile(folder_, job, job.round - 1);
  const QuantizedUpdate update =
      WriteUpdate(files_, model, base, carried, ResidualFile(folder_, job, job.round),
                  work / std::string(kUpdateFileName), {.encoding = plan.aggregation.encoding});
  // The residual before the carried one can never be asked for again.
  if (job.round > 1) files_.Remove(ResidualFile(folder_, job, job.round - 2));

  UpdateReport report;
  report.values = update.file.values;
  report.layout = update.layout;
  report.file = update.file.file;
  report.file_bytes = update.file.file_bytes;
  report.teacher = job.teacher;
  report.gamma_millionths = Millionths(plan.tasks[job.task].gamma);
  report.pictures = source->Size();
  report.classes = WithholdSmall(CountsByClass(*source, plan.classes.size()), plan.min_pictures);
  report.steps = trained.steps;
  report.loss_millionths = Millionths(trained.mean_loss);
  report.distillation_millionths = Millionths(trained.mean_distillation);
  report.probe = std::move(probe);
  report.residual = update.residual;
  return report.ToJson();
}

json JobRunner::Select(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  const ClassSet& labels = plan.tasks[job.task].classes;
  const auto source = PicturesFor(job).Train(labels);
  const learning::Classifier model = learning::LoadModel(files_, ModelFile(job.model));
  Progress(job, "choosing exemplars", 0, source->Size(), 0);
  const std::uint32_t room = plan.ExemplarsPerList(job.task + 1);
  const learning::SelectionSettings selection{.uncertainty = {.passes = plan.rehearsal.passes,
                                                              .dropout = plan.model.dropout,
                                                              .seed = DeriveSeed(plan.seed, "exemplars of " + job.site),
                                                              .batch = kInferenceBatch},
                                              .herding = plan.rehearsal.normalised_herding
                                                             ? learning::HerdingVariant::kNormalised
                                                             : learning::HerdingVariant::kRaw,
                                              .mix = MixOf(plan)};

  learning::ExemplarStore store = vault_.Load(job.plan);
  // The same job run again replaces what it chose before.
  std::erase_if(store.lists, [&](const learning::ExemplarList& list) {
    return list.domain == job.site && std::binary_search(labels.begin(), labels.end(), list.label);
  });
  learning::Reduce(store, room, selection.mix);
  for (learning::ExemplarList& list :
       SelectExemplars(model, *source, job.site, settings_.site, labels, room, selection)) {
    if (!list.herding.empty() || !list.uncertainty.empty()) AddList(store, std::move(list));
  }
  vault_.Save(job.plan, store);

  std::vector<std::uint64_t> counts(plan.classes.size());
  for (const learning::ExemplarList& list : store.lists) {
    counts.at(list.label) += list.herding.size() + list.uncertainty.size();
  }
  return ExemplarReport{.kept = StoredCount(store),
                        .classes = WithholdSmall(counts, plan.min_pictures),
                        .list = Sha256Of(ExemplarStoreToJson(store))}
      .ToJson();
}

json JobRunner::Evaluate(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  const std::vector<ClassSet> pools = plan.PoolsOf(job.site);
  ClassSet tested;
  for (const ClassSet& pool : pools) tested.insert(tested.end(), pool.begin(), pool.end());
  const auto source = PicturesFor(job).Test(tested);
  const learning::Classifier model = learning::LoadModel(files_, ModelFile(job.model));
  phase_started_ms_ = clock_.MonotonicMs();
  const auto classes = static_cast<std::uint32_t>(plan.classes.size());
  const ConfusionMatrix matrix = learning::Evaluate(model, *source, classes, kInferenceBatch, [&](std::uint64_t done) {
    Progress(job, "evaluating", done, source->Size(), done);
  });
  return EvaluationReport::Of(matrix, plan.min_pictures, pools).ToJson();
}

json JobRunner::Judge(const Job& job) {
  const Plan& plan = PlanOf(job.plan);
  if (!job.teacher) throw Error(ErrorCode::kInvalidInput, job.Name() + ": names no teacher to compare with");
  ClassSet learned;
  for (std::uint32_t task = 0; task < job.task; ++task) {
    const TaskPlan& earlier = plan.tasks[task];
    if (earlier.site == job.site) learned.insert(learned.end(), earlier.classes.begin(), earlier.classes.end());
  }
  // The same pictures in every round of the task.
  const auto source = PicturesFor(job).HeldOut(
      learned, vault_.Load(job.plan), plan.retention.pictures,
      DeriveSeed(plan.seed, "retention of task " + std::to_string(job.task) + " at " + job.site));
  if (source->Size() < plan.min_pictures) return JudgementReport{}.ToJson();
  const learning::Classifier candidate = learning::LoadModel(files_, ModelFile(job.model));
  const learning::Classifier teacher = learning::LoadModel(files_, ModelFile(*job.teacher));
  phase_started_ms_ = clock_.MonotonicMs();
  const std::uint64_t agrees = learning::CountAgreements(
      candidate, teacher, *source, kInferenceBatch,
      [&](std::uint64_t done) { Progress(job, "judging the merged model", done, source->Size(), done); });
  return JudgementReport{.pictures = source->Size(), .agrees = agrees}.ToJson();
}

void JobRunner::Progress(const Job& job, const std::string& phase, std::uint64_t done, std::uint64_t total,
                         std::uint64_t pictures_done) {
  const std::int64_t now_ms = clock_.MonotonicMs();
  if (now_ms - progress_written_ms_ < kProgressMs && done < total) return;
  progress_written_ms_ = now_ms;
  const std::int64_t elapsed_ms = std::max<std::int64_t>(1, now_ms - phase_started_ms_);
  const JobProgress progress{
      .job = job.Name(),
      .phase = phase,
      .done = done,
      .total = total,
      .pictures_per_s_thousandths = pictures_done * 1'000'000 / static_cast<std::uint64_t>(elapsed_ms)};
  // Not synced: after a crash the job starts again, and with it its progress.
  const Path temporary = jobs_.ProgressFile().string() + ".tmp";
  const auto file = files_.Create(temporary);
  file->Append(progress.ToText());
  file->Close();
  files_.Rename(temporary, jobs_.ProgressFile());
}

}  // namespace hemafed::trainer
