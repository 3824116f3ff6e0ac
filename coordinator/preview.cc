// SPDX-License-Identifier: Apache-2.0
#include "coordinator/preview.h"

#include <sstream>
#include <string_view>

#include "codec/analytic_head.h"
#include "codec/exchange.h"
#include "codec/feature_sums.h"
#include "codec/latent_moments.h"
#include "codec/merge.h"
#include "codec/slow_model.h"
#include "codec/update.h"

namespace hemafed::coordinator {

namespace {

std::string NamesOf(const Plan& plan, const ClassSet& classes) {
  if (classes.size() == plan.classes.size()) return "all classes";
  std::string names;
  for (const std::uint32_t label : classes) names += (names.empty() ? "" : ", ") + plan.classes[label];
  return names;
}

void DescribeSums(const Plan& plan, std::ostream& out) {
  const auto classes = static_cast<std::uint32_t>(plan.classes.size());
  out << "strategy analytic: nothing is trained; after each task a head is solved from the sums of "
      << plan.strategy.features << " random features of all pictures so far, with ridge " << plan.strategy.ridge
      << "\n";
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    out << "task " << t + 1 << ": " << plan.tasks[t].site << " sums its pictures of "
        << NamesOf(plan, plan.tasks[t].classes) << "\n";
  }
  out << "in all " << plan.tasks.size() << " files of sums, each of at most "
      << MaxFeatureSumsFileBytes(plan.strategy.features, classes) << " bytes; a head has "
      << AnalyticHeadBytes(plan.strategy.features, classes) << " bytes, and every site fetches the initial weights";
}

// Under the policy `sealed`: that pictures move, between whom, and how much.
void DescribeExchange(std::ostream& out, const Plan& plan) {
  if (MaxBundleFileBytes(plan) == 0) return;
  out << "PICTURES MOVE under this plan, encrypted from one lab's trainer to another's; the coordinator carries what "
         "it "
         "cannot open:\n";
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    for (const std::string& recipient : BundleRecipients(plan, t)) {
      out << "  after task " << t + 1 << " " << plan.tasks[t].site << " gives " << recipient << " at most "
          << MaxBundleItemsOf(plan, t) << " training pictures of at most " << plan.rehearsal.picture_bytes
          << " bytes each, " << MaxBundleFileBytesOf(plan, t) << " bytes in all\n";
    }
  }
  out << "  no task opens before the people of these labs have agreed (hemafed-site agree):";
  for (const std::string& site : plan.Sites()) {
    if (!ExchangePartners(plan, site).empty()) out << " " << site;
  }
  out << "\n";
}

// What a strategy has sites send, and the coordinator compute, beside updates.
void DescribeStrategy(std::ostream& out, const Plan& plan) {
  if (plan.CollectsMeans()) {
    out << "after each task every hospital that holds exemplars sends their class means; the model that is scored, and "
           "kept, answers by the nearest of them\n";
  }
  if (plan.strategy.kind == StrategyKind::kEwc) {
    out << "after each task but the last its hospital sends the Fisher information of at most "
        << plan.strategy.fisher_pictures
        << " pictures, as large as an update; later tasks fetch all of it, and the "
           "models it belongs to\n";
  }
  if (plan.strategy.kind == StrategyKind::kDerpp) {
    out << "who rehearses fetches the models that its own tasks ended with: they say what its exemplars were "
           "answered\n";
  }
  if (plan.strategy.kind == StrategyKind::kWa) {
    out << "after a task that brings classes to a known head, its new rows get the old ones' mean length\n";
  }
  if (plan.KeepsSlowModel()) {
    out << "a slow model follows by " << static_cast<double>(plan.strategy.slow_rate) / kSlowRateOne
        << " of the way in each round; it travels beside the model, is scored, and is what sites keep\n";
  }
}

// What hospitals say of their latents before they train.
void DescribeDrift(const Plan& plan, std::ostream& out) {
  if (!plan.drift) return;
  out << "drift: before its first training each hospital sends mean and covariance of its training pictures' latents "
         "as "
         "integers, "
      << LatentMomentsBytes(plan.model.LatentWidth()) << " bytes; hospitals that come later fetch them and say how far "
      << "their own latents are from them (" << plan.drift->permutations << " permutations, at most "
      << plan.drift->rows << " pictures); nothing is stopped by it\n";
}

void DescribeAbsence(const Plan& plan, std::ostream& out) {
  const std::string who =
      plan.TrainsAutoencoder() ? "hospitals beside the task's own and the source" : "rehearsing sites";
  if (plan.absence.rehearsing == AbsenceRule::kPause) {
    out << "a task is paused when a site does not answer in " << plan.absence.after_s << " s\n";
  } else if (plan.absence.rehearsing == AbsenceRule::kSkip) {
    out << who << " that do not answer in " << plan.absence.after_s << " s are left out of the task\n";
  }
  if (plan.absence.joins_late) out << "sites may join until their first task; before it they do not score\n";
  if (plan.absence.skips_evaluations) {
    out << "tasks close without the scores of sites that do not answer in " << plan.absence.after_s << " s\n";
  }
}

