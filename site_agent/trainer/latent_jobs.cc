// SPDX-License-Identifier: Apache-2.0
//
// Jobs of plans over latents with [drift]: how the latents of this lab's training pictures compare with those of the
// hospitals before it, and their moments for the hospitals after it (docs/drift_check.md).
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "codec/drift_report.h"
#include "codec/latent_moments.h"
#include "codec/latent_reference.h"
#include "codec/reports.h"
#include "common/error.h"
#include "learning/features/latent/drift_check.h"
#include "learning/models/architecture.h"
#include "site_agent/trainer/jobs.h"

namespace hemafed::trainer {

using nlohmann::json;

static_assert(kSeenLatentWidth == learning::kLatentChannels, "plans and models know the same latents");

namespace {

void RequireAsked(const JobContext& context) {
  if (context.plan.drift) return;
  throw Error(ErrorCode::kRefused, context.job.Name() + ": the plan does not ask for what this lab's latents are like");
}

// Of the pictures that the site committed to train with, in the order of their digests.
learning::FeatureMatrix TrainingLatents(const JobContext& context) {
  const auto source = context.TrainingSource();
  const std::size_t width = context.plan.model.LatentWidth();
  learning::FeatureMatrix latents(source->Size(), width);
  for (std::size_t first = 0; first < source->Size(); first += kInferenceBatch) {
    context.RequireGoingOn();
    std::vector<std::uint32_t> part(std::min<std::size_t>(kInferenceBatch, source->Size() - first));
    std::iota(part.begin(), part.end(), static_cast<std::uint32_t>(first));
    const at::Tensor batch = source->Get(part, std::nullopt).images.contiguous();
    if (batch.numel() != static_cast<std::int64_t>(part.size() * width)) {
      throw Error(ErrorCode::kInternal, context.job.Name() + ": the pictures are no latents");
    }
    const float* values = batch.const_data_ptr<float>();
    std::copy(values, values + batch.numel(), &latents.values[first * width]);
  }
  return latents;
}

// Of so few nothing leaves, and that is said without their number. Pictures may have been withdrawn since the
// commitment, which is nobody's fault.
bool IsTooFew(std::size_t pictures, const Plan& plan) {
  return pictures < std::max<std::uint64_t>(plan.min_pictures, 2);
}

std::vector<GaussianComponent> OthersOf(const JobContext& context) {
  std::vector<GaussianComponent> components;
  for (const JobMoments& other : context.job.moments) {
    const auto file = context.files.OpenForRead(context.object(other.moments));
    components.push_back(ComponentOf(ReadLatentMoments(*file, context.plan.model.LatentWidth())));
  }
  return components;
}

// What the call returns, or nothing where it refuses what it was given.
template <typename Call>
auto UnlessRefused(const Call& call) -> std::optional<decltype(call())> {
  try {
    return call();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::nullopt;
  }
}

}  // namespace

json RunDriftJob(const JobContext& context) {
  RequireAsked(context);
  const JobDrift& asked = context.job.drift.value();
  if (asked.permutations != context.plan.drift->permutations || asked.rows != context.plan.drift->rows) {
    throw Error(ErrorCode::kRefused, context.job.Name() + ": asks for another test than the plan's [drift]");
  }
  const learning::FeatureMatrix own = TrainingLatents(context);
  if (IsTooFew(own.rows, context.plan)) return BelowMinPictures{}.ToJson();
  learning::RequireUsable(own, "this lab's training pictures");
  const std::vector<GaussianComponent> others = OthersOf(context);
  const auto refused = [&](DriftRefusalReason reason) {
    return DriftRefusal{.reason = reason, .reference_digest = DigestOfComponents(others), .pictures = own.rows}
        .ToJson();
  };
  if (own.rows < kMinDriftRows) return refused(DriftRefusalReason::kTooFewPictures);
  const auto reference = UnlessRefused([&] { return learning::GaussianReference(others); });
  if (!reference) return refused(DriftRefusalReason::kUnusableReference);

  const std::string phase = "comparing with the consortium";
  context.progress(phase, 0, 1, 0);
  const learning::TwoSampleSettings settings{
      .permutations = asked.permutations, .rows_max = asked.rows, .seed = asked.seed};
  // Everything else that it refuses has been looked at: what is left is a median distance of 0.
  const auto report =
      UnlessRefused([&] { return learning::CheckDrift(own, *reference, settings, asked.members, context.stop); });
  if (!report) return refused(DriftRefusalReason::kConstantFeatures);
  context.progress(phase, 1, 1, own.rows);
  return report->ToJson();
}

json RunLatentMomentsJob(const JobContext& context) {
  RequireAsked(context);
  const learning::FeatureMatrix own = TrainingLatents(context);
  if (IsTooFew(own.rows, context.plan)) return BelowMinPictures{}.ToJson();
  LatentMoments moments(context.plan.model.LatentWidth());
  for (std::size_t row = 0; row < own.rows; ++row) moments.AddCell(own.Row(row));
  const Path file = context.work / std::string(kMomentsFileName);
  return MomentsReport{.values = WriteLatentMoments(context.files, file, moments),
                       .file_bytes = LatentMomentsBytes(moments.width()),
                       .cells = static_cast<std::uint64_t>(moments.cells())}
      .ToJson();
}

}  // namespace hemafed::trainer
