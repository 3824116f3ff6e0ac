// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/job_context.h"

#include <string_view>
#include <utility>

#include "common/error.h"
#include "learning/models/model_file.h"
#include "site_agent/trainer/joined_pictures.h"

namespace hemafed::trainer {

learning::Classifier JobContext::LoadModel(const Digest& digest) const {
  learning::Classifier model = learning::LoadModel(files, object(digest));
  const std::string_view normalisation = learning::NormalisationName(model.normalisation());
  if (normalisation != plan.model.normalisation) {
    throw Error(ErrorCode::kInvalidInput, job.Name() + ": the model " + digest.Hex() + " has the normalisation " +
                                              std::string(normalisation) + ", the plan says " +
                                              plan.model.normalisation +
                                              "; the operator has to give a plan and weights that go together");
  }
  return model;
}

AnalyticHead JobContext::LoadHead() const {
  const Path path = object(job.model);
  const auto classes = static_cast<std::uint32_t>(plan.classes.size());
  const std::uint64_t bytes = AnalyticHeadBytes(plan.strategy.features, classes);
  AnalyticHead head =
      AnalyticHead::FromBytes(AsBytes(ReadFile(files, path, bytes)), plan.strategy.features, classes, path.string());
  if (head.trunk != plan.model.weights || job.trunk != head.trunk || head.seed != plan.seed) {
    throw Error(ErrorCode::kInvalidInput, path.string() + " is a head of another trunk or seed than the plan's");
  }
  return head;
}

void JobContext::RequireGoingOn() const {
  if (stop()) throw Error(ErrorCode::kInterrupted, "stopped in " + job.Name() + "; it is run again on the next start");
}

learning::ExemplarStore JobContext::EarlierExemplars() const {
  learning::ExemplarStore store = vault.Load(job.plan);
  learning::Reduce(store, plan.ExemplarsPerList(job.task), MixOf(plan));
  return store;
}

std::unique_ptr<learning::BatchSource> JobContext::TrainingSource() const {
  const learning::ExemplarStore exemplars = EarlierExemplars();
  if (plan.rehearsal.policy == RehearsalPolicy::kSealed) {
    ReceivedPictures received(files, folder.Vault(), job.plan);
    learning::ExemplarStore lists = received.Lists();
    learning::Reduce(lists, plan.ExemplarsPerList(job.task), MixOf(plan));
    return JoinPictures(pictures().domain(), pictures().TrainPositions(task().classes, exemplars), std::move(received),
                        lists, plan);
  }
  return job.rehearsing ? pictures().Rehearsal(exemplars) : pictures().Train(task().classes, exemplars);
}

learning::ExemplarMix MixOf(const Plan& plan) {
  return plan.strategy.kind == StrategyKind::kUacl ? learning::ExemplarMix::kBoth : learning::ExemplarMix::kHerding;
}

std::vector<std::uint64_t> CountsByClass(const learning::BatchSource& source, std::size_t classes) {
  std::vector<std::uint64_t> counts(classes);
  for (std::size_t i = 0; i < source.Size(); ++i) ++counts.at(static_cast<std::size_t>(source.Label(i)));
  return counts;
}

}  // namespace hemafed::trainer
