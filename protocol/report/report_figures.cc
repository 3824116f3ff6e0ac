// SPDX-License-Identifier: Apache-2.0
#include "protocol/report/report_figures.h"

#include <algorithm>
#include <variant>

#include "codec/exact.h"

namespace hemafed {

ClassSet ClassesOf(const Plan& plan, const Column& column) { return plan.PoolsOf(column.site).at(column.pool); }

std::vector<ColumnFigures> FiguresOf(const Plan& plan, const TaskRecord& task) {
  std::vector<ColumnFigures> figures;
  if (!task.closed) return figures;
  for (const Column& column : plan.Columns()) {
    const auto evaluation = task.evaluations.find(column.site);
    const bool scored = evaluation != task.evaluations.end();
    ColumnFigures of_column{.column = column,
                            .scored = scored,
                            .metrics = scored ? MetricsOf(evaluation->second, column.pool) : ColumnMetrics{},
                            .auc = std::vector<std::optional<std::uint64_t>>(plan.classes.size()),
                            .macro_auc = {}};
    of_column.metrics.classes.resize(plan.classes.size());
    of_column.has_strangers =
        std::none_of(of_column.metrics.classes.begin(), of_column.metrics.classes.end(),
                     [&](const auto& scores) { return scores && scores->pictures == of_column.metrics.pictures; });
    if (const auto scores = task.scores.find(column.site); scores != task.scores.end()) {
      Int128 sum = 0;
      std::size_t counted = 0;
      for (const std::uint32_t label : ClassesOf(plan, column)) {
        const auto& histogram = scores->second.At(label);
        if (!histogram) continue;
        of_column.auc[label] = histogram->AucMillionths();
        if (!of_column.auc[label]) continue;
        sum += *of_column.auc[label];
        ++counted;
      }
      if (counted > 0) of_column.macro_auc = static_cast<std::uint64_t>(DivideHalfEven(sum, counted));
    }
    figures.push_back(std::move(of_column));
  }
  return figures;
}

std::vector<RocCurve> RocCurvesOf(const Plan& plan, const TaskRecord& task, const Column& column) {
  std::vector<RocCurve> curves;
  const auto scores = task.scores.find(column.site);
  if (scores == task.scores.end()) return curves;
  for (const std::uint32_t label : ClassesOf(plan, column)) {
    const auto& histogram = scores->second.At(label);
    if (!histogram) continue;
    std::vector<std::uint64_t> positives = histogram->RocMillionths(kRocPoints);
    if (!positives.empty()) curves.push_back({.label = label, .positives = std::move(positives)});
  }
  return curves;
}

std::vector<MatrixFigure> FiguresOf(const AccuracyMatrix& matrix) {
  if (matrix.rows() == 0) return {};
  const std::size_t last = matrix.rows() - 1;
  return {
      {"average_accuracy", "mean accuracy of the last model over the tasks learned",
       matrix.AverageAccuracyMillionths()},
      {"mean_over_steps", "mean of that figure over the models after each task", matrix.MeanOverStepsMillionths()},
      {"learning_accuracy", "mean accuracy of each task's own model on it", matrix.LearningAccuracyMillionths()},
      {"de_lange_forgetting", "mean loss since a task was learned", matrix.DeLangeForgettingMillionths()},
      {"chaudhry_forgetting", "mean loss since a task was at its best", matrix.ChaudhryForgettingMillionths()},
      {"first_task_drop", "mean loss of the first task by each later one", matrix.FirstTaskDropMillionths()},
      {"backward_transfer", "mean gain since a task was learned", matrix.BackwardTransferMillionths()},
      {"unseen_accuracy", "mean accuracy of the last model where it never trained", matrix.UnseenMillionths(last)},
  };
}

std::vector<MissedRehearsal> MissedRehearsals(const Plan& plan, const FederationHistory& history) {
  const auto rehearsed_in = [](const RoundRecord& round, const std::string& site) {
    return std::any_of(round.updates.begin(), round.updates.end(),
                       [&](const UpdateRecord& update) { return update.site == site; });
  };
  const auto committed_by = [](const TaskRecord& task, const std::string& site) {
    const auto committed = task.pictures.find(site);
    return committed == task.pictures.end() ? 0 : committed->second;
  };
  std::vector<MissedRehearsal> missed;
  for (std::uint32_t t = 0; t < history.tasks().size(); ++t) {
    const TaskRecord& task = history.tasks()[t];
    std::vector<AbsentEntry> absent = task.absent;
    for (const RoundRecord& round : task.rounds) {
      absent.insert(absent.end(), round.absent.begin(), round.absent.end());
      for (const AbsentEntry& entry : absent) {
        // An absent judge may have rehearsed in the round that it did not judge.
        const bool rehearsed = rehearsed_in(round, entry.site);
        const bool takes_part =
            std::find(task.participants.begin(), task.participants.end(), entry.site) != task.participants.end();
        // Where all train on their own cells, nobody keeps exemplars; who never committed has none that are known.
        const std::uint64_t without = plan.TrainsAutoencoder() ? committed_by(task, entry.site) : entry.exemplars;
        if (!rehearsed && takes_part) missed.push_back({t, round.round, entry.site, without, "absent"});
      }
      for (const RefusedEntry& refused : round.refused) {
        // The operator may have let it train again.
        if (refused.site == task.participants.front() || rehearsed_in(round, refused.site)) continue;
        missed.push_back({t, round.round, refused.site, committed_by(task, refused.site), "update refused"});
      }
    }
    const std::uint32_t last = task.rounds.empty() ? 0 : task.rounds.back().round;
    for (const AbsentEntry& entry : task.without_means) {
      missed.push_back({t, last, entry.site, entry.exemplars, "absent: no class means"});
    }
  }
  return missed;
}

std::vector<SiteTraffic> TrafficOf(const Plan& plan, const FederationHistory& history) {
  std::vector<SiteTraffic> traffic;
  for (const std::string& site : plan.Sites()) {
    SiteTraffic of_site{.site = site};
    for (const TaskRecord& task : history.tasks()) {
      for (const RoundRecord& round : task.rounds) {
        for (const UpdateRecord& update : round.updates) {
          if (update.site != site) continue;
          ++of_site.updates;
          of_site.update_bytes += update.file_bytes;
        }
      }
      if (task.sums && task.sums->site == site) {
        ++of_site.sums;
        of_site.sums_bytes += task.sums->file_bytes;
      }
      for (const OtherFileRecord& file : task.other_files) {
        if (file.site != site) continue;
        ++of_site.others;
        of_site.other_bytes += file.bytes;
      }
      const auto evaluation = task.evaluations.find(site);
      if (evaluation == task.evaluations.end()) continue;
      ++of_site.evaluations;
      if (evaluation->second.scores()) of_site.score_bytes += evaluation->second.scores()->file_bytes;
    }
    traffic.push_back(std::move(of_site));
  }
  return traffic;
}

namespace {

std::string WhyRefused(DriftRefusalReason reason) {
  switch (reason) {
    case DriftRefusalReason::kTooFewPictures:
      return "not compared: fewer than " + std::to_string(kMinDriftRows) + " pictures tell nothing";
    case DriftRefusalReason::kConstantFeatures:
      return "not compared: more than half of the pairs of pictures have the same latent";
    case DriftRefusalReason::kUnusableReference:
      return "not compared: nothing can be drawn from the moments of the hospitals before it";
  }
  return "not compared";
}

}  // namespace

std::string DriftWords(const DriftRecord& record) {
  if (record.too_few && (!record.answer || std::holds_alternative<BelowMinPictures>(*record.answer))) {
    return "nothing is said: fewer than min_pictures pictures were left";
  }
  if (!record.answer) return "the first hospital: there is nothing to compare it with";
  if (const auto* refusal = std::get_if<DriftRefusal>(&*record.answer)) return WhyRefused(refusal->reason);
  const auto& report = std::get<DriftReport>(*record.answer);
  if (!report.IsSignificant()) return "the difference can be chance";
  if (report.members == 0) return "different; no earlier hospital's own distance is known to judge it by";
  if (report.IsUnlike()) {
    const std::string whom = report.members == 1
                                 ? "the only hospital with a distance of its own"
                                 : "all " + std::to_string(report.members) + " hospitals with a distance of their own";
    return "unlike the consortium: further off than " + whom +
           "; look at its pictures (stain, magnification, crop, focus)";
  }
  return "different, as hospitals are: " + std::to_string(report.members_as_far) + " of " +
         std::to_string(report.members) + " are at least as far off";
}

}  // namespace hemafed
