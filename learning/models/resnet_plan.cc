// SPDX-License-Identifier: Apache-2.0
#include "learning/models/resnet_plan.h"

#include <utility>

#include "common/error.h"

namespace hemafed::learning {

namespace {

ResNetConvolution Numbered(const std::string& block, int number, int in, int out, int kernel, int stride, int groups) {
  const std::string digit = std::to_string(number);
  return {block + ".conv" + digit, block + ".bn" + digit, in, out, kernel, stride, groups};
}

ResNetBlock MakeBlock(const ResNetPlan& plan, std::size_t stage, int index, int in) {
  const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(index);
  const int stride = stage > 0 && index == 0 ? 2 : 1;
  const int middle = plan.MiddleChannels(stage);
  const int out = plan.StageChannels(stage);
  ResNetBlock block{.stage = stage, .branch = {}, .shortcut = {}};
  if (plan.bottleneck) {
    block.branch = {Numbered(name, 1, in, middle, 1, 1, 1), Numbered(name, 2, middle, middle, 3, stride, plan.groups),
                    Numbered(name, 3, middle, out, 1, 1, 1)};
  } else {
    block.branch = {Numbered(name, 1, in, middle, 3, stride, 1), Numbered(name, 2, middle, out, 3, 1, 1)};
  }
  if (stride != 1 || in != out) {
    block.shortcut = {{name + ".downsample.0", name + ".downsample.1", in, out, 1, stride, 1}};
  }
  return block;
}

}  // namespace

ResNetPlan ResNetPlanOf(Architecture architecture) {
  if (architecture == Architecture::kResNet18) return {{2, 2, 2, 2}, false, 1, 64};
  if (architecture == Architecture::kResNet50) return {{3, 4, 6, 3}, true, 1, 64};
  if (architecture == Architecture::kResNeXt50) return {{3, 4, 6, 3}, true, 32, 4};
  throw Error(ErrorCode::kInternal, std::string(ArchitectureName(architecture)) + " is no residual network");
}

ResNetConvolution ResNetStem() { return {"conv1", "bn1", 3, kResNetStemChannels, kResNetStemKernel, 2, 1}; }

std::vector<ResNetBlock> ResNetBlocks(Architecture architecture) {
  const ResNetPlan plan = ResNetPlanOf(architecture);
  std::vector<ResNetBlock> blocks;
  int channels = kResNetStemChannels;
  for (std::size_t stage = 0; stage < kResNetStages; ++stage) {
    for (int i = 0; i < plan.blocks[stage]; ++i) {
      blocks.push_back(MakeBlock(plan, stage, i, channels));
      channels = plan.StageChannels(stage);
    }
  }
  return blocks;
}

std::vector<ResNetConvolution> ResNetConvolutions(Architecture architecture) {
  std::vector<ResNetConvolution> all = {ResNetStem()};
  for (ResNetBlock& block : ResNetBlocks(architecture)) {
    for (ResNetConvolution& convolution : block.branch) all.push_back(std::move(convolution));
    for (ResNetConvolution& convolution : block.shortcut) all.push_back(std::move(convolution));
  }
  return all;
}

}  // namespace hemafed::learning
