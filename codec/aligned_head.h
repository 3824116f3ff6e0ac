// codec/aligned_head.h
// SPDX-License-Identifier: Apache-2.0
//
// Weight alignment (Zhao et al., "Maintaining Discrimination and Fairness in Class Incremental Learning", CVPR 2020)
// on a model file: after a task that brought classes its rows of the head are made as long as the old ones are,
//
//     w_new *= mean over old rows of |w| / mean over new rows of |w|
//
// Biases stay. Lengths are sums of squares in double in the order of the columns, without fused operations; each new
// weight is multiplied in double and rounded to the grid of updates, half to even, and then to float32. Coordinator and
// auditor get the same bytes on every machine.
//
// Errors: those of head_file.h; kInvalidInput if there is no old or no new row. Thread-safety: free function.
#pragma once

#include <cstdint>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed {

// Copies the model `in` to `out` with its rows from `old_classes` on aligned; as they are if a mean length is 0.
// Returns the SHA-256 of `out`, which is synced.
[[nodiscard]] Digest AlignHead(FileSystem& files, const Path& in, const Path& out, std::size_t old_classes);

}  // namespace hemafed
