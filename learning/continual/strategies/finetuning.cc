// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/finetuning.h"

#include "learning/continual/uacl_loss.h"

namespace hemafed::learning {

LossTerms Finetuning::Loss(const StepInput& input) {
  return Only(CrossEntropy(input.forward(input.batch.images, 0), input.batch.labels));
}

}  // namespace hemafed::learning
