// tests/scenarios/toy_trainer.h
// SPDX-License-Identifier: Apache-2.0
//
// A trainer without LibTorch that keeps the job folder's layout (docs/job_folder.md): its "training" is a pure function
// of job and base model, so whole federations run in milliseconds and their digests can be compared. Real updates, real
// files.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codec/evaluation.h"
#include "codec/exchange.h"
#include "codec/job_folder.h"
#include "codec/plan.h"
#include "codec/reports.h"
#include "codec/sealed_bundle.h"
#include "codec/update.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/partner_word.h"

namespace hemafed::testing_support {

class ToyTrainer {
 public:
  ToyTrainer(FileSystem& files, Path jobs, std::string site)
      : files_(files), jobs_{std::move(jobs)}, site_(std::move(site)) {}

  // Multiplies what it learns; a large factor breaks the plan's norm bound.
  std::int32_t scale = 1;

  // Does nothing, as in a lab that is away.
  bool asleep = false;
  // On how many pictures a candidate disagrees with the teacher; none: never.
  std::function<std::uint64_t(const Job&)> disagreements;
  // Says so many more tensors than the model has.
  std::size_t more_sensitivities = 0;
  // Changes a bundle's file after its report was made, or what the report says of it.
  std::function<void(const Path& bundle, BundleReport& report)> tamper;
  // Pictures of other hospitals that it holds: sender and digest.
  std::set<std::pair<std::string, Digest>> received;

  // Runs what is in todo/; true if there was something.
  bool RunAll() {
    bool worked = false;
    if (asleep || !files_.Exists(jobs_.Todo())) return false;
    for (const std::string& name : files_.List(jobs_.Todo())) {
      if (!name.ends_with(".json")) continue;
      const std::string text = ReadFile(files_, jobs_.Todo() / name, kMaxJobBytes);
      const Job job = Job::FromText(text, name);
      if (files_.Exists(jobs_.DoneFolder(job.Name()))) continue;
      Run(job, text);
      worked = true;
    }
    return worked;
  }

 private:
  void Run(const Job& job, const std::string& text) {
    const Plan plan = ParsePlan(ReadFile(files_, jobs_.PlanFile(job.plan), kMaxPlanBytes), "plan");
    const Path work = jobs_.Work() / job.Name();
    files_.Remove(work);
    files_.CreateFolders(work);
    JobReport report{.job = Sha256Of(text), .body = {}};
    const ClassCounts counts(plan.classes.size(), std::nullopt);
    const std::uint64_t pictures = job.rehearsing ? Kept(plan, job.task) : 50 + site_.size();
    switch (job.kind) {
      case JobKind::kCommit: report.body = CommitmentReport{.pictures = pictures, .classes = counts}.ToJson(); break;
      case JobKind::kSelect:
        report.body =
            ExemplarReport{.kept = Kept(plan, job.task + 1), .classes = counts, .list = Sha256Of(site_)}.ToJson();
        break;
      case JobKind::kEvaluate: report.body = Score(job, plan).ToJson(); break;
      case JobKind::kJudge: {
        const std::uint64_t all = plan.retention.pictures;
        report.body =
            JudgementReport{.pictures = all, .agrees = all - (disagreements ? disagreements(job) : 0)}.ToJson();
        break;
      }
      case JobKind::kTrain: report.body = Learn(job, plan, pictures, counts, work).ToJson(); break;
      case JobKind::kAgree: report.body = TrainerKeyReport{.key = Key().PublicKey()}.ToJson(); break;
      case JobKind::kSeal: report.body = SealAll(job, plan, work).ToJson(); break;
      case JobKind::kReceive: report.body = TakeIn(job).ToJson(); break;
    }
    WriteFileAtomically(files_, work / std::string(kReportFileName), report.ToText());
    files_.Rename(work, jobs_.DoneFolder(job.Name()));
  }

  // A key that outlives the trainer, as a file would.
  HpkePrivateKey Key() const {
    return HpkePrivateKey::Derive(AsBytes("key of the trainer of " + site_ + " in the test"));
  }
  Ed25519PublicKey OperatorKey() const {
    return LoadLabAgreement(files_, jobs_.root.parent_path() / "trainer" / "agreement.json")->operator_key;
  }

