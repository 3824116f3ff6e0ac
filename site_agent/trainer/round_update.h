// site_agent/trainer/round_update.h
// SPDX-License-Identifier: Apache-2.0
//
// What every training job leaves, whatever it trained: the update as integers (quantize.h) in the result's folder, and
// what rounding left over in the trainer's own, for the next round (residuals.h).
//
// Errors: those of WriteUpdate. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/models/classifier.h"
#include "site_agent/trainer/job_context.h"
#include "site_agent/trainer/quantize.h"

namespace hemafed::trainer {

// `trained`: the model's tensors after the round; `base`: the file that it began from.
[[nodiscard]] QuantizedUpdate WriteRoundUpdate(const JobContext& context,
                                               const std::vector<learning::NamedTensor>& trained, const Path& base);

// A loss as a report says it; more than it can say is its most.
[[nodiscard]] std::uint64_t LossMillionths(double value);

}  // namespace hemafed::trainer
