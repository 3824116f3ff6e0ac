// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "codec/fisher.h"
#include "codec/reports.h"
#include "common/error.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "learning/continual/fisher_information.h"
#include "site_agent/trainer/jobs.h"

namespace hemafed::trainer {

using nlohmann::json;

json RunFisherJob(const JobContext& context) {
  const Job& job = context.job;
  const Plan& plan = context.plan;
  if (!plan.MeasuresFisher(job.task)) {
    throw Error(ErrorCode::kRefused, job.Name() + ": the plan does not need Fisher information");
  }
  const auto source = context.pictures().Train(context.task().classes);
  const Path file = context.object(job.model);
  const learning::Classifier model = context.LoadModel(job.model);
  FisherReport report;
  report.pictures = std::min<std::uint64_t>(source->Size(), plan.strategy.fisher_pictures);
  const std::string phase = "measuring Fisher information";
  context.progress(phase, 0, report.pictures, 0);
  const std::vector<at::Tensor> fisher =
      learning::FisherDiagonal(model, *source, plan.strategy.fisher_pictures,
                               DeriveSeed(plan.seed, "fisher of task " + std::to_string(job.task) + " at " + job.site),
                               [&](std::uint64_t done, std::uint64_t all) {
                                 context.RequireGoingOn();
                                 context.progress(phase, done, all, done);
                               });
  std::map<std::string, at::Tensor> by_name;
  for (std::size_t i = 0; i < fisher.size(); ++i) {
    if (fisher[i].defined()) by_name.emplace(model.tensors()[i].name, fisher[i].contiguous());
  }

  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(context.files, file));
  UpdateWriter writer(context.files, context.work / std::string(kFisherFileName), layout);
  for (const TensorSpec& tensor : layout.tensors) {
    std::vector<std::int32_t> roots(tensor.ValueCount());
    const auto found = by_name.find(tensor.name);
    if (found == by_name.end() || static_cast<std::size_t>(found->second.numel()) != roots.size()) {
      throw Error(ErrorCode::kInternal, "no Fisher information was measured of tensor " + tensor.name);
    }
    QuantizeFisher(tensor.name, {found->second.const_data_ptr<float>(), roots.size()}, roots);
    writer.Append(roots);
  }
  const UpdateFileInfo written = writer.Finish();
  report.values = written.values;
  report.layout = layout.Hash();
  report.file = written.file;
  report.file_bytes = written.file_bytes;
  return report.ToJson();
}

}  // namespace hemafed::trainer
