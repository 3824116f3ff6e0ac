// learning/models/resnet_trunk.h
// SPDX-License-Identifier: Apache-2.0
//
// The trunk of a residual network: stem, four stages, global average (resnet_plan.h). Dropout's place is between the
// second and the third stage.
//
// Shapes for pictures [N, 3, H, W], with h = ceil(ceil(H / 2) / 2) and w likewise: Stem [N, 64, h, w]; Stage s (from 0)
// [N, c, ceil(h / 2^s), ceil(w / 2^s)] with c of StageChannels(s). 360 x 363 pixels give 90 x 91, and in the end 12
// x 12.
//
// Thread-safety: as Trunk.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "learning/models/resnet_plan.h"
#include "learning/models/trunk.h"

namespace hemafed::learning {

class ResNetTrunk final : public Trunk {
 public:
  ResNetTrunk(Architecture architecture, Normalisation normalisation, const TensorsByName& tensors);

  [[nodiscard]] at::Tensor Before(const at::Tensor& pictures, Phase phase) const override;
  [[nodiscard]] at::Tensor After(const at::Tensor& activations, Phase phase) const override;

  // Up to and with the max-pool.
  [[nodiscard]] at::Tensor Stem(const at::Tensor& pictures, Phase phase) const;
  // torchvision's layer1 is stage 0.
  [[nodiscard]] at::Tensor Stage(std::size_t stage, const at::Tensor& x, Phase phase) const;

 private:
  struct Block {
    std::vector<NormalisedConvolution> branch;
    std::optional<NormalisedConvolution> shortcut;
  };

  NormalisedConvolution stem_;
  std::array<std::vector<Block>, kResNetStages> stages_;
};

}  // namespace hemafed::learning
