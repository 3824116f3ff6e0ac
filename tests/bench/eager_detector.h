// tests/bench/eager_detector.h
// SPDX-License-Identifier: Apache-2.0
//
// The peer of detector_bench: body, pyramid and heads of maskrcnn_resnet50_fpn the way PyTorch runs torchvision's
// modules eagerly: convolution, frozen batch norm (torchvision's FrozenBatchNorm2d: one multiplication and one addition
// over the activations) and ReLU each an operation of its own, nothing folded. Only Python is left out.
//
// Thread-safety: one thread.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "learning/features/detection/body_plan.h"
#include "learning/features/detection/detector.h"

namespace hemafed::learning::testing_support {

class EagerDetector {
 public:
  // Copies the tensors of a detector of the torchvision form with a residual body; 4-d tensors in `format`.
  EagerDetector(const Detector& detector, at::MemoryFormat format)
      : plan_(BodyPlanOf(detector.settings().form, detector.settings().body)),
        epsilon_(detector.settings().batch_epsilon),
        format_(format) {
    for (const NamedTensor& tensor : detector.tensors()) {
      at::Tensor copy = tensor.value.detach().clone();
      if (copy.dim() == 4) copy = copy.contiguous(format);
      tensors_.emplace(tensor.name, std::move(copy));
    }
  }

  [[nodiscard]] std::vector<at::Tensor> Pyramid(const at::Tensor& frames) const {
    at::Tensor stem = Layer(frames.contiguous(format_), plan_.stem);
    at::Tensor x = at::max_pool2d(at::relu_(stem), {3, 3}, {2, 2}, {1, 1});
    std::vector<at::Tensor> stages(kBodyStages);
    for (const BodyBlock& block : plan_.blocks) {
      at::Tensor y = x;
      for (std::size_t i = 0; i < block.branch.size(); ++i) {
        y = Layer(y, block.branch[i]);
        if (i + 1 < block.branch.size()) at::relu_(y);
      }
      y.add_(block.shortcut.empty() ? x : Layer(x, block.shortcut[0]));
      x = at::relu_(y);
      stages[block.stage - 1] = x;
    }
    std::vector<at::Tensor> levels(kPyramidLevels);
    at::Tensor merged;
    for (std::size_t level = kBodyStages; level-- > 0;) {
      const std::string at = "." + std::to_string(level) + ".0";
      const at::Tensor lateral = Plain(stages[level], "backbone.fpn.inner_blocks" + at, 0);
      merged =
          merged.defined() ? lateral + at::upsample_nearest2d(merged, {lateral.size(2), lateral.size(3)}) : lateral;
      levels[level] = Plain(merged, "backbone.fpn.layer_blocks" + at, 1);
    }
    levels[kPyramidLevels - 1] = at::max_pool2d(levels[kPyramidLevels - 2], {1, 1}, {2, 2});
    return levels;
  }

  // Scores of all levels, as the RPN's head leaves them.
  [[nodiscard]] std::vector<at::Tensor> Rpn(const std::vector<at::Tensor>& pyramid) const {
    std::vector<at::Tensor> scores;
    for (const at::Tensor& level : pyramid) {
      at::Tensor shared = Plain(level, "rpn.head.conv.0.0", 1);
      at::relu_(shared);
      scores.push_back(Plain(shared, "rpn.head.cls_logits", 0));
      (void)Plain(shared, "rpn.head.bbox_pred", 0);
    }
    return scores;
  }

  // Class logits.
  [[nodiscard]] at::Tensor BoxHead(const at::Tensor& crops) const {
    at::Tensor x = at::relu(Linear(crops.flatten(1), "roi_heads.box_head.fc6"));
    x = at::relu(Linear(x, "roi_heads.box_head.fc7"));
    (void)Linear(x, "roi_heads.box_predictor.bbox_pred");
    return Linear(x, "roi_heads.box_predictor.cls_score");
  }

  [[nodiscard]] at::Tensor MaskLogits(const at::Tensor& crops) const {
    at::Tensor x = crops.contiguous(format_);
    for (int i = 0; i < 4; ++i) {
      x = Plain(x, "roi_heads.mask_head." + std::to_string(i) + ".0", 1);
      at::relu_(x);
    }
    const std::string predictor = "roi_heads.mask_predictor.";
    x = at::conv_transpose2d(x, tensors_.at(predictor + "conv5_mask.weight"),
                             tensors_.at(predictor + "conv5_mask.bias"), {2, 2});
    at::relu_(x);
    return Plain(x, predictor + "mask_fcn_logits", 0);
  }

 private:
  [[nodiscard]] at::Tensor Layer(const at::Tensor& x, const BodyConvolution& plan) const {
    const std::int64_t padding = plan.kernel / 2;
    const at::Tensor y = at::conv2d(x, tensors_.at(plan.convolution + ".weight"), {}, {plan.stride, plan.stride},
                                    {padding, padding}, {1, 1}, plan.groups);
    const at::Tensor scale =
        tensors_.at(plan.norm + ".weight") * (tensors_.at(plan.norm + ".running_var") + epsilon_).rsqrt();
    const at::Tensor shift = tensors_.at(plan.norm + ".bias") - tensors_.at(plan.norm + ".running_mean") * scale;
    return y * scale.view({1, -1, 1, 1}) + shift.view({1, -1, 1, 1});
  }
  [[nodiscard]] at::Tensor Plain(const at::Tensor& x, const std::string& name, std::int64_t padding) const {
    return at::conv2d(x, tensors_.at(name + ".weight"), tensors_.at(name + ".bias"), {1, 1}, {padding, padding});
  }
  [[nodiscard]] at::Tensor Linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, tensors_.at(name + ".weight"), tensors_.at(name + ".bias"));
  }

  BodyPlan plan_;
  double epsilon_;
  at::MemoryFormat format_;
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace hemafed::learning::testing_support
