// learning/continual/strategy_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// The numbers of all strategies in one place, so that a study can print every one of them. Each is used by the strategy
// named beside it and ignored by the others; what it means is in that strategy's header. Initial values are those of
// the publication, or of its code where the publication is silent.
//
// No LibTorch here. Thread-safety: value type.
#pragma once

#include <cstdint>

namespace hemafed::learning {

enum class EwcAnchors : std::uint8_t {
  kAll,   // every earlier task's weights hold on to theirs (Kirkpatrick et al.)
  kLast,  // only the previous task's (the code that UACL grew from)
};
enum class AceClasses : std::uint8_t {
  kBatch,  // the classes in the incoming batch (the authors' code)
  kTask,   // all classes of the task
};

struct StrategySettings {
  double gamma = 1.0;  // uacl, icarl: weight of distillation; 1 for D and DC, 5 for C_M, C_I, C_A

  double ewc_lambda = 0.9;         // ewc: share of the penalty
  double ewc_importance = 3000.0;  // ewc
  EwcAnchors ewc_anchors = EwcAnchors::kAll;
  std::uint32_t ewc_pictures = 0;  // ewc: pictures that the Fisher information is measured on; 0: all of the task

  double temperature = 2.0;  // lwf, wa
  double lwf_weight = 1.0;   // lwf
  bool wa_clip = false;      // wa: keep the head's weights at or above 0

  double der_alpha = 0.5;             // derpp: weight of the stored logits
  double der_beta = 0.5;              // derpp: weight of the stored labels
  bool der_sum_over_classes = false;  // derpp: squared distance as printed; else its mean over classes as in the code

  AceClasses ace_classes = AceClasses::kBatch;  // er_ace

  double cls_consistency = 0.15;  // cls_er: weight
  double cls_plastic_decay = 0.999;
  double cls_plastic_rate = 0.9;  // how often the model is updated, a probability a step
  double cls_stable_decay = 0.999;
  double cls_stable_rate = 0.1;

  std::uint32_t analytic_features = 2048;  // analytic: random features, at most kMaxAnalyticFeatures
  double analytic_ridge = 1.0;             // analytic: above 0
};

// Design 11.7: more makes the solve dominate everything.
inline constexpr std::uint32_t kMaxAnalyticFeatures = 2048;

}  // namespace hemafed::learning
