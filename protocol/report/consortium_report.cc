// SPDX-License-Identifier: Apache-2.0
#include "protocol/report/consortium_report.h"

#include <algorithm>

#include "common/error.h"
#include "common/report/html_report.h"
#include "common/report/number_text.h"
#include "protocol/report/report_charts.h"
#include "protocol/report/report_tables.h"

namespace hemafed {

using nlohmann::json;
using report::Table;

namespace {

constexpr std::uint64_t kFormat = 1;

json Scores(const ScoresMillionths& scores, const ColumnFigures& figures) {
  return {{"precision", scores.precision},
          {"sensitivity", scores.sensitivity},
          {"specificity", figures.has_strangers ? json(scores.specificity) : json(nullptr)},
          {"f1", scores.f1}};
}

template <typename Number>
json OrNull(const std::optional<Number>& number) {
  return number ? json(*number) : json(nullptr);
}

json ColumnJson(const Plan& plan, const ColumnFigures& figures) {
  const ColumnMetrics& metrics = figures.metrics;
  json classes = json::object();
  for (const std::uint32_t label : ClassesOf(plan, figures.column)) {
    json of_class = nullptr;
    if (const auto& scores = metrics.classes[label]) {
      of_class = Scores(*scores, figures);
      of_class["pictures"] = scores->pictures;
      of_class["auc"] = OrNull(figures.auc[label]);
    }
    classes[plan.classes[label]] = std::move(of_class);
  }
  json column = {{"column", figures.column.title},
                 {"site", figures.column.site},
                 {"scored", figures.scored},
                 {"pictures", metrics.pictures},
                 {"right", metrics.right},
                 {"accuracy", metrics.pictures == 0 ? json(nullptr) : json(metrics.accuracy)},
                 {"interval", nullptr},
                 {"macro", metrics.macro ? Scores(*metrics.macro, figures) : json(nullptr)},
                 {"weighted", metrics.weighted ? Scores(*metrics.weighted, figures) : json(nullptr)},
                 {"macro_auc", OrNull(figures.macro_auc)},
                 {"classes", std::move(classes)}};
  if (const auto& interval = metrics.accuracy_interval) column["interval"] = {interval->low, interval->high};
  return column;
}

json RoundJson(const RoundRecord& round) {
  json updates = json::array(), refused = json::array(), absent = json::array(), gate = json::array(),
       moments = json::array();
  for (const MomentsRecord& entry : round.moments) {
    moments.push_back({{"site", entry.site}, {"cells", entry.cells}, {"file_bytes", entry.file_bytes}});
  }
  for (const UpdateRecord& update : round.updates) {
    updates.push_back({{"site", update.site},
                       {"pictures", update.pictures},
                       {"file_bytes", update.file_bytes},
                       {"loss", update.loss_millionths},
                       {"distillation", update.distillation_millionths},
                       {"probe_before", OrNull(update.probe_before_millionths)},
                       {"probe_after", OrNull(update.probe_after_millionths)},
                       {"weight", OrNull(update.weight)}});
  }
  for (const RefusedEntry& entry : round.refused) refused.push_back({{"site", entry.site}, {"reason", entry.reason}});
  for (const AbsentEntry& entry : round.absent) {
    absent.push_back({{"site", entry.site}, {"exemplars", entry.exemplars}});
  }
  for (const GateRecord& entry : round.gate) {
    gate.push_back({{"halvings", entry.halvings},
                    {"pictures", entry.pictures},
                    {"agreed_before", entry.agreed_before},
                    {"agree", entry.agrees},
                    {"accepted", entry.accepted}});
  }
  return {{"moments", std::move(moments)}, {"round", round.round},        {"updates", std::move(updates)},
          {"refused", std::move(refused)}, {"absent", std::move(absent)}, {"gate", std::move(gate)},
          {"closed", round.closed},        {"rejected", round.rejected},  {"halvings", round.halvings},
          {"model", round.model.Hex()}};
}

json DriftJson(const DriftRecord& record) {
  return {{"site", record.site},
          {"against", record.against},
          {"members_mmd2_unbiased_millionths", record.members},
          {"pictures", record.pictures},
          {"said", record.answer ? DriftAnswerToJson(*record.answer) : json(nullptr)},
          {"means", DriftWords(record)}};
}

std::string Verdict(const FederationState& state) {
  const AccuracyMatrix& matrix = state.matrix();
  const std::string plan = "Plan " + state.plan().name + ": ";
  if (state.plan().TrainsAutoencoder()) {
    const std::uint32_t rounds = state.plan().tasks.front().rounds;
    const std::uint32_t done = state.phase() == Phase::kClosed || state.task() > 0 ? rounds : state.round();
    return plan + "an autoencoder, " + std::to_string(done) + " of " + std::to_string(rounds) +
           " rounds finished. Nobody scores it.";
  }
  if (matrix.rows() == 0) return plan + "no task is finished yet.";
  std::string text =
      plan + std::to_string(matrix.rows()) + " of " + std::to_string(state.plan().tasks.size()) + " tasks finished";
  if (const auto average = ShareOf(matrix.AverageAccuracyMillionths())) {
    text += "; average accuracy " + report::FormatFixed(*average, 4);
  }
  if (const auto forgetting = ShareOf(matrix.DeLangeForgettingMillionths()); forgetting && matrix.rows() > 1) {
    text += "; forgetting " + report::FormatFixed(*forgetting, 4);
  }
  return text + ".";
}

report::ReportPart TableOr(Table table, const std::string& nothing) {
  if (table.rows.empty()) return report::Paragraph{nothing};
  return table;
}

}  // namespace

ConsortiumReport::ConsortiumReport(const FederationState& state, const FederationHistory& history, ReportedLog log)
    : state_(state), history_(history), log_(log) {
  if (!state.has_plan()) throw Error(ErrorCode::kConflict, "the log has no plan yet: there is nothing to report on");
}

std::vector<std::pair<std::string, Table>> ConsortiumReport::Tables() const {
  const Plan& plan = state_.plan();
  return {{"matrix", MatrixTable(state_)},
          {"summary", SummaryTable(state_)},
          {"curves", CurveTable(state_)},
          {"columns", ColumnTable(plan, history_)},
          {"classes", ClassTable(plan, history_)},
          {"losses", LossTable(plan, history_)},
          {"drift", DriftTable(history_)},
          {"rounds", RoundTable(plan, history_)},
          {"updates", UpdateTable(plan, history_)},
          {"sums", SumsTable(plan, history_)},
          {"gate", GateTable(plan, history_)},
          {"refusals", RefusalTable(plan, history_)},
          {"standstills", StandstillTable(plan, history_)},
          {"rehearsal_not_done", MissedTable(plan, history_)},
          {"traffic", TrafficTable(plan, history_)}};
}

std::string ConsortiumReport::Text() const {
  std::string text = Verdict(state_) + "\nLog of " + state_.consortium().name + ": " + std::to_string(log_.entries) +
                     " entries, root " + log_.root.Hex() + "\nModel " + state_.scored_model().Hex() + "\n";
  for (const auto& [name, table] : Tables()) {
    if (!table.rows.empty()) text += "\n" + report::TextTable(table);
  }
  return text;
}

json ConsortiumReport::Json() const {
  const Plan& plan = state_.plan();
  json columns = json::array(), matrix = json::array(), tasks = json::array(), figures = json::object(),
       traffic = json::array(), missed = json::array();
  for (const Column& column : plan.Columns()) columns.push_back(column.title);
  for (std::size_t t = 0; t < state_.matrix().rows(); ++t) {
    json row = json::array();
    for (std::size_t j = 0; j < state_.matrix().columns(); ++j) row.push_back(OrNull(state_.matrix().Millionths(t, j)));
    matrix.push_back(std::move(row));
  }
  for (const MatrixFigure& figure : FiguresOf(state_.matrix())) figures[figure.name] = OrNull(figure.millionths);
  for (std::uint32_t t = 0; t < history_.tasks().size(); ++t) {
    const TaskRecord& task = history_.tasks()[t];
    json rounds = json::array(), absent = json::array(), scored = json::array();
    for (const RoundRecord& round : task.rounds) rounds.push_back(RoundJson(round));
    for (const AbsentEntry& entry : task.absent) {
      absent.push_back({{"site", entry.site}, {"exemplars", entry.exemplars}});
    }
    for (const ColumnFigures& column : FiguresOf(plan, task)) scored.push_back(ColumnJson(plan, column));
    json standstills = json::array();
    for (const StandstillRecord& record : task.standstills) {
      standstills.push_back(
          {{"round", record.round}, {"sites", record.sites}, {"what", record.what}, {"decision", record.decision}});
    }
    json refused = json::array();
    for (const RefusedEntry& entry : task.refused) refused.push_back({{"site", entry.site}, {"reason", entry.reason}});
    json sums = nullptr;
    if (task.sums) {
      sums = {{"site", task.sums->site},
              {"pictures", task.sums->pictures},
              {"clamped", task.sums->clamped},
              {"file_bytes", task.sums->file_bytes},
              {"head", task.sums->head ? json(task.sums->head->Hex()) : json(nullptr)}};
    }
    json classes = json::array();
    for (const std::uint32_t label : plan.tasks.at(t).classes) classes.push_back(plan.classes[label]);
    tasks.push_back({{"site", plan.tasks.at(t).site},
                     {"classes", std::move(classes)},
                     {"participants", task.participants},
                     {"pictures", task.pictures},
                     {"exemplars", OrNull(task.exemplars)},
                     {"absent", std::move(absent)},
                     {"standstills", std::move(standstills)},
                     {"unscored", task.unscored},
                     {"refused", std::move(refused)},
                     {"sums", std::move(sums)},
                     {"drift", task.drift ? DriftJson(*task.drift) : json(nullptr)},
                     {"rounds", std::move(rounds)},
                     {"columns", std::move(scored)},
                     {"closed", task.closed}});
  }
  for (const MissedRehearsal& entry : MissedRehearsals(plan, history_)) {
    missed.push_back({{"task", entry.task},
                      {"round", entry.round},
                      {"site", entry.site},
                      {"exemplars", entry.exemplars},
                      {"why", entry.why}});
  }
  for (const SiteTraffic& site : TrafficOf(plan, history_)) {
    traffic.push_back({{"site", site.site},
                       {"updates", site.updates},
                       {"update_bytes", site.update_bytes},
                       {"sums", site.sums},
                       {"sums_bytes", site.sums_bytes},
                       {"evaluations", site.evaluations},
                       {"score_bytes", site.score_bytes},
                       {"others", site.others},
                       {"other_bytes", site.other_bytes}});
  }
  return {{"format", kFormat},
          {"consortium", state_.consortium().name},
          {"plan", {{"name", plan.name}, {"digest", state_.plan_digest().Hex()}, {"classes", plan.classes}}},
          {"log", {{"entries", log_.entries}, {"root", log_.root.Hex()}}},
          {"model", state_.scored_model().Hex()},
          {"finished", state_.phase() == Phase::kClosed},
          {"columns", std::move(columns)},
          {"matrix_millionths", std::move(matrix)},
          {"figures_millionths", std::move(figures)},
          {"tasks", std::move(tasks)},
          {"rehearsal_not_done", std::move(missed)},
          {"traffic", std::move(traffic)}};
}

std::string ConsortiumReport::Html() const {
  const Plan& plan = state_.plan();
  report::HtmlReport page{.title = "Consortium " + state_.consortium().name + ": " + plan.name,
                          .summary = Verdict(state_),
                          .settings = {},
                          .sections = {}};
  std::string sites;
  for (const std::string& site : plan.Sites()) sites += (sites.empty() ? "" : ", ") + site;
  page.settings = {{"plan", plan.name + ", " + state_.plan_digest().Hex()},
                   {"hospitals", sites},
                   {"classes", std::to_string(plan.classes.size())},
                   {"merged by", std::string(AggregationRuleName(plan.aggregation.rule))},
                   {"smallest class shown", std::to_string(plan.min_pictures) + " pictures"},
                   {"log", std::to_string(log_.entries) + " entries, root " + log_.root.Hex()},
                   {"model", state_.scored_model().Hex()},
                   {"state", std::string(PhaseName(state_.phase()))}};

  const bool scores = !plan.Scorers().empty();
  report::ReportSection accuracy{.title = scores ? "Accuracy and forgetting" : "Loss and alignment", .parts = {}};
  if (!scores) {
    const Table losses = LossTable(plan, history_);
    if (!losses.rows.empty()) accuracy.parts.emplace_back(LossChart(plan, history_));
    accuracy.parts.push_back(TableOr(losses, "No round was opened yet."));
  } else if (state_.matrix().rows() > 0) {
    accuracy.parts = {MatrixTable(state_), AccuracyChart(state_), SummaryTable(state_), CurveTable(state_),
                      CourseChart(state_)};
  } else {
    accuracy.parts.emplace_back(report::Paragraph{"No task is finished yet."});
  }
  page.sections.push_back(std::move(accuracy));

  // The last model that every hospital has scored.
  for (std::size_t t = history_.tasks().size(); t-- > 0;) {
    const std::vector<ColumnFigures> columns = FiguresOf(plan, history_.tasks()[t]);
    if (columns.empty()) continue;
    report::ReportSection classes{.title = "Classes, after task " + TaskTitle(plan, static_cast<std::uint32_t>(t)),
                                  .parts = {}};
    for (std::size_t j = 0; j < columns.size(); ++j) {
      classes.parts.emplace_back(ClassTable(plan, columns[j]));
      if (j >= kMaxChartedColumns) continue;
      if (auto chart = ConfusionFigure(plan, history_.tasks()[t], columns[j])) classes.parts.emplace_back(*chart);
      if (auto chart = RocFigure(plan, history_.tasks()[t], columns[j])) classes.parts.emplace_back(*chart);
    }
    page.sections.push_back(std::move(classes));
    break;
  }
  if (scores) {
    page.sections.push_back({.title = "Every hospital after every task", .parts = {ColumnTable(plan, history_)}});
  }
  if (plan.drift) {
    page.sections.push_back({.title = "Do hospitals' pictures look alike?",
                             .parts = {TableOr(DriftTable(history_), "No hospital has described its pictures yet.")}});
  }
  page.sections.push_back(
      {.title = "Rounds",
       .parts = {TableOr(RoundTable(plan, history_), "No round was opened yet."),
                 TableOr(SumsTable(plan, history_),
                         "No head was solved from sums: the plan learns by rounds, or no task got so far."),
                 TableOr(GateTable(plan, history_),
                         "No candidate was judged: the plan has no retention gate, or no "
                         "later task began."),
                 TableOr(RefusalTable(plan, history_), "Nothing was refused."),
                 TableOr(StandstillTable(plan, history_), "The plan never stood still."),
                 TableOr(MissedTable(plan, history_), "Everything that the plan asks for was trained.")}});
  page.sections.push_back({.title = "What was sent", .parts = {TrafficTable(plan, history_)}});
  return report::RenderHtml(page);
}

void ConsortiumReport::WriteTo(FileSystem& files, const Path& folder) const {
  files.CreateFolders(folder);
  WriteFileAtomically(files, folder / "report.txt", Text());
  WriteFileAtomically(files, folder / "report.json", Json().dump(2) + "\n");
  WriteFileAtomically(files, folder / "report.html", Html());
  for (const auto& [name, table] : Tables())
    WriteFileAtomically(files, folder / (name + ".csv"), report::CsvTable(table));
  WriteFileAtomically(files, folder / "roc.csv", report::CsvTable(RocTable(state_.plan(), history_)));
}

}  // namespace hemafed
