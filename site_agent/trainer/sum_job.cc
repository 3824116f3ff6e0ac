// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "codec/feature_sums.h"
#include "codec/reports.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/rounded_features.h"

namespace hemafed::trainer {

using nlohmann::json;

json RunSumJob(const JobContext& context) {
  const Plan& plan = context.plan;
  const auto source = context.TrainingSource();
  // A class of too few pictures is left out before anything is summed: G would have it too (docs/feature_sums.md).
  SumsReport report;
  report.classes = WithholdSmall(CountsByClass(*source, plan.classes.size()), plan.min_pictures);
  std::vector<std::uint32_t> summed;
  for (std::uint32_t i = 0; i < source->Size(); ++i) {
    if (report.classes.at(static_cast<std::size_t>(source->Label(i)))) summed.push_back(i);
  }
  report.pictures = summed.size();

  const learning::Classifier trunk = context.LoadModel(context.job.model);
  const RoundedFeatures features(trunk, plan.seed, plan.strategy.features);
  FeatureSumsBuilder builder(plan.strategy.features, static_cast<std::uint32_t>(plan.classes.size()));
  const std::string phase = "summing features";
  context.progress(phase, 0, summed.size(), 0);
  for (std::size_t first = 0; first < summed.size(); first += kInferenceBatch) {
    context.RequireGoingOn();
    const auto batch = std::span<const std::uint32_t>(summed).subspan(
        first, std::min<std::size_t>(kInferenceBatch, summed.size() - first));
    const RoundedFeatures::Batch rounded = features.Of(source->Get(batch, std::nullopt).images);
    report.clamped += rounded.clamped;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      builder.Add(std::span(rounded.values).subspan(i * features.count(), features.count()),
                  static_cast<std::uint32_t>(source->Label(batch[i])));
    }
    context.progress(phase, first + batch.size(), summed.size(), first + batch.size());
  }

  const FeatureSumsFileInfo file =
      WriteFeatureSums(context.files, context.work / std::string(kSumsFileName), builder.Finish());
  report.sums = file.sums;
  report.file = file.file;
  report.file_bytes = file.file_bytes;
  return report.ToJson();
}

}  // namespace hemafed::trainer