// The training of an autoencoder: who trains when, and what travels.
void DescribeAutoencoder(const Plan& plan, std::ostream& out) {
  const TaskPlan& task = plan.tasks.front();
  const std::vector<std::string> sites = plan.Participants(0);
  const std::uint64_t trainings = std::uint64_t{task.rounds} * sites.size();
  out << "strategy alignment: an autoencoder with a latent of " << plan.model.latent
      << " numbers is trained by all hospitals together, each on the cells of its own training pictures; updates as "
      << UpdateEncodingName(plan.aggregation.encoding) << ", merged by " << AggregationRuleName(task.rule) << "\n"
      << "task 1: " << task.rounds << (task.rounds == 1 ? " round, " : " rounds, ");
  for (std::size_t i = 0; i < sites.size(); ++i) {
    out << (i == 0 ? "" : i + 1 == sites.size() ? " and " : ", ") << sites[i];
  }
  out << (sites.size() == 1 ? " trains" : " train at the same time") << "; " << task.training.steps << " steps of "
      << task.training.batch << " cells each\n";
  if (plan.AlignsLatents()) {
    out << "before each round every hospital sends the mean and covariance of its cells' latents as integers, "
        << LatentMomentsBytes(plan.model.latent) << " bytes; the others' latents are drawn to those of "
        << plan.strategy.source << ", with beta " << plan.strategy.beta << "\n";
  } else {
    out << "beta is 0: hospitals are not aligned, and no moments are sent\n";
  }
  DescribeAbsence(plan, out);
  out << "in all " << trainings << " local trainings with " << trainings * task.training.steps << " steps\n"
      << "each local training moves one model to the site and one update back; nobody scores the model, and every "
         "hospital keeps the last one";
}

// Strategies that train.
void DescribeTraining(const Plan& plan, std::ostream& out) {
  out << "strategy " << StrategyName(plan.strategy.kind);
  if (plan.strategy.gamma > 0) out << " with gamma " << plan.strategy.gamma;
  out << "; updates as " << UpdateEncodingName(plan.aggregation.encoding) << ", merged by "
      << AggregationRuleName(plan.aggregation.rule);
  if (plan.aggregation.server_momentum > 0) {
    out << " with server momentum " << static_cast<double>(plan.aggregation.server_momentum) / kMomentumOne;
  }
  out << "\n";
  std::uint64_t trainings = 0, steps = 0;
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    const TaskPlan& task = plan.tasks[t];
    const auto participants = plan.Participants(t);
    trainings += static_cast<std::uint64_t>(task.rounds) * participants.size();
    steps += static_cast<std::uint64_t>(task.rounds) * participants.size() * task.training.steps;
    out << "task " << t + 1 << ": " << task.rounds << (task.rounds == 1 ? " round, " : " rounds, ")
        << participants.front() << " learns " << NamesOf(plan, task.classes);
    for (std::size_t i = 1; i < participants.size(); ++i) {
      out << (i == 1 ? "; rehearsing: " : ", ") << participants[i];
    }
    if (task.rule != plan.aggregation.rule) out << "; merged by " << AggregationRuleName(task.rule);
    if (plan.KeepsExemplars()) out << "; then " << plan.ExemplarsPerList(t + 1) << " exemplars of each class are kept";
    out << "\n";
  }
  DescribeStrategy(out, plan);
  DescribeExchange(out, plan);
  if (plan.aggregation.max_rise_millionths > 0) {
    out << "a rehearsing site whose own distillation loss has risen by more than "
        << static_cast<double>(plan.aggregation.max_rise_millionths) / 1e6
        << " since the task's first round is refused until it falls\n";
  }
  if (plan.aggregation.max_retreat_millionths > 0) {
    out << "an update of a rehearsing site that would take back more than "
        << static_cast<double>(plan.aggregation.max_retreat_millionths) / 1e6
        << " of what the task has taught so far is refused\n";
  }
  if (plan.retention.pictures > 0) {
    out << "gate: after each round of a later task the earlier hospitals judge the merged model on "
        << plan.retention.pictures << " pictures each; a drop of agreement by more than "
        << static_cast<double>(plan.retention.max_drop_millionths) / 1e6 << " halves the step, at most "
        << plan.retention.halvings << " times\n";
  }
  DescribeDrift(plan, out);
  DescribeAbsence(plan, out);
  out << "in all " << trainings << " local trainings with " << steps << " steps\n"
      << "each local training moves " << (plan.KeepsSlowModel() ? "two models" : "one model")
      << " to the site and one update back";
}

}  // namespace

std::string PreviewPlan(const Plan& plan) {
  std::ostringstream out;
  out << "plan " << plan.name << ": " << plan.classes.size() << " classes, " << plan.tasks.size() << " tasks, "
      << plan.Sites().size() << " sites\n"
      << "model " << plan.model.architecture;
  if (!plan.model.normalisation.empty()) out << " (" << plan.model.normalisation << ")";
  out << " at " << plan.model.input_px << " x " << plan.model.input_px << " px, initial weights "
      << plan.model.weights.Hex().substr(0, 12) << "\n";
  if (const auto& detector = plan.model.detector) {
    out << "it learns from cells: each site fetches the frozen detector " << detector->Hex().substr(0, 12)
        << " once and finds them itself\n";
  }
  if (const auto& extractor = plan.model.extractor) {
    out << "the model sees latents: each site fetches the frozen detector " << extractor->detector.Hex().substr(0, 12)
        << " and autoencoder " << extractor->autoencoder.Hex().substr(0, 12) << " once and computes them itself\n";
  }
  if (plan.SolvesHead()) {
    DescribeDrift(plan, out);
    DescribeSums(plan, out);
  } else if (plan.TrainsAutoencoder()) {
    DescribeAutoencoder(plan, out);
    out << "\n";
    return out.str();
  } else {
    DescribeTraining(plan, out);
  }
  out << "; after each task every site scores the model on its own test pictures";
  for (std::size_t i = 0; i < plan.observers.size(); ++i) {
    out << (i == 0 ? "; scoring only: " : ", ") << plan.observers[i];
  }
  out << "\n";
  return out.str();
}

}  // namespace hemafed::coordinator
