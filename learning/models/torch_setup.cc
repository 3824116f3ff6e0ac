// SPDX-License-Identifier: Apache-2.0
#include "learning/models/torch_setup.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <string>

#include "common/error.h"

namespace hemafed::learning {

void ConfigureTorch(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    throw Error(ErrorCode::kInvalidInput,
                "threads = " + std::to_string(threads) + " is outside 1 to " + std::to_string(kMaxThreads));
  }
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Otherwise every new tensor is filled with NaN first, at the cost of a pass over memory: a help for debugging only.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace hemafed::learning
