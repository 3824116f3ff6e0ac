// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/icarl.h"

#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

LossTerms Icarl::Loss(const StepInput& input) {
  const UaclLoss loss = ComputeUaclLoss(input.forward(input.batch.images, 0), input.batch.labels,
                                        FrozenLogits(input.context.teacher, input.batch.images), gamma_);
  return {loss.total, loss.cross_entropy, loss.distillation};
}

}  // namespace hemafed::learning
