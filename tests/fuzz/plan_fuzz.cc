// SPDX-License-Identifier: Apache-2.0
//
// Any text as a plan: either refused with kInvalidInput, or a plan whose parts keep the limits that others rely on.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/plan.h"
#include "codec/projection.h"
#include "common/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const hemafed::Plan plan = hemafed::ParsePlan(text, "plan");
    if (size > hemafed::kMaxPlanBytes) std::abort();
    if (plan.classes.empty() || plan.classes.size() > hemafed::kMaxClasses) std::abort();
    if (plan.tasks.empty() || plan.tasks.size() > hemafed::kMaxTasks) std::abort();
    for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
      if (!hemafed::IsPlainName(plan.tasks[task].site)) std::abort();
      if (plan.tasks[task].rounds < 1 || plan.tasks[task].rounds > hemafed::kMaxRounds) std::abort();
      if (plan.tasks[task].classes.empty() || plan.tasks[task].classes.back() >= plan.classes.size()) std::abort();
      if (plan.SolvesHead() && (plan.strategy.features < 1 || plan.strategy.features > hemafed::kMaxRandomFeatures)) {
        std::abort();
      }
      if (plan.KeepsExemplars() && plan.ExemplarsPerList(task + 1) < 2) std::abort();
      if (plan.Participants(task).empty() || plan.Participants(task).front() != plan.tasks[task].site) std::abort();
    }
    const std::size_t columns = plan.TrainsAutoencoder() ? 0 : plan.tasks.size() + plan.observers.size();
    if (plan.Columns().size() != columns || plan.Sites().size() > hemafed::kMaxSites) std::abort();
    if (plan.TrainsAutoencoder() && (plan.tasks.size() != 1 || !plan.model.detector || plan.model.latent < 5)) {
      std::abort();
    }
    for (const hemafed::Column& column : plan.Columns()) {
      if (column.pool >= plan.PoolsOf(column.site).size()) std::abort();
    }
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
  return 0;
}
