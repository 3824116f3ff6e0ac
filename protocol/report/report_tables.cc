// SPDX-License-Identifier: Apache-2.0
#include "protocol/report/report_tables.h"

#include <algorithm>
#include <iomanip>
#include <iterator>
#include <sstream>
#include <utility>
#include <variant>

#include "codec/integer_weights.h"

namespace hemafed {

using report::Cell;
using report::Measurement;
using report::Table;

namespace {

// Digits of a fraction for people; CSV has all six.
constexpr int kFractionDigits = 4;

Cell Count(std::uint64_t count) { return Measurement{.value = static_cast<double>(count), .spread = {}, .digits = 0}; }

template <typename Integer>
Cell Fraction(Integer millionths) {
  return Measurement{.value = static_cast<double>(millionths) / 1e6, .spread = {}, .digits = kFractionDigits};
}

template <typename Integer>
Cell Fraction(const std::optional<Integer>& millionths) {
  return millionths ? Fraction(*millionths) : Cell{};
}

Cell RoundNumber(std::uint32_t round) { return Count(std::uint64_t{round} + 1); }

template <typename Use>
void ForEachRound(const FederationHistory& history, const Use& use) {
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    for (const RoundRecord& round : history.tasks()[t].rounds) use(t, history.tasks()[t], round);
  }
}

}  // namespace

std::string TaskTitle(const Plan& plan, std::uint32_t task) {
  return std::to_string(task + 1) + ": " + plan.tasks.at(task).site;
}

Table MatrixTable(const FederationState& state) {
  Table table{.title = "Accuracy after each task", .columns = {{"after task"}}, .rows = {}, .notes = {}};
  for (const Column& column : state.plan().Columns()) table.columns.push_back({column.title});
  const AccuracyMatrix& matrix = state.matrix();
  for (std::uint32_t task = 0; task < matrix.rows(); ++task) {
    std::vector<Cell> row{TaskTitle(state.plan(), task)};
    for (std::size_t j = 0; j < matrix.columns(); ++j) row.push_back(Fraction(matrix.Millionths(task, j)));
    table.rows.push_back(std::move(row));
  }
  table.notes.emplace_back(
      "Rows: the model after that task. Columns: test pictures of each task's hospital, later ones too, and of "
      "hospitals that only score.");
  return table;
}

Table SummaryTable(const FederationState& state) {
  Table table{
      .title = "Figures of the whole matrix", .columns = {{"figure"}, {"value"}, {"meaning"}}, .rows = {}, .notes = {}};
  for (const MatrixFigure& figure : FiguresOf(state.matrix())) {
    table.rows.push_back({figure.name, Fraction(figure.millionths), figure.words});
  }
  return table;
}

Table CurveTable(const FederationState& state) {
  Table table{
      .title = "Course over the tasks",
      .columns = {{"after task"}, {"average accuracy"}, {"forgetting"}, {"where it never trained"}},
      .rows = {},
      .notes = {"Average over the tasks so far; forgetting: mean loss of the tasks before since each was new."}};
  const AccuracyMatrix& matrix = state.matrix();
  for (std::uint32_t task = 0; task < matrix.rows(); ++task) {
    table.rows.push_back({TaskTitle(state.plan(), task), Fraction(matrix.AverageAfterMillionths(task)),
                          task == 0 ? Cell{} : Fraction(matrix.ForgettingAfterMillionths(task)),
                          Fraction(matrix.UnseenMillionths(task))});
  }
  return table;
}

Table ColumnTable(const Plan& plan, const FederationHistory& history) {
  Table table{
      .title = "Columns after each task",
      .columns = {{"after task"},
                  {"test pictures of"},
                  {"pictures"},
                  {"right"},
                  {"accuracy"},
                  {"95 % low"},
                  {"95 % high"},
                  {"macro sensitivity"},
                  {"macro F1"},
                  {"weighted F1"},
                  {"macro AUC"}},
      .rows = {},
      .notes = {"Interval: Wilson. Pictures that may not be shown (fewer than " + std::to_string(plan.min_pictures) +
                " of a class) are in no figure. Without figures: the hospital was away."}};
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    for (const ColumnFigures& figures : FiguresOf(plan, history.tasks()[t])) {
      const ColumnMetrics& metrics = figures.metrics;
      const auto of = [](const auto& scores, auto field) { return scores ? Fraction((*scores).*field) : Cell{}; };
      if (!figures.scored) {
        table.rows.push_back({TaskTitle(plan, t), figures.column.title});
        table.rows.back().resize(table.columns.size());
        continue;
      }
      table.rows.push_back({TaskTitle(plan, t), figures.column.title, Count(metrics.pictures), Count(metrics.right),
                            metrics.pictures == 0 ? Cell{} : Fraction(metrics.accuracy),
                            of(metrics.accuracy_interval, &IntervalMillionths::low),
                            of(metrics.accuracy_interval, &IntervalMillionths::high),
                            of(metrics.macro, &ScoresMillionths::sensitivity), of(metrics.macro, &ScoresMillionths::f1),
                            of(metrics.weighted, &ScoresMillionths::f1), Fraction(figures.macro_auc)});
    }
  }
  return table;
}

