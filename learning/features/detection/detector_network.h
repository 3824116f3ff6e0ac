// learning/features/detection/detector_network.h
// SPDX-License-Identifier: Apache-2.0
//
// The layers of Mask R-CNN in both forms: body, feature pyramid and three heads, without any rule about boxes.
//
//     C2..C5 = body(frames)
//     M5 = inner3(C5);  Ml = inner(Cl) + nearest(M(l+1));  Pl = layer(Ml);  P6 = every second place of P5
//     RPN on each level: 3x3 ReLU, then 1x1 for scores and 1x1 for deltas
//     box head: crop [R, c, 7, 7] flattened -> fc6 ReLU -> fc7 ReLU -> classes, deltas
//     mask head: crop [R, c, 14, 14] -> four 3x3 ReLU -> 2x2 transposed, stride 2, ReLU -> 1x1
//
// The published form has a batch norm before each ReLU of the two heads, and its max-pool has 'same' padding.
//
// Shapes as in detector.h. Thread-safety: immutable; concurrent passes are allowed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "learning/features/detection/body_plan.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/frozen_convolution.h"

namespace hemafed::learning {

class DetectorNetwork {
 public:
  // Shares the tensors of DetectorTensors(settings). Throws std::out_of_range where one is missing.
  DetectorNetwork(const DetectorSettings& settings, const TensorsByName& tensors);

  // C2..C5.
  [[nodiscard]] std::vector<at::Tensor> Body(const at::Tensor& frames) const;
  // P2..P6.
  [[nodiscard]] std::vector<at::Tensor> Pyramid(const std::vector<at::Tensor>& body) const;
  [[nodiscard]] RpnOutput Rpn(const std::vector<at::Tensor>& pyramid) const;
  // Crops [R, c, 7, 7].
  [[nodiscard]] BoxHeadOutput BoxHead(const at::Tensor& crops) const;
  // Crops [R, c, 14, 14].
  [[nodiscard]] at::Tensor MaskLogits(const at::Tensor& crops) const;

 private:
  struct Block {
    std::size_t stage;
    std::vector<FrozenConvolution> branch;
    std::optional<FrozenConvolution> shortcut;
    bool adds;
  };
  struct Linear {
    at::Tensor weight, bias;
    FrozenBatchNorm norm;  // gamma undefined without
  };

  [[nodiscard]] FrozenConvolution BodyLayer(const TensorsByName& tensors, const BodyConvolution& plan,
                                            Activation activation) const;
  [[nodiscard]] Linear MakeLinear(const TensorsByName& tensors, const std::string& name, const std::string& norm) const;
  [[nodiscard]] at::Tensor Apply(const Linear& layer, const at::Tensor& x) const;
  [[nodiscard]] at::Tensor Apply(const Block& block, const at::Tensor& x) const;

  DetectorForm form_;
  std::int64_t classes_;
  double epsilon_;
  std::size_t first_rpn_level_;
  bool residual_;
  std::vector<FrozenConvolution> stem_;  // one
  std::vector<Block> blocks_;
  std::vector<FrozenConvolution> inner_, layer_;  // C2..C5
  std::vector<FrozenConvolution> rpn_;            // shared, scores, deltas
  Linear fc6_, fc7_, scores_, boxes_;
  std::vector<FrozenConvolution> mask_;
  at::Tensor deconvolution_weight_, deconvolution_bias_;
  std::vector<FrozenConvolution> mask_logits_;  // one
};

}  // namespace hemafed::learning
