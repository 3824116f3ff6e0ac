// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/job_runner.h"

#include <algorithm>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/features/extractor/cell_latents.h"
#include "learning/models/torch_setup.h"
#include "site_agent/trainer/jobs.h"

namespace hemafed::trainer {

namespace {

// People look at progress about twice a second; the file is tiny and not synced.
constexpr std::int64_t kProgressMs = 400;

nlohmann::json BodyOf(const JobContext& context) {
  const bool learns_cells = context.plan.TrainsAutoencoder();
  switch (context.job.kind) {
    case JobKind::kCommit: return learns_cells ? RunCellCommitJob(context) : RunCommitJob(context);
    case JobKind::kTrain: return learns_cells ? RunCellTrainingJob(context) : RunTrainingJob(context);
    case JobKind::kSelect: return RunSelectionJob(context);
    case JobKind::kEvaluate: return RunEvaluationJob(context);
    case JobKind::kJudge: return RunJudgementJob(context);
    case JobKind::kSum: return RunSumJob(context);
    case JobKind::kAgree: return RunAgreeJob(context);
    case JobKind::kSeal: return RunSealJob(context);
    case JobKind::kReceive: return RunReceiveJob(context);
    case JobKind::kFisher: return RunFisherJob(context);
    case JobKind::kMeans: return RunMeansJob(context);
    case JobKind::kRemove: return RunRemoveJob(context);
    case JobKind::kMoments: return learns_cells ? RunMomentsJob(context) : RunLatentMomentsJob(context);
    case JobKind::kDrift: return RunDriftJob(context);
  }
  throw Error(ErrorCode::kInternal, "job kind out of range");
}

// More rounds than the plan's would be more looks at the same pictures, through models that the coordinator chose.
void RequireRoundOfPlan(const Job& job, const Plan& plan) {
  if (job.kind != JobKind::kTrain && job.kind != JobKind::kMoments) return;
  const std::uint32_t rounds = job.kind == JobKind::kMoments && !plan.AlignsLatents() ? 1 : plan.tasks[job.task].rounds;
  if (job.round < rounds) return;
  throw Error(ErrorCode::kRefused,
              job.Name() + ": the plan has only " + std::to_string(rounds) + " rounds of this kind");
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
  RequireRoundOfPlan(job, plan);
  learning::ConfigureTorch(static_cast<int>(plan.training.threads));
  phase_.clear();
  if (auto withdrawn = vault_.Withdrawn(); withdrawn != withdrawn_) {
    withdrawn_ = std::move(withdrawn);
    pictures_.reset();
  }

  const Path work = jobs_.Work() / job.Name();
  files_.Remove(work);
  files_.CreateFolders(work);
  const JobContext context{.files = files_,
                           .job = job,
                           .plan = plan,
                           .settings = settings_,
                           .folder = folder_,
                           .vault = vault_,
                           .work = work,
                           .pictures = [&]() -> const Pictures& { return PicturesFor(job); },
                           .object = [&](const Digest& digest) { return CheckedObject(digest); },
                           .progress = [&](const std::string& phase, std::uint64_t done, std::uint64_t total,
                                           std::uint64_t pictures) { Progress(job, phase, done, total, pictures); },
                           .stop = hooks_.stop,
                           .print = hooks_.print,
                           .ephemeral_key = hooks_.ephemeral_key};
  const JobReport report{.job = Sha256Of(job.ToText()), .body = BodyOf(context)};
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
  // A withdrawal of what was withdrawn before removes the file too, and tells nobody here.
  if (!hooks_.pictures && pictures_ && pictures_->second->LacksCells()) pictures_.reset();
  if (hooks_.pictures && (!pictures_ || pictures_->first != job.plan)) {
    pictures_ = {job.plan, hooks_.pictures(settings_, PlanOf(job.plan))};
  }
  if (!pictures_ || pictures_->first != job.plan) {
    std::unique_ptr<const learning::LatentExtractor> extractor;
    std::unique_ptr<const learning::CellDescriber> describer;
    const Plan& plan = PlanOf(job.plan);
    if (const auto& named = plan.model.extractor) {
      const Path detector = CheckedObject(named->detector), autoencoder = CheckedObject(named->autoencoder);
      extractor = hooks_.extractor ? hooks_.extractor(detector, autoencoder)
                                   : learning::LoadCellLatents(files_, detector, autoencoder, plan.model.input_px);
    }
    if (plan.model.detector) {
      const Path detector = CheckedObject(*plan.model.detector);
      describer = hooks_.describer ? hooks_.describer(detector)
                                   : learning::LoadCellDescriber(files_, detector, plan.model.input_px);
    }
    auto pictures = std::make_unique<Pictures>(
        files_, settings_, folder_.Pictures(), plan,
        [&](const std::string& phase, std::uint64_t done, std::uint64_t total) {
          Progress(job, phase, done, total, done);
          // Pictures are read in seconds, latents and cells may take hours.
          if ((extractor != nullptr || describer != nullptr) && hooks_.stop())
            throw Error(ErrorCode::kInterrupted, "stopped while " + phase + "; it goes on from there");
        },
        PictureTools{.extractor = extractor.get(), .describer = describer.get()}, withdrawn_);
    hooks_.print(pictures->Report());
    pictures_ = {job.plan, std::move(pictures)};
  }
  return *pictures_->second;
}

Path JobRunner::CheckedObject(const Digest& digest) const {
  Path path = jobs_.Object(digest);
  if (DigestOfFile(files_, path) != digest)
    throw Error(ErrorCode::kCorrupt, path.string() + " does not have the digest of its name");
  return path;
}

void JobRunner::Progress(const Job& job, const std::string& phase, std::uint64_t done, std::uint64_t total,
                         std::uint64_t pictures_done) {
  const std::int64_t now_ms = clock_.MonotonicMs();
  const bool begins = phase != phase_;
  if (begins) {
    phase_ = phase;
    phase_started_ms_ = now_ms;
  }
  if (!begins && now_ms - progress_written_ms_ < kProgressMs && done < total) return;
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
