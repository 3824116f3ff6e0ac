// learning/features/detection/detector_source.h
// SPDX-License-Identifier: Apache-2.0
//
// What a detector is trained on: pictures with their cells, by place, the same every time for the same (place, epoch).
//
// Thread-safety: const functions may run concurrently.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace hemafed::learning {

struct TrainingPicture {
  at::Tensor picture;  // float32 [3,H,W], RGB, 0..255
  at::Tensor boxes;    // float32 [M,4], pixels of the picture; M may be 0: a picture of background
  at::Tensor labels;   // int64 [M], 1..C-1
  at::Tensor masks;    // float32 [M,H,W], 0 or 1; undefined where only boxes are known: all but the mask head learns
};

class DetectorSource {
 public:
  virtual ~DetectorSource() = default;

  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual bool HasMasks(std::size_t place) const = 0;
  // `epoch` lets a source augment differently each time; it draws from (place, epoch) alone.
  [[nodiscard]] virtual TrainingPicture Get(std::size_t place, std::uint64_t epoch) const = 0;
  // Everything that decides what Get returns, in one line: a checkpoint of another source is refused.
  [[nodiscard]] virtual std::string Description() const = 0;
};

}  // namespace hemafed::learning
