// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/round_update.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "codec/reports.h"
#include "site_agent/trainer/residuals.h"

namespace hemafed::trainer {

QuantizedUpdate WriteRoundUpdate(const JobContext& context, const std::vector<learning::NamedTensor>& trained,
                                 const Path& base) {
  const Job& job = context.job;
  std::optional<Path> carried;
  if (job.carry_residual && job.round > 0) carried = ResidualFile(context.folder, job, job.round - 1);
  QuantizedUpdate update =
      WriteUpdate(context.files, trained, base, carried, ResidualFile(context.folder, job, job.round),
                  context.work / std::string(kUpdateFileName), {.encoding = context.plan.aggregation.encoding});
  // The residual before the carried one can never be asked for again.
  if (job.round > 1) context.files.Remove(ResidualFile(context.folder, job, job.round - 2));
  return update;
}

std::uint64_t LossMillionths(double value) {
  constexpr auto kMost = static_cast<double>(kMaxLossMillionths);
  return static_cast<std::uint64_t>(std::llround(std::min(kMost, std::max(0.0, value * 1e6))));
}

}  // namespace hemafed::trainer
