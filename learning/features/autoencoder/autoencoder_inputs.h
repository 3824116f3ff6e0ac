// learning/features/autoencoder/autoencoder_inputs.h
// SPDX-License-Identifier: Apache-2.0
//
// What the autoencoder is given and what it is to give back (published-systems, 3.2).
//
//     features   x' = 2 (x - min) / (max - min) - 1, minimum and maximum over all 50,176 values of one cell: [-1, 1]
//     picture    byte / 255, [N, 128, 128, 3] -> [N, 3, 128, 128], RGB
//
// Features that are all the same have no such form (the published code divides by 0 there). They are no cell: a crop
// outside the frame gives zeros. WhyNotUsable() says so, so that such a cell can be counted and left out; scaling them
// is refused.
//
// Errors: Error(kInvalidInput) with the place of the cell in the batch. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace hemafed::learning {

// Why one cell's raw features cannot be used: their number, a value that is not finite, all values the same, a range
// that float32 cannot hold. Nothing if they can.
[[nodiscard]] std::optional<std::string> WhyNotUsable(std::span<const float> features);

// Raw features [N, 256, 14, 14] -> scaled ones, new tensor.
[[nodiscard]] at::Tensor ScaleFeatures(const at::Tensor& features);

// uint8 [N, 128, 128, 3] -> float32 [N, 3, 128, 128] in [0, 1], channels-last in memory.
[[nodiscard]] at::Tensor PictureTargets(const at::Tensor& pictures);

}  // namespace hemafed::learning
