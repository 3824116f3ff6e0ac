// learning/continual/head_rows.h
// SPDX-License-Identifier: Apache-2.0
//
// A classifier with more head rows, by the formula of codec/head_growth.h: old rows and biases are copied bit for bit,
// new rows follow from (seed, task, row), new biases are 0. Any other tensor is copied too.
//
// Errors: Error(kInvalidInput) for fewer rows than there are, or more than kMaxHeadClasses.
// Thread-safety: free functions.
#pragma once

#include <cstdint>

#include "learning/models/classifier.h"

namespace hemafed::learning {

[[nodiscard]] Classifier WithHeadRows(const Classifier& model, std::int64_t classes, std::uint64_t seed,
                                      std::uint32_t task);

// Copies every value of `from` into `to`, which has the same architecture and classes; the tensors stay where they are.
void CopyValues(const Classifier& from, Classifier& to);

}  // namespace hemafed::learning
