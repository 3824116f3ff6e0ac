// learning/continual/answer_losses.h
// SPDX-License-Identifier: Apache-2.0
//
// Losses of a site's step that hold exemplars to answers of another model (local_loss.h has the place of both among the
// strategies, the sources, and why sites may compute them apart). Of a batch of N pictures:
//
//     derpp       1/N [ sum over new x of CE_x + sum over exemplars x of (beta CE_x + alpha D_x) ]
//                 D_x = mean over the classes known when x's task ended of (z - z_stored)^2
//     slow_fast   CE + consistency / N sum over exemplars x of E_x
//                 E_x = mean over classes of (z - z_slow)^2
//
// z_stored: logits of the un-augmented picture under the model that x's task ended with. z_slow: logits of the slow
// model on the very tensor that the step sees, without dropout or gradient. Both are of fixed models; a class that they
// do not know is not asked for.
//
// Errors: Error(kInvalidInput). Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/continual/local_loss.h"

namespace hemafed::learning {

class StoredAnswersLoss final : public LocalLoss {
 public:
  // `stored[p]`: logits for the picture at position p of the source (stored_logits.h); empty for new pictures.
  StoredAnswersLoss(std::vector<std::vector<float>> stored, double alpha, double beta);
  void Check(const Classifier& model, const BatchSource& source) const override;
  [[nodiscard]] LossTerms Of(const LocalStep& step) const override;

 private:
  std::vector<std::vector<float>> stored_;
  double alpha_;
  double beta_;
};

class SlowModelLoss final : public LocalLoss {
 public:
  // `exemplars[p]`: whether the picture at position p of the source is one.
  SlowModelLoss(Classifier slow, std::vector<bool> exemplars, double consistency);
  void Check(const Classifier& model, const BatchSource& source) const override;
  [[nodiscard]] LossTerms Of(const LocalStep& step) const override;

 private:
  Classifier slow_;
  std::vector<bool> exemplars_;
  double consistency_;
};

}  // namespace hemafed::learning
