// tests/scenarios/toy_trainer.h
// SPDX-License-Identifier: Apache-2.0
//
// A trainer without LibTorch that keeps the job folder's layout (docs/job_folder.md): its "training" is a pure function
// of job and base model, so whole federations run in milliseconds and their digests can be compared. Real updates, real
// files.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codec/analytic_head.h"
#include "codec/drift_report.h"
#include "codec/evaluation.h"
#include "codec/exact.h"
#include "codec/exchange.h"
#include "codec/feature_sums.h"
#include "codec/job_folder.h"
#include "codec/latent_reference.h"
#include "codec/plan.h"
#include "codec/prototype_head.h"
#include "codec/reports.h"
#include "codec/score_histograms.h"
#include "codec/sealed_bundle.h"
#include "codec/update.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/partner_word.h"
#include "tests/codec/feature_samples.h"
#include "tests/codec/latent_samples.h"
#include "tests/codec/models.h"

namespace hemafed::testing_support {

class ToyTrainer {
 public:
  ToyTrainer(FileSystem& files, Path jobs, std::string site)
      : files_(files), jobs_{std::move(jobs)}, site_(std::move(site)) {}

  // Multiplies what it learns; a large factor breaks the plan's norm bound.
  std::int32_t scale = 1;

  // Sends the same integers in every round of every task.
  bool stale = false;
  // Adds the way from the round's base back to the task's teacher: "someone else's base".
  bool retreats = false;
  // Trains fewer steps than the plan's.
  bool lazy = false;

  // Sends Fisher information with a negative root, class means that are too long, and moments of too few cells.
  bool spoil = false;
  // L_dist at the base of each round that it reports; none: always one half.
  std::function<std::uint64_t(const Job&)> distillation;

  // Does nothing, as in a lab that is away.
  bool asleep = false;
  // On how many pictures a candidate disagrees with the teacher; none: never.
  std::function<std::uint64_t(const Job&)> disagreements;
  // Changes what it says of its latents beside other hospitals'.
  std::function<void(DriftAnswer&)> drifts;
  // Changes an evaluation after its files are written.
  std::function<void(EvaluationReport&)> falsify;
  // Says so many more tensors than the model has.
  std::size_t more_sensitivities = 0;
  // Changes a bundle's file after its report was made, or what the report says of it.
  std::function<void(const Path& bundle, BundleReport& report)> tamper;
  // Pictures of other hospitals that it holds: sender and digest; and where they came from: bundle and place.
  std::set<std::pair<std::string, Digest>> received;
  std::map<std::pair<Digest, std::uint64_t>, std::pair<std::string, Digest>> places;

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

  // What the site's pictures of some classes sum up to: a function of its name alone, 20 and some of each class.
  static FeatureSums SumsOf(const std::string& site, const Plan& plan, const ClassSet& classes) {
    FeatureSumsBuilder builder(plan.strategy.features, static_cast<std::uint32_t>(plan.classes.size()));
    for (const std::uint32_t label : classes) {
      const std::uint32_t first = 1000 * Sha256Of(site).bytes[0] + 100 * label;
      for (std::uint32_t p = first; p < first + 20 + site.size(); ++p) {
        builder.Add(SampleFeatures(p, plan.strategy.features), label);
      }
    }
    return builder.Finish();
  }

