// learning/features/detection/body_plan.h
// SPDX-License-Identifier: Apache-2.0
//
// The body of a detector as a list of convolutions, and every tensor of a detector by name and shape: the one
// description from which networks are built, files are checked and first weights are made. No LibTorch here.
//
// Tensor names are torchvision's (maskrcnn_resnet50_fpn, 0.28), in both forms:
//
//     backbone.body.conv1 | bn1 | layerS.B.convK | bnK | downsample.0 | downsample.1      residual bodies
//     backbone.body.stem | blocks.NN.expand | depthwise | project, each .conv and .norm   efficientnet_lite0
//     backbone.fpn.inner_blocks.L.0 (1x1), backbone.fpn.layer_blocks.L.0 (3x3)            L = 0 (C2) .. 3 (C5)
//     rpn.head.conv.0.0, rpn.head.cls_logits, rpn.head.bbox_pred
//     roi_heads.box_head.fc6, fc7, roi_heads.box_predictor.cls_score, bbox_pred
//     roi_heads.mask_head.K.0 (K = 0..3), roi_heads.mask_predictor.conv5_mask, mask_fcn_logits
//
// each with ".weight" and, where it has one, ".bias"; batch norms with ".weight", ".bias", ".running_mean",
// ".running_var". The published form adds biases to the body's convolutions and the norms roi_heads.box_head.bn6, bn7
// and roi_heads.mask_head.K.1; its rpn.head.cls_logits has two channels an anchor, background first.
//
// Thread-safety: free functions without state.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "learning/features/detection/detector_settings.h"

namespace hemafed::learning {

// A convolution of the body with its batch norm.
struct BodyConvolution {
  std::string convolution;  // "backbone.body.layer1.0.conv1"
  std::string norm;
  int in;
  int out;
  int kernel;
  int stride;
  int groups;
};

// The branch's layers have the body's activation between them, none behind the last. Then the input is added, or what
// the shortcut makes of it, where the block adds at all.
struct BodyBlock {
  std::size_t stage;  // 1..4: those of one stage give C2..C5
  std::vector<BodyConvolution> branch;
  std::vector<BodyConvolution> shortcut;  // none or one
  bool adds;
};

inline constexpr std::size_t kBodyStages = 4;

struct BodyPlan {
  BodyConvolution stem;
  std::vector<BodyBlock> blocks;
  std::array<int, kBodyStages> channels;  // of C2..C5
  bool residual;  // ReLU behind the sum, max-pool behind the stem, symmetric padding; otherwise ReLU6 inside the
                  // branch alone and 'same' padding
};
[[nodiscard]] BodyPlan BodyPlanOf(DetectorForm form, DetectorBody body);

enum class DetectorRole : std::uint8_t { kWeight, kBias, kAffine, kBuffer };
enum class DetectorPart : std::uint8_t { kBody, kPyramid, kRpn, kBoxHead, kMaskHead };

struct DetectorTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  DetectorRole role;
  DetectorPart part;
  std::size_t stage;  // of the body: 0 the stem, 1..4
};
// In ascending byte order of their names. Throws as RequireValid.
[[nodiscard]] std::vector<DetectorTensor> DetectorTensors(const DetectorSettings& settings);

struct DetectorSize {
  std::int64_t values;   // of all tensors
  std::int64_t buffers;  // running statistics among them
};
[[nodiscard]] DetectorSize DetectorSizeOf(const DetectorSettings& settings);

}  // namespace hemafed::learning
