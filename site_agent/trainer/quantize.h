// site_agent/trainer/quantize.h
// SPDX-License-Identifier: Apache-2.0
//
// Turns a locally trained model into the integers that leave the trainer, with the rounding residual that stays
// (codec/update.h). No floating-point update is ever written where the agent can read it.
//
// Errors: kInvalidInput naming the tensor (not finite, out of range), those of FileSystem. Thread-safety: free
// function.
#pragma once

#include <optional>
#include <vector>

#include "codec/update.h"
#include "common/file_system.h"
#include "learning/models/classifier.h"

namespace hemafed::trainer {

struct QuantizedUpdate {
  UpdateFileInfo file;
  Digest layout;
  Digest residual;  // Of the new residual file.
};

// `trained`: the model's tensors. `base` is the round's base model file, `residual_in` the previous round's residual if
// it is carried on; the new one is written to `residual_out`.
[[nodiscard]] QuantizedUpdate WriteUpdate(FileSystem& files, const std::vector<learning::NamedTensor>& trained,
                                          const Path& base, const std::optional<Path>& residual_in,
                                          const Path& residual_out, const Path& update_out, const UpdateFormat& format);

}  // namespace hemafed::trainer
