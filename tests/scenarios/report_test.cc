// SPDX-License-Identifier: Apache-2.0
//
// The consortium's report on whole federations: operator and auditor write the same files, and their figures are those
// of the sites' signed integers.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "auditor/audited_report.h"
#include "coordinator/published_state.h"
#include "tests/expect_error.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scenarios/federation_harness.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using nlohmann::json;
using testing_support::FederationHarness;
using testing_support::kAbsence;
using testing_support::kMixedTasks;
using testing_support::kRetentionGate;
using testing_support::kSmallTasks;
using testing_support::Scratch;
using testing_support::TrustOf;

std::map<std::string, std::string> FilesIn(const Path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename().string()] = ReadFile(RealFileSystem(), entry.path(), 1 << 24);
  }
  return files;
}

// Writes both reports, which must be alike, and returns the files.
std::map<std::string, std::string> ReportOn(FederationHarness& harness, const Scratch& scratch) {
  const std::string text = coordinator::ReportPublished(RealFileSystem(), harness.consortium(), scratch / "operators");
  const auditor::AuditedReport audited =
      auditor::WriteAuditedReport(RealFileSystem(), TrustOf(harness), scratch / "consortium", scratch / "auditors");
  EXPECT_FALSE(audited.audit.finding) << audited.audit.finding->message;
  EXPECT_EQ(audited.text, text);
  auto files = FilesIn(scratch / "operators");
  EXPECT_EQ(FilesIn(scratch / "auditors"), files);
  EXPECT_EQ(files.at("report.txt"), text);
  return files;
}

// The evaluations that the log holds, by task and site.
std::map<std::pair<std::uint32_t, std::string>, EvaluationReport> Evaluations(FederationHarness& harness) {
  std::map<std::pair<std::uint32_t, std::string>, EvaluationReport> reports;
  const Plan& plan = harness.service().state().plan();
  harness.service().log().ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* said = std::get_if<StatementEntry>(&entry.body);
    if (said == nullptr || said->statement.kind != StatementKind::kEvaluation) return;
    reports.emplace(std::pair{said->statement.task, said->site},
                    EvaluationReport::FromJson(said->statement.body, plan.classes.size(), plan.PoolsOf(said->site)));
  });
  return reports;
}

double Share(double part, double whole) { return whole == 0 ? 0 : part / whole; }

