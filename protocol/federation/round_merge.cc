// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/round_merge.h"

#include <utility>
#include <vector>

namespace hemafed {

Merge MergeOfRound(const FederationState& state, const std::function<Path(const Digest&)>& values,
                   const std::optional<Path>& previous_step) {
  const AggregationPlan& plan = state.plan().aggregation;
  Merge merge;
  merge.rule = MergeRuleOf(state.task_plan().rule);
  std::vector<std::uint32_t> by_pictures;
  std::vector<std::uint64_t> pictures;
  std::vector<std::vector<std::uint64_t>> sensitivities;
  for (const auto& [site, weight] : state.RoundWeights()) {
    const UpdateReport& report = state.updates().at(site);
    if (site == state.participants().front()) merge.active = merge.updates.size();
    merge.updates.push_back(values(report.values));
    by_pictures.push_back(weight);
    pictures.push_back(report.pictures);
    if (report.probe) sensitivities.push_back(report.probe->sensitivity);
  }
  const bool by_sensitivity = state.task_plan().rule == AggregationRule::kDistillation && !sensitivities.empty();
  merge.weights = by_sensitivity ? DistillationWeights(pictures, sensitivities, plan.max_share)
                                 : MergeWeights{.rows = {std::move(by_pictures)}};
  if (merge.updates.size() == 1) {
    merge.rule = MergeRule::kMean;
  } else if (merge.rule == MergeRule::kTrimmedMean) {
    merge.trim = plan.trim;
  }
  merge.momentum = plan.server_momentum;
  if (merge.momentum > 0) merge.previous_step = previous_step;
  return merge;
}

}  // namespace hemafed
