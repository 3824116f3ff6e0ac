// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_network.h"

#include <ATen/ATen.h>

#include <utility>

namespace hemafed::learning {

namespace {

const std::string kHead = "roi_heads.box_head.";
const std::string kBoxPredictor = "roi_heads.box_predictor.";
const std::string kMaskPredictor = "roi_heads.mask_predictor.";

ConvolutionSettings Plain(Activation activation) { return {1, 1, Padding::kSymmetric, activation}; }

at::Tensor ChannelsLast(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

// [N, A * k, h, w] with k values of an anchor side by side to [N, h * w * A, k].
at::Tensor ByAnchor(const at::Tensor& x, std::int64_t k) { return x.permute({0, 2, 3, 1}).reshape({x.size(0), -1, k}); }

}  // namespace

DetectorNetwork::DetectorNetwork(const DetectorSettings& settings, const TensorsByName& tensors)
    : form_(settings.form),
      classes_(settings.classes),
      epsilon_(settings.batch_epsilon),
      first_rpn_level_(settings.first_rpn_level) {
  const BodyPlan plan = BodyPlanOf(settings.form, settings.body);
  residual_ = plan.residual;
  const Activation inside = residual_ ? Activation::kRelu : Activation::kRelu6;
  stem_.push_back(BodyLayer(tensors, plan.stem, inside));
  for (const BodyBlock& entry : plan.blocks) {
    Block block{.stage = entry.stage, .branch = {}, .shortcut = {}, .adds = entry.adds};
    for (std::size_t i = 0; i < entry.branch.size(); ++i) {
      const bool last = i + 1 == entry.branch.size();
      block.branch.push_back(BodyLayer(tensors, entry.branch[i], last ? Activation::kNone : inside));
    }
    for (const BodyConvolution& layer : entry.shortcut) block.shortcut = BodyLayer(tensors, layer, Activation::kNone);
    blocks_.push_back(std::move(block));
  }
  for (std::size_t level = 0; level < kBodyStages; ++level) {
    const std::string at = "." + std::to_string(level) + ".0";
    inner_.emplace_back(tensors, "backbone.fpn.inner_blocks" + at, Plain(Activation::kNone));
    layer_.emplace_back(tensors, "backbone.fpn.layer_blocks" + at, Plain(Activation::kNone));
  }
  rpn_.emplace_back(tensors, "rpn.head.conv.0.0", Plain(Activation::kRelu));
  rpn_.emplace_back(tensors, "rpn.head.cls_logits", Plain(Activation::kNone));
  rpn_.emplace_back(tensors, "rpn.head.bbox_pred", Plain(Activation::kNone));
  const bool norms = form_ == DetectorForm::kPublished;
  fc6_ = MakeLinear(tensors, kHead + "fc6", norms ? kHead + "bn6" : "");
  fc7_ = MakeLinear(tensors, kHead + "fc7", norms ? kHead + "bn7" : "");
  scores_ = MakeLinear(tensors, kBoxPredictor + "cls_score", "");
  boxes_ = MakeLinear(tensors, kBoxPredictor + "bbox_pred", "");
  for (int i = 0; i < kMaskLayers; ++i) {
    const std::string name = "roi_heads.mask_head." + std::to_string(i);
    if (norms) {
      mask_.emplace_back(tensors, name + ".0", name + ".1", epsilon_, Plain(Activation::kRelu));
    } else {
      mask_.emplace_back(tensors, name + ".0", Plain(Activation::kRelu));
    }
  }
  deconvolution_weight_ = tensors.at(kMaskPredictor + "conv5_mask.weight");
  deconvolution_bias_ = tensors.at(kMaskPredictor + "conv5_mask.bias");
  mask_logits_.emplace_back(tensors, kMaskPredictor + "mask_fcn_logits", Plain(Activation::kNone));
}

FrozenConvolution DetectorNetwork::BodyLayer(const TensorsByName& tensors, const BodyConvolution& plan,
                                             Activation activation) const {
  const Padding padding = residual_ ? Padding::kSymmetric : Padding::kSame;
  return {tensors, plan.convolution, plan.norm, epsilon_, {plan.stride, plan.groups, padding, activation}};
}

DetectorNetwork::Linear DetectorNetwork::MakeLinear(const TensorsByName& tensors, const std::string& name,
                                                    const std::string& norm) const {
  Linear layer{tensors.at(name + ".weight"), tensors.at(name + ".bias"), {}};
  if (!norm.empty()) {
    layer.norm = {.gamma = tensors.at(norm + ".weight"),
                  .beta = tensors.at(norm + ".bias"),
                  .mean = tensors.at(norm + ".running_mean"),
                  .variance = tensors.at(norm + ".running_var")};
  }
  return layer;
}

at::Tensor DetectorNetwork::Apply(const Linear& layer, const at::Tensor& x) const {
  at::Tensor y = at::linear(x, layer.weight, layer.bias);
  if (!layer.norm.gamma.defined()) return y;
  return at::batch_norm(y, layer.norm.gamma, layer.norm.beta, layer.norm.mean, layer.norm.variance, /*training=*/false,
                        /*momentum=*/0.0, epsilon_, /*cudnn_enabled=*/false);
}

at::Tensor DetectorNetwork::Apply(const Block& block, const at::Tensor& x) const {
  at::Tensor y = x;
  for (const FrozenConvolution& layer : block.branch) y = layer.Apply(y);
  if (block.adds) y.add_(block.shortcut ? block.shortcut->Apply(x) : x);
  return residual_ ? Activate(std::move(y), Activation::kRelu) : y;
}

std::vector<at::Tensor> DetectorNetwork::Body(const at::Tensor& frames) const {
  at::Tensor x = stem_.front().Apply(ChannelsLast(frames));
  if (residual_ && form_ == DetectorForm::kPublished) {
    // 'Same' padding: on even sides one place behind the last and none before the first. Values are 0 or more behind a
    // ReLU, so zeros never win over a pixel.
    const SamePadding rows = SamePaddingOf(x.size(2), 3, 2);
    const SamePadding columns = SamePaddingOf(x.size(3), 3, 2);
    x = at::max_pool2d(at::constant_pad_nd(x, {columns.before, columns.after, rows.before, rows.after}, 0), {3, 3},
                       {2, 2});
  } else if (residual_) {
    x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
  }
  std::vector<at::Tensor> stages;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = Apply(blocks_[i], x);
    if (i + 1 == blocks_.size() || blocks_[i + 1].stage != blocks_[i].stage) stages.push_back(x);
  }
  return stages;
}

std::vector<at::Tensor> DetectorNetwork::Pyramid(const std::vector<at::Tensor>& body) const {
  std::vector<at::Tensor> levels(kPyramidLevels);
  at::Tensor merged;
  for (std::size_t level = kBodyStages; level-- > 0;) {
    at::Tensor lateral = inner_[level].Apply(body[level]);
    if (merged.defined()) lateral.add_(at::upsample_nearest2d(merged, {lateral.size(2), lateral.size(3)}));
    merged = lateral;
    levels[level] = layer_[level].Apply(merged);
  }
  levels[kPyramidLevels - 1] = at::max_pool2d(levels[kPyramidLevels - 2], {1, 1}, {2, 2});
  return levels;
}

RpnOutput DetectorNetwork::Rpn(const std::vector<at::Tensor>& pyramid) const {
  std::vector<at::Tensor> scores, deltas;
  for (std::size_t level = first_rpn_level_; level < pyramid.size(); ++level) {
    const at::Tensor shared = rpn_[0].Apply(pyramid[level]);
    if (form_ == DetectorForm::kPublished) {
      // The softmax of two logits is the sigmoid of their difference.
      const at::Tensor both = ByAnchor(rpn_[1].Apply(shared), 2);
      scores.push_back(both.select(2, 1) - both.select(2, 0));
    } else {
      scores.push_back(ByAnchor(rpn_[1].Apply(shared), 1).squeeze(2));
    }
    deltas.push_back(ByAnchor(rpn_[2].Apply(shared), 4));
  }
  return {at::cat(scores, 1), at::cat(deltas, 1)};
}

BoxHeadOutput DetectorNetwork::BoxHead(const at::Tensor& crops) const {
  at::Tensor x = at::relu(Apply(fc6_, crops.flatten(1)));
  x = at::relu(Apply(fc7_, x));
  return {Apply(scores_, x), Apply(boxes_, x).view({x.size(0), classes_, 4})};
}

at::Tensor DetectorNetwork::MaskLogits(const at::Tensor& crops) const {
  at::Tensor x = crops;
  for (const FrozenConvolution& layer : mask_) x = layer.Apply(x);
  const at::Tensor weight = ChannelsLast(deconvolution_weight_);
  x = at::relu(at::conv_transpose2d(x, weight, deconvolution_bias_, {2, 2}));
  return mask_logits_.front().Apply(x);
}

}  // namespace hemafed::learning