 private:
  void Run(const Job& job, const std::string& text) {
    const Plan plan = ParsePlan(ReadFile(files_, jobs_.PlanFile(job.plan), kMaxPlanBytes), "plan");
    const Path work = jobs_.Work() / job.Name();
    files_.Remove(work);
    files_.CreateFolders(work);
    JobReport report{.job = Sha256Of(text), .body = {}};
    ClassCounts counts(plan.classes.size(), std::nullopt);
    const std::uint64_t pictures = job.rehearsing ? Kept(plan, job.task) : 50 + site_.size() + received.size();
    if (plan.SolvesHead()) {
      const FeatureSums sums = SumsOf(site_, plan, plan.tasks.at(job.task).classes);
      for (std::uint32_t k = 0; k < sums.classes(); ++k) {
        if (sums.Pictures(k) > 0) counts[k] = static_cast<std::uint64_t>(sums.Pictures(k));
      }
    }
    switch (job.kind) {
      case JobKind::kCommit: report.body = CommitmentReport{.pictures = pictures, .classes = counts}.ToJson(); break;
      case JobKind::kSelect:
        report.body =
            ExemplarReport{.kept = Kept(plan, job.task + 1), .classes = counts, .list = Sha256Of(site_)}.ToJson();
        break;
      case JobKind::kEvaluate: report.body = Score(job, plan, work).ToJson(); break;
      case JobKind::kJudge: {
        const std::uint64_t all = plan.retention.pictures;
        report.body =
            JudgementReport{.pictures = all, .agrees = all - (disagreements ? disagreements(job) : 0)}.ToJson();
        break;
      }
      case JobKind::kSum: report.body = Sum(job, plan, counts, work).ToJson(); break;
      case JobKind::kTrain: report.body = Learn(job, plan, pictures, counts, work).ToJson(); break;
      case JobKind::kAgree: report.body = TrainerKeyReport{.key = Key().PublicKey()}.ToJson(); break;
      case JobKind::kSeal: report.body = SealAll(job, plan, work).ToJson(); break;
      case JobKind::kReceive: report.body = TakeIn(job).ToJson(); break;
      case JobKind::kFisher: report.body = MeasureFisher(job, plan, pictures, work).ToJson(); break;
      case JobKind::kMeans: report.body = SendMeans(job, plan, work).ToJson(); break;
      case JobKind::kRemove: report.body = TakeOut(job).ToJson(); break;
      case JobKind::kDrift: report.body = DriftAnswerToJson(CompareLatents(job, plan, pictures)); break;
      case JobKind::kMoments: report.body = MeasureLatents(job, plan, pictures, work).ToJson(); break;
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

  RemovedReport TakeOut(const Job& job) {
    const ExpectedRemoval expected = ExpectedRemovalOf(job, OperatorKey());
    for (const std::uint64_t item : expected.report.items) received.erase(places.at({expected.report.bundle, item}));
    return {.withdrawal = expected.id};
  }

  ReceivedReport TakeIn(const Job& job) {
    const ExpectedBundle expected = ExpectedBundleOf(job, OperatorKey());
    ReceivedReport report{.bundle = expected.report.file, .held = 0, .trouble = {}};
    try {
      const auto items = OpenSealedBundle(*files_.OpenForRead(jobs_.Object(expected.report.file)), expected.address,
                                          Key(), expected.report.file, [](const BundleItem&, ByteView) {});
      for (std::size_t i = 0; i < items.size(); ++i) {
        places[{expected.report.file, i}] = {expected.address.sender, items[i].picture};
        received.insert({expected.address.sender, items[i].picture});
      }
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
    RequireObjects(job);
    const UpdateFormat format{.encoding = plan.aggregation.encoding};
    UpdateWriter writer(files_, work / std::string(kUpdateFileName), layout, format);
    RandomStream random(DeriveSeed(plan.seed, stale ? site_ : site_ + job.Name() + job.model.Hex()));
    std::vector<std::int32_t> values(layout.ValueCount());
    // Values of int8 updates are made of their own tensor's scales; up to 127 they always are.
    const std::uint32_t largest = format.encoding == UpdateEncoding::kInt8 ? 127 : 1000;
    for (std::int32_t& value : values) {
      value =
          (static_cast<std::int32_t>(random.NextBelow(2 * largest + 1)) - static_cast<std::int32_t>(largest)) * scale;
    }
    if (retreats && job.teacher) AddWayBack(job, layout, values);
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
    report.steps = plan.tasks.at(job.task).training.steps - (lazy ? 1 : 0);
    if (job.teacher) {
      DistillationProbe probe{
          .pictures = std::min<std::uint64_t>(plan.strategy.probe, pictures),
          .before_millionths = distillation ? distillation(job) : 500'000,
          .after_millionths = 600'000,
          .disagreement_millionths = std::vector<std::uint64_t>(plan.KnownClasses(job.task - 1), 20'000),
          .sensitivity = {}};
      for (std::size_t i = 0; i < layout.tensors.size() + more_sensitivities; ++i)
        probe.sensitivity.push_back(1 + random.NextBelow(1000));
      report.probe = probe;
    }
    return report;
  }

  void AddWayBack(const Job& job, const UpdateLayout& layout, std::vector<std::int32_t>& values) {
    const auto now = SafetensorsReader::Open(files_, jobs_.Object(job.model));
    const auto then = SafetensorsReader::Open(files_, jobs_.Object(*job.teacher));
    std::size_t at = 0;
    for (const TensorSpec& spec : layout.tensors) {
      const std::vector<float> here = testing_support::TensorFloats(now, spec.name),
                               there = testing_support::TensorFloats(then, spec.name);
      for (std::size_t i = 0; i < here.size(); ++i, ++at) {
        values[at] += static_cast<std::int32_t>(
            RoundHalfEven(std::ldexp(static_cast<double>(there.at(i)) - static_cast<double>(here[i]), kGridBits)));
      }
    }
  }

  // Roots that depend on the site and the model.
  FisherReport MeasureFisher(const Job& job, const Plan& plan, std::uint64_t pictures, const Path& work) {
    const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(job.model)));
    UpdateWriter writer(files_, work / std::string(kFisherFileName), layout);
    RandomStream random(DeriveSeed(plan.seed, "fisher of " + site_ + job.model.Hex()));
    std::vector<std::int32_t> roots(layout.ValueCount());
    for (std::int32_t& root : roots) root = spoil ? -1 : static_cast<std::int32_t>(random.NextBelow(5000));
    writer.Append(roots);
    const UpdateFileInfo file = writer.Finish();
    return {.values = file.values,
            .layout = layout.Hash(),
            .file = file.file,
            .file_bytes = file.file_bytes,
            .pictures = std::min<std::uint64_t>(plan.strategy.fisher_pictures, pictures)};
  }

  // Means that depend on the site and the model, of every class that this site has learned.
  MeansReport SendMeans(const Job& job, const Plan& plan, const Path& work) {
    const UpdateLayout layout = MeansLayout(LayoutOfModel(SafetensorsReader::Open(files_, jobs_.Object(job.model))));
    const auto width = static_cast<std::size_t>(layout.tensors[0].shape[1]);
    std::vector<std::int32_t> means(layout.ValueCount());
    MeansReport report;
    report.classes.resize(plan.classes.size());
    RandomStream random(DeriveSeed(plan.seed, "means of " + site_ + job.model.Hex()));
    const std::uint32_t largest = static_cast<std::uint32_t>(kMaxMean / static_cast<std::int32_t>(width));
    for (std::uint32_t task = 0; task <= job.task; ++task) {
      if (plan.tasks[task].site != site_) continue;
      for (const std::uint32_t label : plan.tasks[task].classes) {
        report.classes[label] = plan.ExemplarsPerList(job.task + 1);
        for (std::size_t column = 0; column < width; ++column) {
          means[label * width + column] = static_cast<std::int32_t>(random.NextBelow(largest)) * (spoil ? 100 : 1);
        }
      }
    }
    UpdateWriter writer(files_, work / std::string(kMeansFileName), layout);
    writer.Append(means);
    const UpdateFileInfo file = writer.Finish();
    report.values = file.values;
    report.file = file.file;
    report.file_bytes = file.file_bytes;
    return report;
  }

  // Latents that depend on the site and the model, of as many cells as the site has pictures.
  MomentsReport MeasureLatents(const Job& job, const Plan& plan, std::uint64_t pictures, const Path& work) {
    const std::uint32_t width = plan.model.LatentWidth();
    LatentMoments moments(width);
    const auto first = static_cast<std::uint32_t>(Fnv(site_ + job.model.Hex()) % 1'000'000);
    const auto cells = static_cast<std::uint32_t>(spoil ? plan.min_pictures - 1 : pictures);
    for (std::uint32_t cell = first; cell < first + cells; ++cell) {
      moments.AddCell(SampleLatent(cell, width));
    }
    return {.values = WriteLatentMoments(files_, work / std::string(kMomentsFileName), moments),
            .file_bytes = LatentMomentsBytes(width),
            .cells = pictures};
  }

  // Numbers that depend on the site and on what it is compared with.
  DriftAnswer CompareLatents(const Job& job, const Plan& plan, std::uint64_t pictures) {
    std::vector<GaussianComponent> others;
    DriftReport report;
    for (const JobMoments& other : job.moments) {
      const LatentMoments moments =
          ReadLatentMoments(*files_.OpenForRead(jobs_.Object(other.moments)), plan.model.LatentWidth());
      others.push_back(ComponentOf(moments));
      report.reference_pictures += static_cast<std::uint64_t>(moments.cells());
    }
    report.reference_digest = DigestOfComponents(others);
    report.columns = plan.model.LatentWidth();
    report.pictures = pictures;
    report.pictures_used = report.reference_rows = std::min<std::uint64_t>(pictures, job.drift->rows);
    report.seed = job.drift->seed;
    report.bandwidth_squared_millionths = 2'500'000;
    report.mmd2_unbiased_millionths = static_cast<std::int64_t>(Fnv(site_ + report.reference_digest.Hex()) % 500'000);
    report.mmd2_biased_millionths = report.mmd2_unbiased_millionths + 1'000;
    report.p_denominator = job.drift->permutations + std::uint64_t{1};
    report.members = job.drift->members.size();
    DriftAnswer answer = report;
    if (drifts) drifts(answer);
    if (auto* changed = std::get_if<DriftReport>(&answer)) {
      changed->members_as_far = MembersAsFar(job.drift->members, changed->mmd2_unbiased_millionths);
    }
    return answer;
  }

  // What training is compared with must have come with the job.
  void RequireObjects(const Job& job) const {
    std::vector<Digest> objects;
    if (job.teacher) objects.push_back(*job.teacher);
    if (job.slow) objects.push_back(*job.slow);
    for (const JobAnchor& anchor : job.anchors) {
      objects.push_back(anchor.model);
      if (anchor.fisher) objects.push_back(*anchor.fisher);
    }
    for (const JobMoments& other : job.moments) objects.push_back(other.moments);
    for (const Digest& object : objects) {
      if (Sha256Of(ReadFile(files_, jobs_.Object(object), 1 << 20)) != object) {
        throw Error(ErrorCode::kInternal, job.Name() + ": an object is not what its name says");
      }
    }
  }

  SumsReport Sum(const Job& job, const Plan& plan, const ClassCounts& counts, const Path& work) {
    const FeatureSums sums = SumsOf(site_, plan, plan.tasks.at(job.task).classes);
    const FeatureSumsFileInfo file = WriteFeatureSums(files_, work / std::string(kSumsFileName), sums);
    SumsReport report;
    report.sums = file.sums;
    report.file = file.file;
    report.file_bytes = file.file_bytes;
    report.pictures = static_cast<std::uint64_t>(sums.TotalPictures());
    report.classes = counts;
    return report;
  }

  EvaluationReport Score(const Job& job, const Plan& plan, const Path& work) {
    if (plan.SolvesHead()) {
      // Both parts of the model must be there, and belong together.
      const std::string text = ReadFile(files_, jobs_.Object(job.model), 1 << 20);
      const AnalyticHead head = AnalyticHead::FromBytes(AsBytes(text), plan.strategy.features,
                                                        static_cast<std::uint32_t>(plan.classes.size()), job.Name());
      if (head.trunk != job.trunk || !files_.Exists(jobs_.Object(*job.trunk))) {
        throw Error(ErrorCode::kInternal, job.Name() + ": the trunk of the head is missing");
      }
    }
    const std::size_t classes = plan.classes.size();
    ConfusionMatrix matrix(classes);
    ScoreTally tally(classes);
    // Every picture's scores say class `predicted`, as surely as picture and site decide.
    const auto add = [&](std::size_t truth, std::size_t predicted, std::uint64_t pictures) {
      matrix.Add(truth, predicted, pictures);
      for (std::uint64_t i = 0; i < pictures; ++i) {
        std::vector<double> scores(classes, 0.0);
        scores[predicted] = 0.5 + static_cast<double>((Fnv(site_) + job.model.bytes[0] + i * 7) % 500) / 1024.0;
        scores[(predicted + 1) % classes] += 1.0 - scores[predicted];
        tally.Add(truth, scores);
      }
    };
    for (std::size_t truth = 0; truth < plan.classes.size(); ++truth) {
      // Something that depends on model and site, so that mixed-up reports would show.
      const std::uint64_t right = 10 + job.model.bytes[truth] % 10 + site_.size() % 3;
      add(truth, truth, right);
      add(truth, (truth + 1) % classes, 30 - right);
    }
    auto report = EvaluationReport::Of(matrix, plan.min_pictures, plan.PoolsOf(site_));
    const auto histograms = ScoreHistograms::Of(tally, report, plan.min_pictures);
    if (!histograms.Empty()) {
      report.set_scores(WriteScoreHistograms(files_, work / std::string(kScoresFileName), histograms));
    }
    if (falsify) falsify(report);
    return report;
  }

  static std::uint64_t Fnv(std::string_view text) {
    std::uint64_t hash = 1469598103934665603u;
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
    return hash;
  }

  FileSystem& files_;
  JobFolder jobs_;
  std::string site_;
};

}  // namespace hemafed::testing_support
