// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "codec/reports.h"
#include "common/random.h"
#include "learning/continual/select_exemplars.h"
#include "site_agent/trainer/jobs.h"

namespace hemafed::trainer {

using nlohmann::json;

json RunSelectionJob(const JobContext& context) {
  const Job& job = context.job;
  const Plan& plan = context.plan;
  const ClassSet& labels = context.task().classes;
  const auto source = context.pictures().Train(labels);
  const learning::Classifier model = context.LoadModel(job.model);
  context.progress("choosing exemplars", 0, source->Size(), 0);
  const std::uint32_t room = plan.ExemplarsPerList(job.task + 1);
  const learning::SelectionSettings selection{.uncertainty = {.passes = plan.rehearsal.passes,
                                                              .dropout = plan.model.dropout,
                                                              .seed = DeriveSeed(plan.seed, "exemplars of " + job.site),
                                                              .batch = kInferenceBatch},
                                              .herding = plan.rehearsal.normalised_herding
                                                             ? learning::HerdingVariant::kNormalised
                                                             : learning::HerdingVariant::kRaw,
                                              .mix = MixOf(plan)};

  learning::ExemplarStore store = context.vault.Load(job.plan);
  // The same job run again replaces what it chose before.
  std::erase_if(store.lists, [&](const learning::ExemplarList& list) {
    return list.domain == job.site && std::binary_search(labels.begin(), labels.end(), list.label);
  });
  learning::Reduce(store, room, selection.mix);
  for (learning::ExemplarList& list :
       SelectExemplars(model, *source, job.site, context.settings.site, labels, room, selection)) {
    if (!list.herding.empty() || !list.uncertainty.empty()) AddList(store, std::move(list));
  }
  context.vault.Save(job.plan, store);

  std::vector<std::uint64_t> counts(plan.classes.size());
  for (const learning::ExemplarList& list : store.lists) {
    counts.at(list.label) += list.herding.size() + list.uncertainty.size();
  }
  return ExemplarReport{.kept = StoredCount(store),
                        .classes = WithholdSmall(counts, plan.min_pictures),
                        .list = Sha256Of(ExemplarStoreToJson(store))}
      .ToJson();
}

}  // namespace hemafed::trainer
