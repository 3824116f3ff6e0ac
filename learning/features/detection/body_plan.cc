// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/body_plan.h"

#include <algorithm>
#include <utility>

#include "learning/models/architecture.h"
#include "learning/models/resnet_plan.h"

namespace hemafed::learning {

namespace {

const std::string kPrefix = "backbone.body.";

BodyConvolution Lite0Layer(const std::string& place, int in, int out, int kernel, int stride, int groups) {
  return {kPrefix + place + ".conv", kPrefix + place + ".norm", in, out, kernel, stride, groups};
}

BodyPlan Lite0Plan() {
  // The last block at each stride, which its stage ends with.
  constexpr std::array<std::size_t, kBodyStages> kLastBlocks = {2, 4, 10, 15};
  BodyPlan plan{
      .stem = Lite0Layer("stem", 3, kLite0StemChannels, 3, 2, 1), .blocks = {}, .channels = {}, .residual = false};
  std::size_t stage = 1;
  for (std::size_t i = 0; i < Lite0Blocks().size(); ++i) {
    const Lite0Block& block = Lite0Blocks()[i];
    const std::string name = Lite0BlockName(i);
    const int middle = block.in_channels * block.expansion;
    BodyBlock made{.stage = stage,
                   .branch = {},
                   .shortcut = {},
                   .adds = block.stride == 1 && block.in_channels == block.out_channels};
    if (block.expansion != 1) made.branch.push_back(Lite0Layer(name + ".expand", block.in_channels, middle, 1, 1, 1));
    made.branch.push_back(Lite0Layer(name + ".depthwise", middle, middle, block.kernel, block.stride, middle));
    made.branch.push_back(Lite0Layer(name + ".project", middle, block.out_channels, 1, 1, 1));
    plan.blocks.push_back(std::move(made));
    if (i == kLastBlocks[stage - 1]) {
      plan.channels[stage - 1] = block.out_channels;
      ++stage;
    }
  }
  return plan;
}

BodyPlan ResidualPlan(DetectorForm form, DetectorBody body) {
  const std::array<int, kBodyStages> blocks = body == DetectorBody::kResNet50
                                                  ? std::array<int, kBodyStages>{3, 4, 6, 3}
                                                  : std::array<int, kBodyStages>{3, 4, 23, 3};
  BodyPlan plan{.stem = {kPrefix + "conv1", kPrefix + "bn1", 3, kResNetStemChannels, kResNetStemKernel, 2, 1},
                .blocks = {},
                .channels = {},
                .residual = true};
  int channels = kResNetStemChannels;
  for (std::size_t stage = 1; stage <= kBodyStages; ++stage) {
    const int middle = 64 << (stage - 1);
    const int out = 256 << (stage - 1);
    for (int i = 0; i < blocks[stage - 1]; ++i) {
      const std::string name = kPrefix + "layer" + std::to_string(stage) + "." + std::to_string(i);
      const int stride = stage > 1 && i == 0 ? 2 : 1;
      // The paper has the stride on the first 1x1 convolution; torchvision ("v1.5") on the 3x3.
      const bool early = form == DetectorForm::kPublished;
      BodyBlock block{.stage = stage, .branch = {}, .shortcut = {}, .adds = true};
      block.branch = {{name + ".conv1", name + ".bn1", channels, middle, 1, early ? stride : 1, 1},
                      {name + ".conv2", name + ".bn2", middle, middle, 3, early ? 1 : stride, 1},
                      {name + ".conv3", name + ".bn3", middle, out, 1, 1, 1}};
      if (i == 0) block.shortcut = {{name + ".downsample.0", name + ".downsample.1", channels, out, 1, stride, 1}};
      plan.blocks.push_back(std::move(block));
      channels = out;
    }
    plan.channels[stage - 1] = out;
  }
  return plan;
}

class TensorList {
 public:
  explicit TensorList(const DetectorSettings& settings) : settings_(settings) {}

