// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/federation_run.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "auditor/audit.h"
#include "auditor/audited_report.h"
#include "common/error.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "studies/federation/simulation.h"

namespace hemafed::studies {

using nlohmann::json;

namespace {

constexpr std::string_view kAnswersName = "result.json";
constexpr std::string_view kFederationName = "federation.json";

// What the log says of models and refusals.
struct LogContent {
  std::vector<Digest> task_models;
  std::set<Digest> updates, round_models;  // By content; updates: what sites sent, or what was added up from it.
  std::uint64_t refused = 0;
  std::vector<SiteLosses> losses;  // Of every update.
};

LogContent ReadLog(const RoundLogWriter& log) {
  LogContent content;
  log.ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    if (const auto* closed = std::get_if<TaskClosedEntry>(&entry.body)) content.task_models.push_back(closed->model);
    if (const auto* round = std::get_if<RoundClosedEntry>(&entry.body)) content.round_models.insert(round->model);
    if (std::holds_alternative<RefusedEntry>(entry.body)) ++content.refused;
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement != nullptr && statement->statement.kind == StatementKind::kUpdate) {
      const auto report = UpdateReport::FromJson({statement->statement.body, "update"});
      content.updates.insert(report.values);
      content.losses.push_back({.round = statement->statement.round,
                                .site = statement->site,
                                .loss_millionths = report.loss_millionths,
                                .domains_millionths = report.distillation_millionths});
    }
    const bool states_moments = statement != nullptr && statement->statement.kind == StatementKind::kMoments &&
                                !IsBelowMinPictures({statement->statement.body, "moments"});
    if (states_moments) {
      content.updates.insert(MomentsReport::FromJson({statement->statement.body, "moments"}).values);
    }
    if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) {
      content.updates.insert({solved->sums, solved->totals});
    }
  });
  return content;
}

class Run {
 public:
  Run(const FederationPlace& place, const FederationRun& run, const FederationTalk& talk)
      : place_(place),
        run_(run),
        talk_(talk),
        plan_(ParsePlan(run.plan, run.Name())),
        folder_(place.folder / run.Name()),
        columns_(ColumnsOf(plan_, *place.sites, *place.shelf)) {
    json pictures = json::object();
    for (const std::string& site : plan_.Sites()) {
      const auto opened = place_.shelf->Open(place_.sites->At(site).settings, plan_);
      pictures[site] = IndexDigest(opened->domain().index()).Hex();
    }
    trained_from_ = Sha256Of(pictures.dump());
    json everything = {{"plan", Sha256Of(run_.plan).Hex()},
                       {"pictures", trained_from_.Hex()},
                       {"test sets", DigestOf(columns_).Hex()}};
    if (run_.poison) everything["poison"] = run_.poison->ToText();
    result_.answers.made_from = Sha256Of(everything.dump());
  }

  std::optional<FederationResult> Finished() const {
    const Path answers = folder_ / kAnswersName, federation = folder_ / kFederationName;
    if (!place_.files->Exists(answers)) return std::nullopt;
    RunResult read = RunResult::FromText(ReadFile(*place_.files, answers, kMaxResultBytes), answers.string());
    if (read.made_from != result_.answers.made_from) {
      throw Error(ErrorCode::kConflict, answers.string() +
                                            " was made with another plan, pictures or weights; choose another output "
                                            "folder or remove it");
    }
    return FederationResult::FromText(ReadFile(*place_.files, federation, kMaxFederationResultBytes), std::move(read),
                                      federation.string());
  }

