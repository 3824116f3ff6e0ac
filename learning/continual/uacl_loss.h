// learning/continual/uacl_loss.h
// SPDX-License-Identifier: Apache-2.0
//
// The loss of UACL (Sadafi, Salehi et al., "A Continual Learning Approach for Cross-Domain White Blood Cell
// Classification", 2023): cross-entropy over all classes so far plus gamma times distillation on the old ones.
//
//     CE     = mean over pictures of  logsumexp(z) - z_y
//     L_dist = sum over old classes j of the mean over pictures of
//              -q_j log p_j - (1 - q_j) log(1 - p_j),       p = sigmoid(z), q = sigmoid(z')
//     total  = CE + gamma * L_dist
//
// z: logits of the model being trained [N, C]; z': logits of the frozen model from before the task [N, C_old], C_old <=
// C, both on the very same picture tensor; y: labels [N].
//
// L_dist is the paper's equation 3 with its sign and its sigmoid corrected (published-systems 2.2). It is summed over
// classes, not averaged: with nine old classes an average would be nine times weaker and gamma means something else.
// It is computed as softplus(z) - q z, which is finite for every finite z. Its smallest value is the entropy of q, not
// 0. Both terms are means over pictures, so the gradients of disjoint sets of pictures, weighted by their numbers of
// pictures, add up to the gradient of the union: what federated rehearsal rests on (design 4.3).
//
// Errors: Error(kInvalidInput) if shapes do not fit. Thread-safety: free functions without state.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace hemafed::learning {

[[nodiscard]] at::Tensor CrossEntropy(const at::Tensor& logits, const at::Tensor& labels);

[[nodiscard]] at::Tensor Distillation(const at::Tensor& logits, const at::Tensor& teacher_logits);

struct UaclLoss {
  at::Tensor total;          // scalar; call backward() on it
  at::Tensor cross_entropy;  // scalar
  at::Tensor distillation;   // scalar; 0 without a teacher
};

// Without a teacher (first task, or fine-tuning) total is the cross-entropy.
[[nodiscard]] UaclLoss ComputeUaclLoss(const at::Tensor& logits, const at::Tensor& labels,
                                       const std::optional<at::Tensor>& teacher_logits, double gamma);

}  // namespace hemafed::learning
