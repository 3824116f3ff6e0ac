// SPDX-License-Identifier: Apache-2.0
#include "coordinator/preview.h"

#include <sstream>

namespace hemafed::coordinator {

std::string PreviewPlan(const Plan& plan) {
  std::ostringstream out;
  out << "plan " << plan.name << ": " << plan.classes.size() << " classes, " << plan.tasks.size() << " tasks, "
      << plan.Sites().size() << " hospitals\n"
      << "model " << plan.model.architecture << " (" << plan.model.normalisation << ") at " << plan.model.input_px
      << " x " << plan.model.input_px << " px, initial weights " << plan.model.weights.Hex().substr(0, 12) << "\n";
  std::uint64_t trainings = 0;
  for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
    const auto participants = plan.Participants(task);
    trainings += static_cast<std::uint64_t>(plan.tasks[task].rounds) * participants.size();
    out << "task " << task + 1 << ": " << plan.tasks[task].rounds << " rounds, " << participants.front()
        << " learns from its pictures";
    for (std::size_t i = 1; i < participants.size(); ++i) {
      out << (i == 1 ? "; rehearsing: " : ", ") << participants[i];
    }
    out << "\n";
  }
  out << "in all " << trainings << " local trainings of " << plan.training.steps << " steps of " << plan.training.batch
      << " pictures\n"
      << "each local training moves one model to the site and one update back; after each task every hospital scores "
         "the "
         "model on its own test pictures\n";
  return out.str();
}

}  // namespace hemafed::coordinator