namespace {

std::vector<Cell> ClassRow(const Plan& plan, const ColumnFigures& figures, std::uint32_t label) {
  std::vector<Cell> row{plan.classes[label]};
  if (const auto& scores = figures.metrics.classes[label]) {
    row.insert(row.end(), {Count(scores->pictures), Fraction(scores->precision), Fraction(scores->sensitivity),
                           figures.has_strangers ? Fraction(scores->specificity) : Cell{}, Fraction(scores->f1)});
  } else {
    row.resize(6);
  }
  row.push_back(Fraction(figures.auc[label]));
  return row;
}

const std::vector<report::Column> kClassColumns = {{"class"},       {"pictures"}, {"precision"}, {"sensitivity"},
                                                   {"specificity"}, {"F1"},       {"AUC"}};

}  // namespace

Table ClassTable(const Plan& plan, const FederationHistory& history) {
  Table table{
      .title = "Classes after each task", .columns = {{"after task"}, {"test pictures of"}}, .rows = {}, .notes = {}};
  table.columns.insert(table.columns.end(), kClassColumns.begin(), kClassColumns.end());
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    for (const ColumnFigures& figures : FiguresOf(plan, history.tasks()[t])) {
      for (const std::uint32_t label : ClassesOf(plan, figures.column)) {
        std::vector<Cell> row{TaskTitle(plan, t), figures.column.title};
        const std::vector<Cell> of_class = ClassRow(plan, figures, label);
        row.insert(row.end(), of_class.begin(), of_class.end());
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

Table ClassTable(const Plan& plan, const ColumnFigures& figures) {
  Table table{.title = figures.column.title, .columns = kClassColumns, .rows = {}, .notes = {}};
  bool withheld = false;
  for (const std::uint32_t label : ClassesOf(plan, figures.column)) {
    table.rows.push_back(ClassRow(plan, figures, label));
    withheld = withheld || !figures.metrics.classes[label];
  }
  const auto mean = [&](const std::string& name, const std::optional<ScoresMillionths>& scores, Cell auc) {
    if (!scores) return;
    table.rows.push_back({name, Cell{}, Fraction(scores->precision), Fraction(scores->sensitivity),
                          figures.has_strangers ? Fraction(scores->specificity) : Cell{}, Fraction(scores->f1),
                          std::move(auc)});
  };
  mean("macro mean", figures.metrics.macro, Fraction(figures.macro_auc));
  mean("weighted mean", figures.metrics.weighted, Cell{});
  if (!figures.scored) {
    table.notes.emplace_back("The hospital was away and has not scored this model.");
  } else if (withheld) {
    table.notes.push_back("Without figures: fewer than " + std::to_string(plan.min_pictures) + " test pictures.");
  }
  return table;
}

Table RocTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "ROC curves",
              .columns = {{"after task"}, {"column"}, {"class"}, {"1 - specificity"}, {"sensitivity"}},
              .rows = {},
              .notes = {}};
  const auto closed = std::find_if(history.tasks().rbegin(), history.tasks().rend(),
                                   [](const TaskRecord& task) { return task.closed; });
  if (closed == history.tasks().rend()) return table;
  const auto task = static_cast<std::uint32_t>(std::distance(closed, history.tasks().rend()) - 1);
  for (const Column& column : plan.Columns()) {
    for (const RocCurve& curve : RocCurvesOf(plan, *closed, column)) {
      for (std::size_t i = 0; i < curve.positives.size(); ++i) {
        table.rows.push_back({TaskTitle(plan, task), column.title, plan.classes[curve.label],
                              Measurement{.value = RocPlace(i), .spread = {}, .digits = 2},
                              Fraction(curve.positives[i])});
      }
    }
  }
  return table;
}

Table LossTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Loss and alignment by round and hospital", .columns = {{"round"}}, .rows = {}, .notes = {}};
  if (!plan.TrainsAutoencoder()) return table;
  const std::vector<std::string> sites = plan.Participants(0);
  for (const std::string& site : sites) {
    table.columns.push_back({site + " loss"});
    table.columns.push_back({site + " alignment"});
  }
  ForEachRound(history, [&](std::uint32_t, const TaskRecord&, const RoundRecord& round) {
    std::vector<Cell> row{RoundNumber(round.round)};
    for (const std::string& site : sites) {
      const auto update = std::find_if(round.updates.begin(), round.updates.end(),
                                       [&](const UpdateRecord& of) { return of.site == site; });
      const bool taken = update != round.updates.end();
      row.push_back(taken ? Fraction(update->loss_millionths) : Cell{});
      row.push_back(taken ? Fraction(update->distillation_millionths) : Cell{});
    }
    table.rows.push_back(std::move(row));
  });
  table.notes.emplace_back(
      "Means over a round's local steps of the whole loss (features, pictures, and beta times alignment) and of the "
      "alignment term alone, as the hospitals signed them. Empty: no update was taken. Nobody scores these models.");
  return table;
}