  FederationResult Make() {
    std::map<std::string, SiteSettings> sites;
    for (const std::string& site : plan_.Sites()) sites[site] = place_.sites->At(site).settings;
    Simulation simulation(*place_.files, *place_.clock, *place_.shelf,
                          {.folder = folder_,
                           .plan = run_.plan,
                           .sites = std::move(sites),
                           .models = run_.models,
                           .key_seed = plan_.seed,
                           .made_from = trained_from_,
                           .poison = run_.poison},
                          [&](const SimulationProgress& progress) {
                            pictures_ = progress.pictures;
                            Say("task " + std::to_string(progress.task + 1) + "/" + std::to_string(progress.tasks) +
                                " round " + std::to_string(progress.round + 1) + " " + progress.what);
                          });
    simulation.Run();
    if (simulation.stood_still()) {
      // Nothing is kept of it but the run's folder: asked again, it comes here at once.
      result_.stood_still = *simulation.stood_still();
      result_.answers.train_pictures = PicturesOf(plan_);
      return std::move(result_);
    }
    TakeFromLog(simulation);
    const LogContent log = ReadLog(simulation.log());
    result_.refused = log.refused;
    if (plan_.TrainsAutoencoder()) {
      result_.trained_sites = plan_.Participants(0);
      result_.losses = log.losses;
    } else {
      AnswerAll(simulation, log);
    }
    Audit(simulation);
    if (!place_.keep_updates && result_.audit == "ok") Discard(simulation, log);
    // The answers last: their presence says that the run is done.
    WriteFileAtomically(*place_.files, folder_ / kFederationName, result_.ToText());
    WriteFileAtomically(*place_.files, folder_ / kAnswersName, result_.answers.ToText());
    return std::move(result_);
  }

 private:
  void Say(const std::string& words) const { talk_(words, pictures_); }

  void TakeFromLog(const Simulation& simulation) {
    const SimulationCourse course = simulation.Course();
    result_.bytes_to_sites = course.bytes_to_sites;
    result_.bytes_from_sites = course.bytes_from_sites;
    result_.seconds_thousandths = result_.answers.seconds_thousandths = course.seconds_thousandths;
    result_.log_root = simulation.log().root();
    result_.entries = simulation.log().size();
    result_.model = result_.answers.model = simulation.state().scored_model();
    result_.answers.train_pictures = PicturesOf(plan_);
    pictures_ = result_.answers.train_pictures;
    for (const Column& column : plan_.Columns()) result_.columns.push_back(column.title);
    const AccuracyMatrix& matrix = simulation.state().matrix();
    for (std::size_t t = 0; t < matrix.rows(); ++t) {
      auto& row = result_.matrix_millionths.emplace_back();
      for (std::size_t j = 0; j < matrix.columns(); ++j) row.push_back(matrix.Millionths(t, j));
    }
  }

  void AnswerAll(const Simulation& simulation, const LogContent& log) {
    learning::ConfigureTorch(static_cast<int>(plan_.training.threads));
    const ObjectStore store(*place_.files, simulation.ConsortiumFolder());
    RunResult& answers = result_.answers;
    for (const TestColumnOfSite& column : columns_) answers.columns.push_back(column.truth);
    for (std::size_t c = 0; c < plan_.classes.size(); ++c)
      answers.score_classes.push_back(static_cast<std::int64_t>(c));
    for (std::size_t t = 0; t < log.task_models.size(); ++t) {
      std::vector<ModelAnswers> of_model = AnswersOfModel(store, log.task_models[t], [&](const std::string& site) {
        Say("scoring " + site + " after task " + std::to_string(t + 1));
      });
      CheckAgainstLog(t, of_model);
      auto& row = answers.answers.emplace_back();
      answers.scores_millionths.clear();
      for (ModelAnswers& of_column : of_model) {
        row.push_back(std::move(of_column.predicted));
        answers.scores_millionths.push_back(std::move(of_column.scores_millionths));
      }
    }
  }

