// tests/learning/features/detection/waves.h
// SPDX-License-Identifier: Apache-2.0
//
// The made-up numbers of training_reference.py, so that its results and ours have the same inputs without a file.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace hemafed::learning::testing_support {

// float32 [count]: low .. high along a sine.
inline at::Tensor Wave(std::int64_t count, double step, double phase, double low, double high) {
  const at::Tensor i = at::arange(count, at::kDouble);
  return (low + (high - low) * (0.5 + 0.5 * at::sin(i * step + phase))).to(at::kFloat);
}

// float32 [count,4]: boxes in 100 x 80 pixels.
inline at::Tensor WaveBoxes(std::int64_t count, double phase) {
  const at::Tensor x0 = Wave(count, 0.7, phase, 0, 60), y0 = Wave(count, 1.3, phase + 1, 0, 50);
  return at::stack({x0, y0, x0 + Wave(count, 2.1, phase + 2, 5, 40), y0 + Wave(count, 0.9, phase + 3, 5, 30)}, 1);
}

}  // namespace hemafed::learning::testing_support