  // The task's lists are full of "pictures" that name where they come from.
  BundleReport SealAll(const Job& job, const Plan& plan, const Path& work) {
    std::vector<BundleItem> items;
    std::vector<std::string> pictures;
    const std::uint32_t room = plan.ExemplarsPerList(job.task + 1);
    for (const std::uint32_t label : plan.tasks.at(job.task).classes) {
      for (std::uint32_t i = 0; i < room; ++i) {
        const bool herding = i < (room + 1) / 2;
        pictures.push_back("picture of " + site_ + ", class " + std::to_string(label) + ", " + std::to_string(i));
        items.push_back({.picture = Sha256Of(pictures.back()),
                         .label = static_cast<std::uint16_t>(label),
                         .list = herding ? BundleList::kHerding : BundleList::kUncertainty,
                         .rank = herding ? i : i - (room + 1) / 2,
                         .bytes = static_cast<std::uint32_t>(pictures.back().size())});
      }
    }
    const Path path = work / std::string(kBundleFileName);
    SealedBundleWriter writer(files_, path,
                              {.plan = job.plan, .task = job.task, .sender = site_, .recipient = job.partner->site},
                              RecipientKeyOf(job, OperatorKey()), items);
    for (const std::string& picture : pictures) writer.Append(AsBytes(picture));
    const BundleFileInfo file = writer.Finish();
    BundleReport report{
        .recipient = job.partner->site, .file = file.file, .file_bytes = file.file_bytes, .items = items.size()};
    if (tamper) tamper(path, report);
    return report;
  }

  ReceivedReport TakeIn(const Job& job) {
    const ExpectedBundle expected = ExpectedBundleOf(job, OperatorKey());
    ReceivedReport report{.bundle = expected.report.file, .held = 0, .trouble = {}};
    try {
      const auto items = OpenSealedBundle(*files_.OpenForRead(jobs_.Object(expected.report.file)), expected.address,
                                          Key(), expected.report.file, [](const BundleItem&, ByteView) {});
      for (const BundleItem& item : items) received.insert({expected.address.sender, item.picture});
      report.held = items.size();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidInput) throw;
      report.trouble = BundleTrouble::kSeal;
    }
    return report;
  }

  // Every list is full.
  std::uint64_t Kept(const Plan& plan, std::size_t tasks_done) const {
    std::uint64_t lists = 0;
    for (std::size_t task = 0; task < tasks_done; ++task) {
      if (plan.tasks[task].site == site_) lists += plan.tasks[task].classes.size();
    }
    return lists * plan.ExemplarsPerList(tasks_done);
  }

  UpdateReport Learn(const Job& job, const Plan& plan, std::uint64_t pictures, const ClassCounts& counts,
                     const Path& work) {
    const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(job.model)));
    const UpdateFormat format{.encoding = plan.aggregation.encoding};
    UpdateWriter writer(files_, work / std::string(kUpdateFileName), layout, format);
    RandomStream random(DeriveSeed(plan.seed, site_ + job.Name() + job.model.Hex()));
    std::vector<std::int32_t> values(layout.ValueCount());
    // Values of int8 updates are made of their own tensor's scales; up to 127 they always are.
    const std::uint32_t largest = format.encoding == UpdateEncoding::kInt8 ? 127 : 1000;
    for (std::int32_t& value : values) {
      value =
          (static_cast<std::int32_t>(random.NextBelow(2 * largest + 1)) - static_cast<std::int32_t>(largest)) * scale;
    }
    writer.Append(values);
    const UpdateFileInfo file = writer.Finish();
    UpdateReport report;
    report.values = file.values;
    report.layout = layout.Hash();
    report.file = file.file;
    report.file_bytes = file.file_bytes;
    report.teacher = job.teacher;
    report.pictures = pictures;
    report.classes = counts;
    report.steps = plan.tasks.at(job.task).training.steps;
    if (job.teacher) {
      DistillationProbe probe{
          .pictures = std::min<std::uint64_t>(plan.strategy.probe, pictures),
          .before_millionths = 500'000,
          .after_millionths = 600'000,
          .disagreement_millionths = std::vector<std::uint64_t>(plan.KnownClasses(job.task - 1), 20'000),
          .sensitivity = {}};
      for (std::size_t i = 0; i < layout.tensors.size() + more_sensitivities; ++i)
        probe.sensitivity.push_back(1 + random.NextBelow(1000));
      report.probe = probe;
    }
    return report;
  }

  EvaluationReport Score(const Job& job, const Plan& plan) {
    ConfusionMatrix matrix(plan.classes.size());
    for (std::size_t truth = 0; truth < plan.classes.size(); ++truth) {
      // Something that depends on model and site, so that mixed-up reports would show.
      const std::uint64_t right = 10 + job.model.bytes[truth] % 10 + site_.size() % 3;
      matrix.Add(truth, truth, right);
      matrix.Add(truth, (truth + 1) % plan.classes.size(), 30 - right);
    }
    return EvaluationReport::Of(matrix, plan.min_pictures, plan.PoolsOf(site_));
  }

  FileSystem& files_;
  JobFolder jobs_;
  std::string site_;
};

}  // namespace hemafed::testing_support
