// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/ewc.h"

#include "common/random.h"
#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

LossTerms Ewc::Loss(const StepInput& input) {
  const at::Tensor cross_entropy = CrossEntropy(input.forward(input.batch.images, 0), input.batch.labels);
  if (held_.empty()) return Only(cross_entropy);
  return HeldTerms(cross_entropy, Penalty(*input.context.model), settings_.ewc_lambda, settings_.ewc_importance);
}

void Ewc::AfterTask(const TaskContext& context) {
  const std::vector<at::Tensor> fisher = FisherDiagonal(*context.model, *context.pictures, settings_.ewc_pictures,
                                                        DeriveSeed(context.seed, "fisher"), context.on_pictures);
  if (settings_.ewc_anchors == EwcAnchors::kLast) held_.Clear();
  held_.Hold(*context.model, fisher);
}

StrategyState Ewc::State() const { return {.tensors = held_.State(), .text = {}}; }

void Ewc::SetState(const StrategyState& state, const Classifier& initial) { held_.SetState(state.tensors, initial); }

}  // namespace hemafed::learning
