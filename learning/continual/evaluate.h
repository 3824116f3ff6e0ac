// learning/continual/evaluate.h
// SPDX-License-Identifier: Apache-2.0
//
// Scores a model on pictures: which class it gives to pictures of which class, as integers. Everything else (accuracy,
// forgetting, precision) is computed from these counts elsewhere, so that an auditor can compute it too.
//
// The answer is the class with the largest logit, the lowest index among equals. Pictures are not augmented, dropout is
// off. Classes that the model does not know yet can occur as labels: they count as wrong. The same pass can count the
// softmax scores, computed in double precision from the logits.
//
// Errors: Error(kInvalidInput) if a label is outside 0 .. classes-1, if the model knows more classes than that or none,
// or if a logit is not finite. Thread-safety: one thread at a time per source.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "codec/evaluation.h"
#include "codec/score_histograms.h"
#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// `classes`: of the whole plan, and the size of the matrix. `batch`: pictures per forward pass. `on_pictures` may be
// empty; it is told the number of pictures done after each batch. `scores`, where given, is of as many classes and
// counts each picture's.
[[nodiscard]] ConfusionMatrix Evaluate(const Classifier& model, BatchSource& source, std::uint32_t classes,
                                       std::uint32_t batch, const std::function<void(std::uint64_t)>& on_pictures = {},
                                       ScoreTally* scores = nullptr);

// The same for a classifier of another kind, which says for each picture of a batch its class and, where scores are
// counted, a score from 0 to 1 for each class that it knows.
struct BatchScores {
  std::vector<std::uint32_t> answers;
  std::vector<double> scores;  // [N, classes known], or empty.
};
using ScoreBatch = std::function<BatchScores(const at::Tensor& images)>;
[[nodiscard]] ConfusionMatrix Evaluate(const ScoreBatch& score, BatchSource& source, std::uint32_t classes,
                                       std::uint32_t batch, const std::function<void(std::uint64_t)>& on_pictures = {},
                                       ScoreTally* scores = nullptr);

// On how many pictures the model's best class among those that the teacher knows is the teacher's best class; the lower
// index wins among equals. Errors as above, and a teacher that knows a class which the model does not.
[[nodiscard]] std::uint64_t CountAgreements(const Classifier& model, const Classifier& teacher, BatchSource& source,
                                            std::uint32_t batch,
                                            const std::function<void(std::uint64_t)>& on_pictures = {});

}  // namespace hemafed::learning
