// studies/federation/beside.h
// SPDX-License-Identifier: Apache-2.0
//
// Sets methods that learned on one machine beside federated ones: reads the output folder of `hemafed-study uacl` and
// returns its methods as further rows of a comparison, so that figures and paired intervals speak of the same pictures.
//
// Taken are the experiments that learned the comparison's tasks in the same order. Their test pictures must be the same
// files with the same classes, in the same order; a task's test set that differs is an error, an unseen one is left
// blank.
//
// Errors: kNotFound, kInvalidInput naming what differs. Thread-safety: free function.
#pragma once

#include <vector>

#include "common/file_system.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

// Methods are called "central <method>"; if several experiments fit, "central <experiment> <method>".
[[nodiscard]] std::vector<MethodResults> MethodsBeside(FileSystem& files, const Path& folder,
                                                       const Comparison& comparison);

}  // namespace hemafed::studies