  std::vector<ModelAnswers> AnswersOfModel(const ObjectStore& store, const Digest& model,
                                           const std::function<void(const std::string& site)>& on_pictures) const {
    const auto load = [&](const Digest& digest) { return learning::LoadModel(*place_.files, store.PathOf(digest)); };
    if (!plan_.SolvesHead()) return Answer(load(model), columns_, on_pictures);
    const auto classes = static_cast<std::uint32_t>(plan_.classes.size());
    const std::uint64_t bytes = AnalyticHeadBytes(plan_.strategy.features, classes);
    const learning::Classifier trunk = load(plan_.model.weights);
    const std::string text = ReadFile(*place_.files, store.PathOf(model), bytes);
    return Answer(trainer::AnalyticClassifier(
                      trunk, AnalyticHead::FromBytes(AsBytes(text), plan_.strategy.features, classes, model.Hex())),
                  columns_, on_pictures);
  }

  // The sites' signed counts and ours are of the same model and the same pictures.
  void CheckAgainstLog(std::size_t task, const std::vector<ModelAnswers>& answers) const {
    const std::vector<Column> columns = plan_.Columns();
    for (std::size_t j = 0; j < columns.size(); ++j) {
      const std::uint64_t ours =
          ReportOf(plan_, columns[j].site, columns_, answers).AccuracyMillionths(columns[j].pool);
      const AccuracyMatrix::Cell theirs = result_.matrix_millionths.at(task).at(j);
      if (!theirs || ours == *theirs) continue;
      throw Error(ErrorCode::kInternal, run_.Name() + ": after task " + std::to_string(task + 1) + " " +
                                            columns[j].title + " signed an accuracy of " + std::to_string(*theirs) +
                                            " millionths, the simulation counts " + std::to_string(ours));
    }
  }

  void Audit(const Simulation& simulation) {
    Say("auditing");
    const auditor::Trust trust = auditor::Trust::Load(*place_.files, simulation.TrustFile());
    const auditor::AuditResult audit =
        auditor::Audit(*place_.files, trust,
                       {.folder = simulation.ConsortiumFolder(),
                        .scratch = folder_ / "audit",
                        .replay = true,
                        .progress = [&](const std::string& line) { Say("auditing: " + line); }});
    // A wish to stop that came up inside the audit looks like a finding there; asked again, it is thrown here.
    Say("audited");
    place_.files->Remove(folder_ / "audit");
    result_.rounds = audit.aggregates;
    if (!audit.finding) {
      // What the consortium would be shown (docs/report.md).
      (void)auditor::WriteAuditedReport(*place_.files, trust, simulation.ConsortiumFolder(), folder_ / "report");
      result_.audit = audit.closed && audit.root == result_.log_root ? "ok" : "the log is not that of a finished plan";
    } else if (audit.finding->entry) {
      result_.audit = "entry " + std::to_string(*audit.finding->entry) + ": " + audit.finding->message;
    } else {
      result_.audit = audit.finding->message;
    }
  }

  void Discard(const Simulation& simulation, const LogContent& log) {
    ObjectStore store(*place_.files, simulation.ConsortiumFolder());
    const std::set<Digest> kept(log.task_models.begin(), log.task_models.end());
    for (const Digest& update : log.updates) store.Remove(update);
    for (const Digest& model : log.round_models) {
      if (!kept.contains(model)) store.Remove(model);
    }
    result_.updates_kept = false;
  }

  const FederationPlace& place_;
  const FederationRun& run_;
  const FederationTalk& talk_;
  Plan plan_;
  Path folder_;
  std::vector<TestColumnOfSite> columns_;
  Digest trained_from_;
  FederationResult result_;
  std::uint64_t pictures_ = 0;
};

}  // namespace

std::uint64_t PicturesOf(const Plan& plan) {
  std::uint64_t pictures = 0;
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    pictures +=
        std::uint64_t{plan.tasks[t].rounds} * plan.Participants(t).size() * plan.training.steps * plan.training.batch;
  }
  return pictures;
}

FederationResult MakeRun(const FederationPlace& place, const FederationRun& run, const FederationTalk& talk) {
  Run made(place, run, talk);
  if (auto finished = made.Finished()) return std::move(*finished);
  return made.Make();
}

}  // namespace hemafed::studies