  void Layer(const std::string& name, std::vector<std::int64_t> shape, std::int64_t out, bool bias, DetectorPart part,
             std::size_t stage = 0) {
    tensors_.push_back({name + ".weight", std::move(shape), DetectorRole::kWeight, part, stage});
    if (bias) tensors_.push_back({name + ".bias", {out}, DetectorRole::kBias, part, stage});
  }
  void Norm(const std::string& name, std::int64_t channels, DetectorPart part, std::size_t stage = 0) {
    tensors_.push_back({name + ".weight", {channels}, DetectorRole::kAffine, part, stage});
    tensors_.push_back({name + ".bias", {channels}, DetectorRole::kAffine, part, stage});
    tensors_.push_back({name + ".running_mean", {channels}, DetectorRole::kBuffer, part, stage});
    tensors_.push_back({name + ".running_var", {channels}, DetectorRole::kBuffer, part, stage});
  }
  void Body(const BodyConvolution& layer, std::size_t stage) {
    Layer(layer.convolution, {layer.out, layer.in / layer.groups, layer.kernel, layer.kernel}, layer.out, Published(),
          DetectorPart::kBody, stage);
    Norm(layer.norm, layer.out, DetectorPart::kBody, stage);
  }
  void Body() {
    const BodyPlan plan = BodyPlanOf(settings_.form, settings_.body);
    Body(plan.stem, 0);
    for (const BodyBlock& block : plan.blocks) {
      for (const BodyConvolution& layer : block.branch) Body(layer, block.stage);
      for (const BodyConvolution& layer : block.shortcut) Body(layer, block.stage);
    }
    for (std::size_t level = 0; level < kBodyStages; ++level) {
      const std::string at = "." + std::to_string(level) + ".0";
      const std::int64_t channels = settings_.channels;
      Layer("backbone.fpn.inner_blocks" + at, {channels, plan.channels[level], 1, 1}, channels, true,
            DetectorPart::kPyramid);
      Layer("backbone.fpn.layer_blocks" + at, {channels, channels, 3, 3}, channels, true, DetectorPart::kPyramid);
    }
  }
  void Rpn() {
    const auto anchors = static_cast<std::int64_t>(settings_.anchor_ratios.size());
    const std::int64_t width = settings_.rpn_channels;
    const std::int64_t scores = Published() ? 2 * anchors : anchors;
    Layer("rpn.head.conv.0.0", {width, settings_.channels, 3, 3}, width, true, DetectorPart::kRpn);
    Layer("rpn.head.cls_logits", {scores, width, 1, 1}, scores, true, DetectorPart::kRpn);
    Layer("rpn.head.bbox_pred", {4 * anchors, width, 1, 1}, 4 * anchors, true, DetectorPart::kRpn);
  }
  void BoxHead() {
    const std::int64_t width = settings_.head_width;
    const std::int64_t classes = settings_.classes;
    const std::string head = "roi_heads.box_head.";
    const std::string predictor = "roi_heads.box_predictor.";
    Layer(head + "fc6", {width, settings_.channels * kBoxCropSide * kBoxCropSide}, width, true, DetectorPart::kBoxHead);
    Layer(head + "fc7", {width, width}, width, true, DetectorPart::kBoxHead);
    if (Published()) {
      Norm(head + "bn6", width, DetectorPart::kBoxHead);
      Norm(head + "bn7", width, DetectorPart::kBoxHead);
    }
    Layer(predictor + "cls_score", {classes, width}, classes, true, DetectorPart::kBoxHead);
    Layer(predictor + "bbox_pred", {4 * classes, width}, 4 * classes, true, DetectorPart::kBoxHead);
  }
  void MaskHead() {
    const std::int64_t channels = settings_.channels;
    for (int i = 0; i < kMaskLayers; ++i) {
      const std::string name = "roi_heads.mask_head." + std::to_string(i);
      Layer(name + ".0", {channels, channels, 3, 3}, channels, true, DetectorPart::kMaskHead);
      if (Published()) Norm(name + ".1", channels, DetectorPart::kMaskHead);
    }
    const std::string predictor = "roi_heads.mask_predictor.";
    Layer(predictor + "conv5_mask", {channels, channels, 2, 2}, channels, true, DetectorPart::kMaskHead);
    Layer(predictor + "mask_fcn_logits", {settings_.classes, channels, 1, 1}, settings_.classes, true,
          DetectorPart::kMaskHead);
  }
  [[nodiscard]] std::vector<DetectorTensor> Sorted() && {
    std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(tensors_);
  }

 private:
  [[nodiscard]] bool Published() const { return settings_.form == DetectorForm::kPublished; }

  const DetectorSettings& settings_;
  std::vector<DetectorTensor> tensors_;
};

}  // namespace

BodyPlan BodyPlanOf(DetectorForm form, DetectorBody body) {
  return body == DetectorBody::kEfficientNetLite0 ? Lite0Plan() : ResidualPlan(form, body);
}

std::vector<DetectorTensor> DetectorTensors(const DetectorSettings& settings) {
  RequireValid(settings);
  TensorList list(settings);
  list.Body();
  list.Rpn();
  list.BoxHead();
  list.MaskHead();
  return std::move(list).Sorted();
}

DetectorSize DetectorSizeOf(const DetectorSettings& settings) {
  DetectorSize size{0, 0};
  for (const DetectorTensor& tensor : DetectorTensors(settings)) {
    std::int64_t values = 1;
    for (const std::int64_t side : tensor.shape) values *= side;
    size.values += values;
    if (tensor.role == DetectorRole::kBuffer) size.buffers += values;
  }
  return size;
}

}  // namespace hemafed::learning
