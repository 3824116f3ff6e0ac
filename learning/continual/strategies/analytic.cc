// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/strategies/analytic.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "learning/continual/random_features.h"

namespace hemafed::learning {

LossTerms Analytic::Loss(const StepInput&) {
  throw Error(ErrorCode::kInternal, "the analytic head takes no gradient steps");
}

at::Tensor Analytic::Lifted(const Classifier& model, const at::Tensor& pictures) const {
  return Lift(projection_, model.Features(pictures.to(DeviceOf(model))));
}

void Analytic::Add(const Classifier& model, const Batch& batch, double sign) {
  const at::Tensor phi = Lifted(model, batch.images);
  moments_.addmm_(phi.t(), phi, 1.0, sign);
  const at::Tensor one_hot = at::zeros({phi.size(0), targets_.size(1)}, at::kDouble);
  one_hot.scatter_(1, batch.labels.unsqueeze(1), 1.0);
  targets_.addmm_(phi.t(), one_hot, 1.0, sign);
}

void Analytic::Solve() {
  const at::Tensor ridge = settings_.analytic_ridge * at::eye(moments_.size(0), at::kDouble);
  const auto [factor, failed] = at::linalg_cholesky_ex(moments_ + ridge);
  if (failed.item<int>() != 0 || !factor.isfinite().all().item<bool>()) {
    throw Error(ErrorCode::kInvalidInput,
                "the sums of the analytic head cannot be solved; a larger analytic_ridge makes them regular");
  }
  weights_ = at::cholesky_solve(targets_, factor);
}

void Analytic::AfterTask(const TaskContext& context) {
  const at::NoGradGuard no_gradients;
  const std::int64_t classes = context.model->classes();
  if (!projection_.defined()) {
    // The same for every task: the seed of the first one's features is kept in the state.
    projection_ = RandomProjection(context.seed, settings_.analytic_features, context.model->feature_width());
    moments_ = at::zeros({projection_.size(0), projection_.size(0)}, at::kDouble);
    targets_ = at::zeros({projection_.size(0), classes}, at::kDouble);
  }
  if (targets_.size(1) < classes) {
    targets_ = at::cat({targets_, at::zeros({targets_.size(0), classes - targets_.size(1)}, at::kDouble)}, 1);
  }
  const std::size_t size = context.pictures->Size();
  for (std::size_t first = 0; first < size; first += context.batch) {
    std::vector<std::uint32_t> indices(std::min<std::size_t>(context.batch, size - first));
    std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
    Add(*context.model, context.pictures->Get(indices, std::nullopt), 1.0);
    if (context.on_pictures) context.on_pictures(first + indices.size(), size);
  }
  Solve();
}

at::Tensor Analytic::Scores(const Classifier& model, const at::Tensor& pictures) const {
  if (!weights_.defined()) {
    throw Error(ErrorCode::kConflict, "the analytic head has not learned any task yet");
  }
  return Lifted(model, pictures).matmul(weights_);
}

void Analytic::Withdraw(const Classifier& model, const Digest&, PictureView* picture) {
  if (picture == nullptr || !projection_.defined()) return;
  const at::NoGradGuard no_gradients;
  for (std::uint32_t i = 0; i < picture->Size(); ++i) {
    Add(model, picture->Get(std::span(&i, 1), std::nullopt), -1.0);
  }
  Solve();
}

StrategyState Analytic::State() const {
  if (!projection_.defined()) return {};
  return {{{"projection", projection_}, {"moments", moments_}, {"targets", targets_}, {"weights", weights_}}, {}};
}

void Analytic::SetState(const StrategyState& state, const Classifier& initial) {
  projection_ = moments_ = targets_ = weights_ = at::Tensor();
  if (state.tensors.empty()) return;
  const auto take = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    const auto found = state.tensors.find(name);
    if (found == state.tensors.end() || found->second.dim() != 2 || found->second.scalar_type() != at::kDouble ||
        found->second.size(0) != rows || (columns >= 0 && found->second.size(1) != columns)) {
      throw Error(ErrorCode::kInvalidInput,
                  std::string("the checkpoint lacks '") + name + "' of strategy analytic, or has it in another shape");
    }
    return found->second.clone();
  };
  const std::int64_t features = settings_.analytic_features;
  projection_ = take("projection", features, initial.feature_width());
  moments_ = take("moments", features, features);
  targets_ = take("targets", features, -1);
  weights_ = take("weights", features, targets_.size(1));
}

}  // namespace hemafed::learning
