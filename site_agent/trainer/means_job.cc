// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/exact.h"
#include "codec/prototype_head.h"
#include "codec/reports.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "learning/continual/nearest_mean.h"
#include "site_agent/trainer/jobs.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

// What this site keeps of its own pictures once the job's task has chosen its exemplars.
learning::ExemplarStore OwnExemplars(const JobContext& context) {
  learning::ExemplarStore store = context.vault.Load(context.job.plan);
  std::erase_if(store.lists, [&](const learning::ExemplarList& list) { return list.domain != context.job.site; });
  learning::Reduce(store, context.plan.ExemplarsPerList(context.job.task + 1), MixOf(context.plan));
  return store;
}

}  // namespace

json RunMeansJob(const JobContext& context) {
  const Plan& plan = context.plan;
  if (!plan.CollectsMeans()) {
    throw Error(ErrorCode::kRefused, context.job.Name() + ": the plan does not collect class means");
  }
  const auto source = context.pictures().Rehearsal(OwnExemplars(context));
  const std::vector<std::uint64_t> counts = CountsByClass(*source, plan.classes.size());
  const Path file = context.object(context.job.model);
  const learning::Classifier model = context.LoadModel(context.job.model);
  const UpdateLayout layout = MeansLayout(LayoutOfModel(SafetensorsReader::Open(context.files, file)));
  const auto width = static_cast<std::size_t>(model.feature_width());

  const at::NoGradGuard no_gradients;
  std::vector<double> sums(counts.size() * width);
  const std::string phase = "measuring class means";
  context.progress(phase, 0, source->Size(), 0);
  for (std::size_t first = 0; first < source->Size(); first += kInferenceBatch) {
    context.RequireGoingOn();
    std::vector<std::uint32_t> indices(std::min<std::size_t>(kInferenceBatch, source->Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const at::Tensor features =
        learning::LengthOne(model.Features(source->Get(indices, std::nullopt).images).to(at::kDouble)).contiguous();
    const auto* row = features.const_data_ptr<double>();
    for (const std::uint32_t index : indices) {
      double* const sum = &sums[static_cast<std::size_t>(source->Label(index)) * width];
      for (std::size_t column = 0; column < width; ++column) sum[column] += *row++;
    }
    context.progress(phase, first + indices.size(), source->Size(), first + indices.size());
  }

  MeansReport report;
  report.classes = WithholdSmall(counts, plan.min_pictures);
  UpdateWriter writer(context.files, context.work / std::string(kMeansFileName), layout);
  for (std::size_t label = 0; label < static_cast<std::size_t>(model.classes()); ++label) {
    std::vector<std::int32_t> mean(width);
    if (report.classes.at(label)) {
      for (std::size_t column = 0; column < width; ++column) {
        const double value = sums[label * width + column] / static_cast<double>(counts[label]);
        mean[column] = static_cast<std::int32_t>(RoundHalfEven(std::ldexp(value, kGridBits)));
      }
    }
    writer.Append(mean);
  }
  const UpdateFileInfo written = writer.Finish();
  report.values = written.values;
  report.file = written.file;
  report.file_bytes = written.file_bytes;
  return report.ToJson();
}

}  // namespace hemafed::trainer
