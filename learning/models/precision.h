// learning/models/precision.h
// SPDX-License-Identifier: Apache-2.0
//
// How precisely a model's trunk computes. Weights, gradients, running statistics, features and the head are float32
// always; with bfloat16, LibTorch's autocast rounds the inputs of convolutions to bfloat16 (8 bits of mantissa, the
// exponents of float32, so no loss scaling), which halves memory traffic and uses the processor's or device's matrix
// units where it has them. Not for runs whose bits are compared with those of another machine.
//
// Thread-safety: free functions; a PrecisionScope acts on the thread that made it and belongs on its stack.
#pragma once

#include <c10/core/DeviceType.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

namespace hemafed::learning {

enum class Precision : std::uint8_t { kFloat32, kBfloat16 };

[[nodiscard]] std::string_view PrecisionName(Precision precision);  // "float32", "bfloat16"
// Throws Error(kInvalidInput) that lists the known names.
[[nodiscard]] Precision PrecisionFromName(std::string_view name);

// While it lives, this thread computes on `device` with the given precision, whatever was set before; afterwards as
// before. Backward passes need no scope: they follow what their forward pass did. Throws Error(kInvalidInput) for
// bfloat16 on a device that LibTorch cannot reduce precision on.
class PrecisionScope {
 public:
  PrecisionScope(Precision precision, c10::DeviceType device);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  c10::DeviceType device_;
  bool reducible_;  // The device knows reduced precision at all; there is nothing to set where it does not.
  bool enabled_before_ = false;
  bool cache_before_ = false;
  c10::ScalarType type_before_ = c10::ScalarType::Undefined;
};

}  // namespace hemafed::learning
