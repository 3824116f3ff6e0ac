// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, "evaluation: " + message); }

// Written out rather than left to argmax, which does not promise which of equals it takes.
std::vector<std::uint32_t> AnswersOf(const at::Tensor& logits) {
  const at::Tensor values = logits.to(at::kDouble).contiguous();
  if (!values.isfinite().all().item<bool>()) Fail("a logit is not a finite number; the model is broken");
  const auto classes = static_cast<std::size_t>(values.size(1));
  const double* row = values.const_data_ptr<double>();
  std::vector<std::uint32_t> answers;
  for (std::int64_t n = 0; n < values.size(0); ++n, row += classes) {
    answers.push_back(static_cast<std::uint32_t>(std::max_element(row, row + classes) - row));
  }
  return answers;
}

}  // namespace

std::uint64_t ConfusionCounts::Total() const { return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}); }

std::uint64_t ConfusionCounts::Correct() const {
  std::uint64_t correct = 0;
  for (std::uint32_t label = 0; label < classes; ++label) correct += At(label, label);
  return correct;
}

ConfusionCounts Evaluate(const Classifier& model, BatchSource& source, std::uint32_t classes, std::uint32_t batch,
                         const std::function<void(std::uint64_t)>& on_pictures) {
  if (batch < 1) Fail("a batch needs at least one picture");
  if (classes > kMaxHeadRows || model.classes() > std::int64_t{classes}) {
    Fail("the model knows " + std::to_string(model.classes()) + " classes, the plan " + std::to_string(classes));
  }
  ConfusionCounts result{classes, std::vector<std::uint64_t>(std::size_t{classes} * classes)};
  const at::NoGradGuard no_gradients;
  for (std::size_t first = 0; first < source.Size(); first += batch) {
    std::vector<std::uint32_t> indices(std::min<std::size_t>(batch, source.Size() - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    const std::vector<std::uint32_t> answers = AnswersOf(model.Forward(source.Get(indices, std::nullopt).images));
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::int64_t label = source.Label(indices[i]);
      if (label < 0 || label >= std::int64_t{classes}) {
        Fail("a picture has class " + std::to_string(label) + " but the plan has " + std::to_string(classes));
      }
      ++result.counts[static_cast<std::size_t>(label) * classes + answers[i]];
    }
    if (on_pictures) on_pictures(first + indices.size());
  }
  return result;
}

}  // namespace hemafed::learning
