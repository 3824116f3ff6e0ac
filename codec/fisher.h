// codec/fisher.h
// SPDX-License-Identifier: Apache-2.0
//
// The diagonal Fisher information of a task (strategy ewc, design 4.2) as integers. What travels is its root, on the
// grid of updates (codec/update.h) and in their file format, one integer for each trained value of the model:
//
//     q = round_half_even(sqrt(F) 2^22),        F = (q 2^-22)^2
//
// The root halves the range of exponents: an F of 5.7e-14, the square of one unit, is the least that is kept, and
// 262,144, the square of 512, is the bound of int32, which larger ones become: a weight is held no better by more. F
// itself would need 2^-44 for the same.
//
// Errors: Error(kInvalidInput) naming tensor and index. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "codec/update.h"
#include "common/file_system.h"

namespace hemafed {

// One whole tensor; both spans have the same length. An F that is negative or not finite is an error.
void QuantizeFisher(std::string_view tensor, std::span<const float> fisher, std::span<std::int32_t> out);

// F of the integers, in float32.
void FisherOf(std::span<const std::int32_t> integers, std::span<float> fisher);

// Why these integers, in canonical form and of the layout's length, are no roots: the first negative one, by tensor;
// nothing if they are.
[[nodiscard]] std::optional<std::string> WhyNoFisher(const ReadableFile& raw, const UpdateLayout& layout);

}  // namespace hemafed