TEST(ConsortiumReport, OfOperatorAndAuditorIsTheSameAndSaysWhatTheSitesSigned) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  const auto files = ReportOn(harness, scratch);
  const json report = json::parse(files.at("report.json"));
  const FederationState& state = harness.service().state();
  EXPECT_EQ(report.at("finished"), true);
  EXPECT_EQ(report.at("log").at("root"), harness.service().log().root().Hex());
  EXPECT_EQ(report.at("model"), state.model().Hex());
  EXPECT_EQ(report.at("columns"), (json{"first", "second"}));
  EXPECT_EQ(report.at("figures_millionths").at("average_accuracy"), *state.matrix().AverageAccuracyMillionths());
  EXPECT_EQ(report.at("figures_millionths").at("de_lange_forgetting"), *state.matrix().DeLangeForgettingMillionths());
  const auto evaluations = Evaluations(harness);
  for (std::uint32_t task = 0; task < 2; ++task) {
    const json& of_task = report.at("tasks").at(task);
    EXPECT_EQ(of_task.at("rounds").size(), 2u);
    EXPECT_EQ(of_task.at("rounds").at(0).at("updates").size(), task + 1u);
    for (std::size_t j = 0; j < 2; ++j) {
      const std::string site = j == 0 ? "first" : "second";
      const json& column = of_task.at("columns").at(j);
      const EvaluationReport& evaluation = evaluations.at({task, site});
      EXPECT_EQ(column.at("site"), site);
      EXPECT_EQ(column.at("accuracy"), report.at("matrix_millionths").at(task).at(j));
      EXPECT_EQ(column.at("accuracy"), *state.matrix().Millionths(task, j));
      const Path object = Path("objects") / evaluation.scores()->values.Hex().substr(0, 2) /
                          evaluation.scores()->values.Hex().substr(2);
      const auto histograms = ReadCanonicalScores(*RealFileSystem().OpenForRead(scratch / "consortium" / object), 2);
      const std::vector<std::string> names = {"basophil", "monocyte"};
      for (std::size_t k = 0; k < 2; ++k) {
        const json& of_class = column.at("classes").at(names[k]);
        const auto tp = static_cast<double>((*evaluation.rows()[k])[k]);
        const auto fn = static_cast<double>((*evaluation.rows()[k])[1 - k]);
        const auto fp = static_cast<double>((*evaluation.rows()[1 - k])[k]);
        const auto tn = static_cast<double>((*evaluation.rows()[1 - k])[1 - k]);
        EXPECT_NEAR(of_class.at("precision").get<double>(), 1e6 * Share(tp, tp + fp), 0.501);
        EXPECT_NEAR(of_class.at("sensitivity").get<double>(), 1e6 * Share(tp, tp + fn), 0.501);
        EXPECT_NEAR(of_class.at("specificity").get<double>(), 1e6 * Share(tn, tn + fp), 0.501);
        EXPECT_NEAR(of_class.at("f1").get<double>(), 1e6 * Share(2 * tp, 2 * tp + fp + fn), 0.501);
        EXPECT_EQ(of_class.at("pictures"), 30u);
        const ClassHistogram& h = *histograms.At(k);
        double pairs = 0;
        for (std::size_t p = 0; p < kHistogramBins; ++p) {
          for (std::size_t n = 0; n < kHistogramBins; ++n) {
            pairs += static_cast<double>(h.positives[p]) * h.negatives[n] * (p > n ? 1.0 : p == n ? 0.5 : 0.0);
          }
        }
        EXPECT_NEAR(of_class.at("auc").get<double>(), 1e6 * pairs / (30.0 * 30.0), 0.501);
      }
    }
  }
}

TEST(ConsortiumReport, PageLoadsNothingAndEveryTableHasAFile) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.tasks = kMixedTasks, .top = "observers = [\"watcher\"]\n"});
  ASSERT_TRUE(harness.Run());
  const auto files = ReportOn(harness, scratch);
  const std::string& page = files.at("report.html");
  for (const char* part : {"<script", "https:", "<link", "<img"}) EXPECT_EQ(page.find(part), std::string::npos) << part;
  for (std::size_t at = 0; (at = page.find("http:", at)) != std::string::npos; ++at) {
    // The namespace of SVG is a name, not an address to load from.
    EXPECT_EQ(page.compare(at, 18, "http://www.w3.org/"), 0) << page.substr(at, 60);
  }
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(page.find("watcher"), std::string::npos);
  for (const char* name : {"matrix", "summary", "curves", "columns", "classes", "rounds", "updates", "sums", "gate",
                           "refusals", "standstills", "rehearsal_not_done", "traffic"}) {
    EXPECT_TRUE(files.contains(std::string(name) + ".csv")) << name;
  }
  // Curves only of what may show its scores: each has its 101 points, from the last task's model.
  EXPECT_NE(page.find("ROC on test pictures of "), std::string::npos);
  const std::string& roc = files.at("roc.csv");
  EXPECT_EQ(roc.substr(0, roc.find('\n')), "after task,column,class,1 - specificity,sensitivity");
  std::size_t aucs = 0;
  const json last = json::parse(files.at("report.json")).at("tasks").back().at("columns");
  for (const json& column : last) {
    for (const json& of_class : column.at("classes")) aucs += !of_class.is_null() && of_class.at("auc").is_number();
  }
  EXPECT_GT(aucs, 0u);
  EXPECT_EQ(static_cast<std::size_t>(std::count(roc.begin(), roc.end(), '\n')), 1 + 101 * aucs);
  // A hospital that learns one class in a task has a column of that class alone.
  const json columns = json::parse(files.at("report.json")).at("tasks").at(3).at("columns");
  EXPECT_EQ(columns.at(0).at("classes").at("basophil").at("specificity"), nullptr);
  EXPECT_EQ(columns.at(0).at("classes").at("basophil").at("auc"), nullptr);
  EXPECT_TRUE(columns.at(4).at("classes").at("basophil").at("specificity").is_number());
  EXPECT_TRUE(columns.at(4).at("classes").at("basophil").at("auc").is_number());
  const std::string& matrix = files.at("matrix.csv");
  EXPECT_EQ(std::count(matrix.begin(), matrix.end(), '\n'), 5) << "a title and four tasks";
}

