// learning/models/resnet_plan.h
// SPDX-License-Identifier: Apache-2.0
//
// The plans of the residual networks, as torchvision has them, so that its published weights fit name for name:
// ResNet-18 and ResNet-50 (He et al., CVPR 2016) and ResNeXt-50 32x4d (Xie et al., CVPR 2017). No LibTorch here.
//
// Stem: 7x7 convolution of stride 2 to 64 channels, norm, ReLU, 3x3 max-pool of stride 2. Then four stages of blocks;
// the first block of stages 2 to 4 halves height and width. With n for norm, the branch of a block is
//
//     basic (ResNet-18)   3x3 (stride) n ReLU, 3x3 n
//     bottleneck          1x1 n ReLU, 3x3 in groups (stride) n ReLU, 1x1 n
//
// and its output is ReLU(branch(x) + shortcut(x)); the shortcut is x itself, or a 1x1 convolution (stride) with norm
// where size or channels change. The stride of a bottleneck is on its 3x3 convolution ("v1.5"; the paper has it on the
// first 1x1). No convolution has a bias. Padding is k / 2 on all sides, so a side n becomes ceil(n / stride).
//
//                    blocks   middle channels      output channels        parameters without a head
//     resnet18       2 2 2 2  -                    64 128 256 512         11,176,512
//     resnet50       3 4 6 3  64 128 256 512       256 512 1024 2048      23,508,032
//     resnext50      3 4 6 3  128 256 512 1024     256 512 1024 2048      22,979,904
//
// Thread-safety: free functions without state.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "learning/models/architecture.h"

namespace hemafed::learning {

inline constexpr std::size_t kResNetStages = 4;
inline constexpr int kResNetStemChannels = 64;
inline constexpr int kResNetStemKernel = 7;
// Dropout sits between the second and the third stage, on the output of layer2 (UACL; published-systems 2.1).
inline constexpr std::size_t kResNetStagesBeforeDropout = 2;

struct ResNetPlan {
  std::array<int, kResNetStages> blocks;
  bool bottleneck;
  int groups;          // of the 3x3 convolution of a bottleneck
  int channels_group;  // channels of each of these groups in the first stage

  [[nodiscard]] int StageChannels(std::size_t stage) const { return (bottleneck ? 256 : 64) << stage; }
  [[nodiscard]] int MiddleChannels(std::size_t stage) const {
    return (bottleneck ? groups * channels_group : 64) << stage;
  }
};
// Throws Error(kInternal) for an architecture that is no residual network.
[[nodiscard]] ResNetPlan ResNetPlanOf(Architecture architecture);

// A convolution with its norm: "<convolution>.weight", "<norm>.weight", "<norm>.bias", ...
struct ResNetConvolution {
  std::string convolution;
  std::string norm;
  int in;
  int out;
  int kernel;
  int stride;
  int groups;
};

struct ResNetBlock {
  std::size_t stage;                        // from 0
  std::vector<ResNetConvolution> branch;    // two, or three of a bottleneck
  std::vector<ResNetConvolution> shortcut;  // one, or none where the input itself is added
};

[[nodiscard]] ResNetConvolution ResNetStem();
// In the order in which they are computed.
[[nodiscard]] std::vector<ResNetBlock> ResNetBlocks(Architecture architecture);
// Stem and blocks in one list.
[[nodiscard]] std::vector<ResNetConvolution> ResNetConvolutions(Architecture architecture);

}  // namespace hemafed::learning
