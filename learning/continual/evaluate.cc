// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "codec/plan.h"
#include "common/error.h"
#include "learning/continual/training_step.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, "evaluation: " + message); }

// Written out rather than left to argmax, which does not promise which of equals it takes.
std::vector<std::uint32_t> AnswersOf(const at::Tensor& logits) {
  const at::Tensor values = logits.to(at::kCPU, at::kDouble).contiguous();
  if (!values.isfinite().all().item<bool>()) Fail("a logit is not a finite number; the model is broken");
  const auto classes = static_cast<std::size_t>(values.size(1));
  const double* row = values.const_data_ptr<double>();
  std::vector<std::uint32_t> answers;
  for (std::int64_t n = 0; n < values.size(0); ++n, row += classes) {
    answers.push_back(static_cast<std::uint32_t>(std::max_element(row, row + classes) - row));
  }
  return answers;
}

// Un-augmented batches of all pictures in order.
template <typename Use>
void ForEachBatch(BatchSource& source, std::uint32_t batch, const std::function<void(std::uint64_t)>& on_pictures,
                  const Use& use) {
  if (batch < 1) Fail("a batch needs at least one picture");
  const at::NoGradGuard no_gradients;
  for (std::size_t first = 0; first < source.Size(); first += batch) {
    std::vector<std::uint32_t> indices(std::min<std::size_t>(batch, source.Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    use(source.Get(indices, std::nullopt).images, indices);
    if (on_pictures) on_pictures(first + indices.size());
  }
}

}  // namespace

ConfusionMatrix Evaluate(const Classifier& model, BatchSource& source, std::uint32_t classes, std::uint32_t batch,
                         const std::function<void(std::uint64_t)>& on_pictures, ScoreTally* scores) {
  if (classes > kMaxClasses || model.classes() > std::int64_t{classes}) {
    Fail("the model knows " + std::to_string(model.classes()) + " classes, the plan " + std::to_string(classes) +
         " of at most " + std::to_string(kMaxClasses));
  }
  const auto score = [&](const at::Tensor& images) {
    const at::Tensor logits = model.Forward(images.to(DeviceOf(model)));
    BatchScores batch_scores{.answers = AnswersOf(logits), .scores = {}};
    if (scores != nullptr) {
      const at::Tensor softmax = logits.to(at::kCPU, at::kDouble).softmax(1).contiguous();
      batch_scores.scores.assign(softmax.const_data_ptr<double>(), softmax.const_data_ptr<double>() + softmax.numel());
    }
    return batch_scores;
  };
  return Evaluate(score, source, classes, batch, on_pictures, scores);
}

ConfusionMatrix Evaluate(const ScoreBatch& score, BatchSource& source, std::uint32_t classes, std::uint32_t batch,
                         const std::function<void(std::uint64_t)>& on_pictures, ScoreTally* scores) {
  ConfusionMatrix result(classes);
  ForEachBatch(source, batch, on_pictures, [&](const at::Tensor& images, const std::vector<std::uint32_t>& indices) {
    const BatchScores scored = score(images);
    const std::size_t known = scored.scores.size() / indices.size();
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::int64_t label = source.Label(indices[i]);
      if (label < 0 || label >= std::int64_t{classes}) {
        Fail("a picture has class " + std::to_string(label) + " but the plan has " + std::to_string(classes));
      }
      result.Add(static_cast<std::size_t>(label), scored.answers[i]);
      if (scores == nullptr) continue;
      scores->Add(static_cast<std::size_t>(label), std::span(scored.scores).subspan(i * known, known));
    }
  });
  return result;
}

std::uint64_t CountAgreements(const Classifier& model, const Classifier& teacher, BatchSource& source,
                              std::uint32_t batch, const std::function<void(std::uint64_t)>& on_pictures) {
  const std::int64_t old_classes = teacher.classes();
  if (old_classes < 1 || old_classes > model.classes()) Fail("the teacher knows a class that the model does not");
  std::uint64_t agreements = 0;
  ForEachBatch(source, batch, on_pictures, [&](const at::Tensor& pictures, const std::vector<std::uint32_t>& indices) {
    const at::Tensor images = pictures.to(DeviceOf(model));
    const std::vector<std::uint32_t> ours = AnswersOf(model.Forward(images).narrow(1, 0, old_classes));
    const std::vector<std::uint32_t> theirs = AnswersOf(teacher.Forward(images));
    for (std::size_t i = 0; i < indices.size(); ++i) agreements += ours[i] == theirs[i] ? 1 : 0;
  });
  return agreements;
}

}  // namespace hemafed::learning