TEST(ConsortiumReport, NamesRefusalsGateDecisionsAndRehearsalThatWasNotDone) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.tasks = std::string(kSmallTasks) + kRetentionGate});
  // The rehearsing hospital's updates break the norm bound; its judgements cost two halvings in the first round.
  harness.trainer("first").disagreements = [](const Job& job) { return job.round == 0 ? 9u : 0u; };
  bool second_task = false;
  while (!harness.Closed()) {
    harness.Run(1);
    if (!second_task && harness.service().state().task() == 1) {
      second_task = true;
      harness.trainer("first").scale = 1 << 20;
    }
  }
  const json report = json::parse(ReportOn(harness, scratch).at("report.json"));
  const json& rounds = report.at("tasks").at(1).at("rounds");
  ASSERT_EQ(rounds.size(), 2u);
  std::size_t refused = 0;
  for (const json& round : rounds) {
    for (const json& entry : round.at("refused")) {
      ++refused;
      EXPECT_EQ(entry.at("site"), "first");
      EXPECT_NE(entry.at("reason").get<std::string>().find("norm"), std::string::npos);
    }
  }
  EXPECT_EQ(refused, 2u);
  const json& gate = rounds.at(0).at("gate");
  ASSERT_EQ(gate.size(), 3u) << "the whole step, and two halvings";
  for (std::size_t i = 0; i < gate.size(); ++i) {
    EXPECT_EQ(gate.at(i).at("halvings"), i);
    EXPECT_EQ(gate.at(i).at("pictures"), 25u);
    EXPECT_EQ(gate.at(i).at("agreed_before"), 25u);
    EXPECT_EQ(gate.at(i).at("agree"), 16u);
    EXPECT_EQ(gate.at(i).at("accepted"), false);
  }
  EXPECT_EQ(rounds.at(0).at("rejected"), true);
  const json& missed = report.at("rehearsal_not_done");
  ASSERT_EQ(missed.size(), 2u);
  EXPECT_EQ(missed.at(0).at("site"), "first");
  EXPECT_EQ(missed.at(0).at("exemplars"), 8u) << "four of each class";
  EXPECT_EQ(missed.at(1).at("why"), "update refused");
}

TEST(ConsortiumReport, SaysWhichRehearsalAnAbsentSiteDidNotDo) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.tasks = std::string(kSmallTasks) + kAbsence});
  while (harness.service().state().task() == 0) harness.Run(1);
  harness.trainer("first").asleep = true;
  while (!harness.Closed()) {
    harness.Run(1);
    if (harness.service().state().phase() == Phase::kEvaluating) harness.trainer("first").asleep = false;
  }
  const json report = json::parse(ReportOn(harness, scratch).at("report.json"));
  const json& missed = report.at("rehearsal_not_done");
  ASSERT_EQ(missed.size(), 2u) << "both rounds of the second task";
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(missed.at(i).at("task"), 1u);
    EXPECT_EQ(missed.at(i).at("round"), i);
    EXPECT_EQ(missed.at(i).at("site"), "first");
    EXPECT_EQ(missed.at(i).at("exemplars"), 8u);
    EXPECT_EQ(missed.at(i).at("why"), "absent");
  }
}

