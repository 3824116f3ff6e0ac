// learning/continual/softmax_distillation.h
// SPDX-License-Identifier: Apache-2.0
//
// Distillation by softened softmax (Hinton, Vinyals, Dean 2015) on the classes that the teacher knows:
//
//     KD_T = mean over pictures of  - sum over old classes j of q_j log p_j,
//     q = softmax(z'_old / T),  p = softmax(z_old / T)
//
// z: logits of the model in training [N, C]; z': those of the model from before the task on the very same pictures
// [N, C_old], C_old <= C. As Li and Hoiem (ECCV 2016) print it there is no factor T^2. Its floor is the entropy of q.
//
// Weight alignment (Zhao et al., CVPR 2020) weighs it with the share of old classes:
//
//     loss = (1 - s) CE + s KD_T,    s = C_old / C
//
// Where every class is old (a pure change of domain), s = 1 would leave the labels unused; s is then 1 / 2. The paper
// has no such case.
//
// Errors: Error(kInvalidInput) if shapes do not fit. Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "learning/continual/training_step.h"

namespace hemafed::learning {

[[nodiscard]] at::Tensor SoftmaxDistillation(const at::Tensor& logits, const at::Tensor& teacher_logits,
                                             double temperature);

// s of the formula above.
[[nodiscard]] double DistillationShare(std::int64_t old_classes, std::int64_t classes);

// Loss terms of weight alignment; the old classes are the teacher's.
[[nodiscard]] LossTerms SoftenedTerms(const at::Tensor& cross_entropy, const at::Tensor& logits,
                                      const at::Tensor& teacher_logits, double temperature);

}  // namespace hemafed::learning
