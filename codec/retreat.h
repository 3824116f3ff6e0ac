// codec/retreat.h
// SPDX-License-Identifier: Apache-2.0
//
// How much of the way that a task's model has come an update would take back. A site that trained another base than the
// round's, such as the model that the task began with, sends what it learned plus the way back there:
//
//     d = round_half_even((now - first) 2^grid_bits)       now: the round's base, first: the task's; per value
//     retreat = -sum q d / sum d^2                         q: the update's integers
//
// About 1 for the task's first model, whatever was learned on top, as that hardly points along d; -1 goes as far again.
// Decided exactly, in integers, so that coordinator and auditor agree. d is held at the ends of int32.
//
// A way that is short beside the update tells nothing: honest rehearsal always points back a little, and a step that a
// gate has halved four times is soon taken back whole. Below a quarter of the update's length nothing is exceeded;
// what such an update can take back is little, and its norm is bounded anyway.
//
// Errors: kInvalidInput for models that have not the layout's tensors, kCorrupt for integers that end early; otherwise
// those of FileSystem. Thread-safety: free functions.
#pragma once

#include <cstdint>

#include "codec/exact.h"
#include "codec/update.h"
#include "common/file_system.h"
#include "common/safetensors.h"

namespace hemafed {

struct Retreat {
  Int128 back = 0;     // -sum q d
  UInt128 way = 0;     // sum d^2
  UInt128 update = 0;  // sum q^2

  // Whether back / way is above `millionths` / 10^6, at most 1: never where the way is too short to tell. Of fewer than
  // 2^31 values all products stay below 2^114.
  [[nodiscard]] bool Exceeds(std::uint64_t millionths) const;
  // For people; 0 where there is no way.
  [[nodiscard]] double Share() const;
};

// `raw`: the update's integers in canonical form.
[[nodiscard]] Retreat RetreatOf(const ReadableFile& raw, const UpdateLayout& layout, const SafetensorsReader& now,
                                const SafetensorsReader& first);

}  // namespace hemafed