TEST(ConsortiumReport, AnAbsenceDuringTheMomentsBelongsToTheRoundTheyWereFor) {
  const Scratch scratch;
  FederationHarness harness(
      scratch.path(), {.top = kAbsence, .autoencoder = testing_support::kAligned, .with = "\"second\", \"third\""});
  while (harness.service().state().round() == 0) ASSERT_FALSE(harness.Run(1));
  EXPECT_EQ(harness.service().state().phase(), Phase::kMeasuring);
  const std::uint64_t cells = harness.service().state().commitments().at("third").pictures;
  harness.trainer("third").asleep = true;
  ASSERT_TRUE(harness.Run());
  const json report = json::parse(ReportOn(harness, scratch).at("report.json"));
  const json& missed = report.at("rehearsal_not_done");
  ASSERT_EQ(missed.size(), 1u) << "it trained in the first round";
  EXPECT_EQ(missed.at(0).at("round"), 1u);
  EXPECT_EQ(missed.at(0).at("site"), "third");
  EXPECT_EQ(missed.at(0).at("exemplars"), cells);
  const json& rounds = report.at("tasks").at(0).at("rounds");
  EXPECT_EQ(rounds.at(0).at("updates").size(), 3u);
  EXPECT_EQ(rounds.at(1).at("updates").size(), 2u);
  const auto csv = FilesIn(scratch / "operators").at("rounds.csv");
  std::istringstream lines(csv);
  std::string head, first, second;
  std::getline(lines, head);
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_EQ(first.find("1: first,1,3,0,0,"), 0u) << csv;
  EXPECT_EQ(second.find("1: first,2,2,0,1,"), 0u) << csv;
}

TEST(ConsortiumReport, OfAnAnalyticPlanNamesSumsAndHeads) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.policy = "analytic"});
  ASSERT_TRUE(harness.Run());
  const json report = json::parse(ReportOn(harness, scratch).at("report.json"));
  ASSERT_EQ(report.at("tasks").size(), 2u);
  for (std::size_t task = 0; task < 2; ++task) {
    const json& sums = report.at("tasks").at(task).at("sums");
    EXPECT_EQ(sums.at("site"), task == 0 ? "first" : "second");
    EXPECT_GT(sums.at("pictures"), 0u);
    EXPECT_EQ(report.at("traffic").at(task).at("sums_bytes"), sums.at("file_bytes"));
    EXPECT_EQ(sums.at("head").get<std::string>().size(), 64u);
  }
  EXPECT_EQ(report.at("tasks").at(1).at("sums").at("head"), report.at("model"));
}

TEST(ConsortiumReport, CanBeAskedForAtAnyTimeOnceThereIsAPlan) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  EXPECT_ERROR(ErrorCode::kConflict, "no plan yet",
               (void)coordinator::ReportPublished(RealFileSystem(), harness.consortium(), std::nullopt));
  while (!harness.Run(25)) {
    if (!harness.service().state().has_plan()) continue;
    EXPECT_NE(coordinator::ReportPublished(RealFileSystem(), harness.consortium(), scratch / "r").find("Plan test: "),
              std::string::npos);
  }
}

TEST(ConsortiumReport, IsNotWrittenByTheAuditorWhereAnythingIsWrong) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  const auto evaluations = Evaluations(harness);
  const std::string hex = evaluations.at({0, "second"}).scores()->values.Hex();
  const Path object = scratch / "consortium" / "objects" / hex.substr(0, 2) / hex.substr(2);
  std::string content = ReadFile(RealFileSystem(), object, 1 << 20);
  content[content.size() - 4] ^= 1;  // The lowest byte of a count.
  WriteFileAtomically(RealFileSystem(), object, content);
  const auto audited =
      auditor::WriteAuditedReport(RealFileSystem(), TrustOf(harness), scratch / "consortium", scratch / "out");
  ASSERT_TRUE(audited.audit.finding);
  EXPECT_NE(audited.audit.finding->message.find("content of its name"), std::string::npos);
  EXPECT_TRUE(audited.text.empty());
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

}  // namespace
}  // namespace hemafed