namespace {

// Distances of the earlier hospitals: whoever reads the verdict sees whether one of them stands out.
Cell MembersOf(const DriftRecord& drift) {
  if (drift.members.empty()) return Cell{};
  std::ostringstream text;
  text << std::fixed << std::setprecision(kFractionDigits);
  for (std::size_t i = 0; i < drift.members.size(); ++i) {
    text << (i == 0 ? "" : ", ") << static_cast<double>(drift.members[i]) / 1e6;
  }
  return text.str();
}

}  // namespace

Table DriftTable(const FederationHistory& history) {
  Table table{
      .title = "Hospitals beside those before them",
      .columns = {{"hospital"},
                  {"against"},
                  {"pictures"},
                  {"MMD^2"},
                  {"p"},
                  {"members' MMD^2"},
                  {"as far off"},
                  {"which means"}},
      .rows = {},
      .notes = {"MMD^2: unbiased squared maximum mean discrepancy between the latents of the hospital's training "
                "pictures and as many drawn from the others' moments; near 0: alike. Members: earlier hospitals "
                "whose own MMD^2 is known, each against those before it; one that is far off itself hides how far "
                "later ones are. p alone says little (docs/drift_check.md)."}};
  for (const TaskRecord& task : history.tasks()) {
    if (!task.drift) continue;
    const DriftRecord& drift = *task.drift;
    std::string against;
    for (const std::string& site : drift.against) against += (against.empty() ? "" : ", ") + site;
    std::vector<Cell> row{drift.site, against.empty() ? Cell{} : Cell{against}};
    const DriftReport* report = drift.answer ? std::get_if<DriftReport>(&*drift.answer) : nullptr;
    if (report != nullptr) {
      const double p = static_cast<double>(report->p_numerator) / static_cast<double>(report->p_denominator);
      row.insert(row.end(), {Count(report->pictures), Fraction(report->mmd2_unbiased_millionths),
                             Measurement{.value = p, .spread = {}, .digits = kFractionDigits}, MembersOf(drift),
                             Count(report->members_as_far)});
    } else {
      row.push_back(drift.pictures > 0 ? Count(drift.pictures) : Cell{});
      row.resize(7);
    }
    row.emplace_back(DriftWords(drift));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table RoundTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Rounds",
              .columns = {{"task"},
                          {"round"},
                          {"updates"},
                          {"refused"},
                          {"absent"},
                          {"pictures"},
                          {"update bytes"},
                          {"halvings"},
                          {"outcome"}},
              .rows = {},
              .notes = {}};
  ForEachRound(history, [&](std::uint32_t t, const TaskRecord& task, const RoundRecord& round) {
    std::uint64_t pictures = 0, bytes = 0;
    for (const UpdateRecord& update : round.updates) {
      pictures += update.pictures;
      bytes += update.file_bytes;
    }
    std::size_t absent = task.absent.size();
    for (const RoundRecord& earlier : task.rounds) absent += earlier.round <= round.round ? earlier.absent.size() : 0;
    const char* const outcome = !round.closed ? "open" : round.rejected ? "step given up" : "merged";
    table.rows.push_back({TaskTitle(plan, t), RoundNumber(round.round), Count(round.updates.size()),
                          Count(round.refused.size()), Count(absent), Count(pictures), Count(bytes),
                          Count(round.halvings), outcome});
  });
  return table;
}

Table UpdateTable(const Plan& plan, const FederationHistory& history) {
  Table table{
      .title = "Updates",
      .columns = {{"task"},
                  {"round"},
                  {"site"},
                  {"pictures"},
                  {"share"},
                  {"loss"},
                  {plan.TrainsAutoencoder() ? "alignment" : "distillation"},
                  {"base"},
                  {"trained"},
                  {"bytes"}},
      .rows = {},
      .notes = {"Share: by pictures, before the rule weighs single tensors. Loss and distillation: mean over the "
                "local steps. Base and trained: distillation loss of the round's base and of the site's result on the "
                "site's probe."}};
  const auto probed = [](const std::optional<std::uint64_t>& figure) { return figure ? Fraction(*figure) : Cell{}; };
  ForEachRound(history, [&](std::uint32_t t, const TaskRecord&, const RoundRecord& round) {
    for (const UpdateRecord& update : round.updates) {
      const Cell share =
          update.weight
              ? Cell{Measurement{
                    .value = static_cast<double>(*update.weight) / kWeightSum, .spread = {}, .digits = kFractionDigits}}
              : Cell{};
      table.rows.push_back({TaskTitle(plan, t), RoundNumber(round.round), update.site, Count(update.pictures), share,
                            Fraction(update.loss_millionths), Fraction(update.distillation_millionths),
                            probed(update.probe_before_millionths), probed(update.probe_after_millionths),
                            Count(update.file_bytes)});
    }
  });
  return table;
}

