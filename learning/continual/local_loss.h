// learning/continual/local_loss.h
// SPDX-License-Identifier: Apache-2.0
//
// What one step of a site's training costs (local_training.h), for each strategy of a plan (codec/plan.h). With a batch
// of N pictures x, M of them exemplars of earlier tasks, and z the logits of the model in training:
//
//     uacl, icarl,          CE + gamma L_dist                                                   DistilledLoss
//     replay, finetuning    CE
//     wa                    (1 - s) CE + s KD_T,    s = C_old / C                               SoftenedLoss
//     ewc                   (1 - lambda) CE + lambda importance sum over earlier tasks t,       HeldLoss
//                           values i of F_ti (theta_i - theta*_ti)^2
//     derpp                 1/N [ sum over new x of CE_x                                        StoredAnswersLoss
//                               + sum over exemplars x of (beta CE_x + alpha D_x) ]
//     slow_fast             CE + consistency / N sum over exemplars x of E_x                    SlowModelLoss
//
//     CE, L_dist   uacl_loss.h             KD_T, s   softmax_distillation.h
//     F, theta*    held_weights.h          D, E      answer_losses.h
//
// Without a teacher, an earlier task or an exemplar in the batch the formulas are what is left of them.
//
// Sources: iCaRL (Rebuffi et al., CVPR 2017, Algorithm 3, with one term for each old class as in uacl_loss.h); EWC
// (Kirkpatrick et al., PNAS 2017); DER++ (Buzzega et al., NeurIPS 2020, eq. 6, with one draw of exemplars instead of
// two: here they lie mixed into the active site's pictures, and are all that a rehearsing site has); WA (Zhao et al.,
// CVPR 2020); slow_fast: a mean teacher (Tarvainen and Valpola, NeurIPS 2017) for exemplars as in CLS-ER (Arani et al.,
// ICLR 2022), with one slow model, which follows once a round.
//
// Why hospitals may compute these apart: every loss here is a mean over the batch's pictures of terms that depend on
// that picture and the model alone. The gradients of one full-batch step at each site, weighted by their numbers of
// pictures, therefore add up to the gradient over the union (design 4.3, 11.4). EWC's penalty depends on no picture and
// is the same at every site; weights sum to 1, so it stays what it is.
//
// Errors: Error(kInvalidInput). Thread-safety: one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>

#include "learning/continual/batch_source.h"
#include "learning/continual/held_weights.h"
#include "learning/continual/training_step.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// What a step sees.
struct LocalStep {
  const Classifier& model;                   // in training
  const Batch& batch;                        // where the model is
  std::span<const std::uint32_t> positions;  // of the batch's pictures in the source
  // Logits [N, C] of the batch with dropout. To be called once, after what needs no gradients: it keeps the activations
  // of the whole pass in memory.
  std::function<at::Tensor()> forward;
};

class LocalLoss {
 public:
  virtual ~LocalLoss() = default;
  // Before the first step. Throws if the loss is not for this model or source.
  virtual void Check(const Classifier& /*model*/, const BatchSource& /*source*/) const {}
  [[nodiscard]] virtual LossTerms Of(const LocalStep& step) const = 0;
};

class DistilledLoss final : public LocalLoss {
 public:
  // The teacher is borrowed; null: CE alone. It has at most as many classes as the model. `gamma` is at least 0.
  DistilledLoss(const Classifier* teacher, double gamma);
  void Check(const Classifier& model, const BatchSource& source) const override;
  [[nodiscard]] LossTerms Of(const LocalStep& step) const override;

 private:
  const Classifier* teacher_;
  double gamma_;
};

class SoftenedLoss final : public LocalLoss {
 public:
  // Likewise; `temperature` is above 0.
  SoftenedLoss(const Classifier* teacher, double temperature);
  void Check(const Classifier& model, const BatchSource& source) const override;
  [[nodiscard]] LossTerms Of(const LocalStep& step) const override;

 private:
  const Classifier* teacher_;
  double temperature_;
};

class HeldLoss final : public LocalLoss {
 public:
  // `share` is lambda, at least 0 and below 1.
  HeldLoss(HeldWeights held, double share, double importance);
  void Check(const Classifier& model, const BatchSource& source) const override;
  [[nodiscard]] LossTerms Of(const LocalStep& step) const override;

 private:
  HeldWeights held_;
  double share_;
  double importance_;
};

}  // namespace hemafed::learning
