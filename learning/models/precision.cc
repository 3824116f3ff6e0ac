// SPDX-License-Identifier: Apache-2.0
#include "learning/models/precision.h"

#include <ATen/autocast_mode.h>

#include <string>

#include "common/error.h"

namespace hemafed::learning {

std::string_view PrecisionName(Precision precision) {
  return precision == Precision::kFloat32 ? "float32" : "bfloat16";
}

Precision PrecisionFromName(std::string_view name) {
  for (const auto candidate : {Precision::kFloat32, Precision::kBfloat16}) {
    if (name == PrecisionName(candidate)) return candidate;
  }
  throw Error(ErrorCode::kInvalidInput,
              "unknown precision '" + std::string(name.substr(0, 64)) + "'; known are float32 and bfloat16");
}

PrecisionScope::PrecisionScope(Precision precision, c10::DeviceType device)
    : device_(device), reducible_(at::autocast::is_autocast_available(device)) {
  if (!reducible_) {
    if (precision == Precision::kFloat32) return;
    throw Error(ErrorCode::kInvalidInput, "LibTorch cannot compute with bfloat16 on this kind of device");
  }
  enabled_before_ = at::autocast::is_autocast_enabled(device);
  cache_before_ = at::autocast::is_autocast_cache_enabled();
  type_before_ = at::autocast::get_autocast_dtype(device);
  at::autocast::set_autocast_enabled(device, precision == Precision::kBfloat16);
  if (precision == Precision::kBfloat16) at::autocast::set_autocast_dtype(device, at::kBFloat16);
  // Autocast can keep rounded weights for a second use; a trunk uses each one once, and they change with every step.
  at::autocast::set_autocast_cache_enabled(false);
}

PrecisionScope::~PrecisionScope() {
  if (!reducible_) return;
  at::autocast::set_autocast_cache_enabled(cache_before_);
  at::autocast::set_autocast_dtype(device_, type_before_);
  at::autocast::set_autocast_enabled(device_, enabled_before_);
}

}  // namespace hemafed::learning