Table SumsTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Sums and heads",
              .columns = {{"task"}, {"site"}, {"pictures"}, {"clamped features"}, {"bytes"}, {"head"}},
              .rows = {},
              .notes = {}};
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    const auto& sums = history.tasks()[t].sums;
    if (!sums) continue;
    table.rows.push_back({TaskTitle(plan, t), sums->site, Count(sums->pictures), Count(sums->clamped),
                          Count(sums->file_bytes), sums->head ? Cell{sums->head->Hex()} : Cell{}});
  }
  return table;
}

Table GateTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Decisions of the retention gate",
              .columns = {{"task"}, {"round"}, {"halvings"}, {"pictures"}, {"agreed before"}, {"agree"}, {"decision"}},
              .rows = {},
              .notes = {}};
  ForEachRound(history, [&](std::uint32_t t, const TaskRecord&, const RoundRecord& round) {
    for (const GateRecord& gate : round.gate) {
      table.rows.push_back({TaskTitle(plan, t), RoundNumber(round.round), Count(gate.halvings), Count(gate.pictures),
                            Count(gate.agreed_before), Count(gate.agrees), gate.accepted ? "kept" : "loses too much"});
    }
  });
  return table;
}

Table RefusalTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Refused updates and sums",
              .columns = {{"task"}, {"round"}, {"site"}, {"reason"}},
              .rows = {},
              .notes = {}};
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    const TaskRecord& task = history.tasks()[t];
    for (const RefusedEntry& refused : task.refused) {
      table.rows.push_back({TaskTitle(plan, t), Cell{}, refused.site, refused.reason});
    }
    for (const RoundRecord& round : task.rounds) {
      for (const RefusedEntry& refused : round.refused) {
        table.rows.push_back({TaskTitle(plan, t), RoundNumber(round.round), refused.site, refused.reason});
      }
    }
  }
  return table;
}

Table StandstillTable(const Plan& plan, const FederationHistory& history) {
  Table table{.title = "Pauses and the operator's decisions",
              .columns = {{"task"}, {"round"}, {"event"}, {"sites"}, {"what"}},
              .rows = {},
              .notes = {}};
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    for (const StandstillRecord& record : history.tasks()[t].standstills) {
      std::string sites;
      for (const std::string& site : record.sites) sites += (sites.empty() ? "" : ", ") + site;
      table.rows.push_back(
          {TaskTitle(plan, t), RoundNumber(record.round), record.decision ? "decision" : "pause", sites, record.what});
    }
  }
  return table;
}

Table MissedTable(const Plan& plan, const FederationHistory& history) {
  const bool equals = plan.TrainsAutoencoder();
  Table table{.title = equals ? "Training that was not done" : "Rehearsal that was not done",
              .columns = {{"task"}, {"round"}, {"site"}, {equals ? "cells" : "exemplars"}, {"why"}},
              .rows = {},
              .notes = {}};
  for (const MissedRehearsal& missed : MissedRehearsals(plan, history)) {
    table.rows.push_back(
        {TaskTitle(plan, missed.task), RoundNumber(missed.round), missed.site, Count(missed.exemplars), missed.why});
  }
  return table;
}

Table TrafficTable(const Plan& plan, const FederationHistory& history) {
  Table table{
      .title = "What sites sent",
      .columns = {{"site"},
                  {"updates"},
                  {"update bytes"},
                  {"sums"},
                  {"sums bytes"},
                  {"evaluations"},
                  {"score bytes"},
                  {"other files"},
                  {"other bytes"}},
      .rows = {},
      .notes = {
          "Files as they travelled, by the log; other ones are Fisher information, class means, latent moments and "
          "sealed bundles. "
          "Models on their way to the sites are not in it."}};
  for (const SiteTraffic& site : TrafficOf(plan, history)) {
    table.rows.push_back({site.site, Count(site.updates), Count(site.update_bytes), Count(site.sums),
                          Count(site.sums_bytes), Count(site.evaluations), Count(site.score_bytes), Count(site.others),
                          Count(site.other_bytes)});
  }
  return table;
}

}  // namespace hemafed
