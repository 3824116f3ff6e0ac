// SPDX-License-Identifier: Apache-2.0
#include "coordinator/preview.h"

#include <sstream>

namespace hemafed::coordinator {

namespace {

std::string NamesOf(const Plan& plan, const ClassSet& classes) {
  if (classes.size() == plan.classes.size()) return "all classes";
  std::string names;
  for (const std::uint32_t label : classes) names += (names.empty() ? "" : ", ") + plan.classes[label];
  return names;
}

}  // namespace

std::string PreviewPlan(const Plan& plan) {
  std::ostringstream out;
  out << "plan " << plan.name << ": " << plan.classes.size() << " classes, " << plan.tasks.size() << " tasks, "
      << plan.Sites().size() << " sites\n"
      << "model " << plan.model.architecture << " (" << plan.model.normalisation << ") at " << plan.model.input_px
      << " x " << plan.model.input_px << " px, initial weights " << plan.model.weights.Hex().substr(0, 12) << "\n";
  std::uint64_t trainings = 0, steps = 0;
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    const TaskPlan& task = plan.tasks[t];
    const auto participants = plan.Participants(t);
    trainings += static_cast<std::uint64_t>(task.rounds) * participants.size();
    steps += static_cast<std::uint64_t>(task.rounds) * participants.size() * task.training.steps;
    out << "task " << t + 1 << ": " << task.rounds << " rounds, " << participants.front() << " learns "
        << NamesOf(plan, task.classes);
    for (std::size_t i = 1; i < participants.size(); ++i) {
      out << (i == 1 ? "; rehearsing: " : ", ") << participants[i];
    }
    if (plan.KeepsExemplars()) out << "; then " << plan.ExemplarsPerList(t + 1) << " exemplars of each class are kept";
    out << "\n";
  }
  out << "in all " << trainings << " local trainings with " << steps << " steps\n"
      << "each local training moves one model to the site and one update back; after each task every site scores the "
         "model on its own test pictures";
  for (std::size_t i = 0; i < plan.observers.size(); ++i) {
    out << (i == 0 ? "; scoring only: " : ", ") << plan.observers[i];
  }
  out << "\n";
  return out.str();
}

}  // namespace hemafed::coordinator
