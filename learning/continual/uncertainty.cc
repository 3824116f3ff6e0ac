// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/uncertainty.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "common/bytes.h"
#include "common/error.h"
#include "learning/continual/training_step.h"
#include "learning/models/dropout.h"

namespace hemafed::learning {

namespace {

void CheckSettings(const UncertaintySettings& settings) {
  RequireDropoutProbability(settings.dropout);
  if (settings.passes > kMaxUncertaintyPasses) {
    throw Error(ErrorCode::kInvalidInput, "uncertainty: " + std::to_string(settings.passes) + " passes are more than " +
                                              std::to_string(kMaxUncertaintyPasses));
  }
  if (settings.batch < 1) throw Error(ErrorCode::kInvalidInput, "uncertainty: a batch needs at least one picture");
}

// The key of a picture's dropout masks: the first eight bytes of its digest.
std::uint64_t MaskKey(const Digest& picture) { return LoadLittleEndian<std::uint64_t>(picture.bytes.data()); }

// T softmax outputs [T, N, C] in float64, from the activations before dropout.
at::Tensor DropoutOutputs(const Classifier& model, const at::Tensor& activations, std::span<const std::uint64_t> keys,
                          const UncertaintySettings& settings) {
  std::vector<at::Tensor> outputs;
  for (std::uint32_t pass = 0; pass < settings.passes; ++pass) {
    const at::Tensor mask = DropoutMask(settings.seed, pass, keys, activations.size(1), activations.size(2),
                                        activations.size(3), settings.dropout);
    const at::Tensor logits = model.Head(model.TrunkAfter(activations * mask.to(activations.device())));
    outputs.push_back(logits.cpu().to(at::kDouble).softmax(1));
  }
  return at::stack(outputs);
}

}  // namespace

double UncertaintyOf(std::span<const double> outputs, std::size_t classes) {
  if (classes == 0 || outputs.empty() || outputs.size() % classes != 0) {
    throw Error(ErrorCode::kInvalidInput, "uncertainty: the outputs are not whole rows of one value a class");
  }
  const std::size_t passes = outputs.size() / classes;
  double total = 0.0;
  for (std::size_t j = 0; j < classes; ++j) {
    double mean = 0.0;
    for (std::size_t t = 0; t < passes; ++t) mean += outputs[t * classes + j];
    mean /= static_cast<double>(passes);
    double squares = 0.0;
    for (std::size_t t = 0; t < passes; ++t) {
      const double deviation = outputs[t * classes + j] - mean;
      squares += deviation * deviation;
    }
    total += std::sqrt(squares / static_cast<double>(passes));
  }
  return total;
}

PictureScores ScorePictures(const Classifier& model, BatchSource& source, std::span<const std::uint32_t> indices,
                            const UncertaintySettings& settings, const ScoredPictures& on_pictures) {
  CheckSettings(settings);
  const at::NoGradGuard no_gradients;
  PictureScores scores;
  for (std::size_t first = 0; first < indices.size(); first += settings.batch) {
    const auto part = indices.subspan(first, std::min<std::size_t>(settings.batch, indices.size() - first));
    std::vector<std::uint64_t> keys;
    for (const std::uint32_t index : part) keys.push_back(MaskKey(source.PictureDigest(index)));
    const at::Tensor activations = model.TrunkBefore(source.Get(part, std::nullopt).images.to(DeviceOf(model)));

    const at::Tensor features = model.TrunkAfter(activations).cpu().to(at::kFloat).contiguous();
    const float* values = features.const_data_ptr<float>();
    scores.features.insert(scores.features.end(), values, values + features.numel());

    if (on_pictures) on_pictures(first + part.size(), indices.size());
    if (settings.passes == 0) continue;
    // [N, T, C], so that one picture's rows lie together.
    const at::Tensor outputs = DropoutOutputs(model, activations, keys, settings).transpose(0, 1).contiguous();
    const auto classes = static_cast<std::size_t>(model.classes());
    const std::size_t stride = settings.passes * classes;
    const std::span<const double> all(outputs.const_data_ptr<double>(), part.size() * stride);
    for (std::size_t n = 0; n < part.size(); ++n) {
      scores.uncertainty.push_back(UncertaintyOf(all.subspan(n * stride, stride), classes));
    }
  }
  return scores;
}

}  // namespace hemafed::learning
