// SPDX-License-Identifier: Apache-2.0
//
// Jobs of plans that train an autoencoder (strategy alignment): what they learn from are the cells that the plan's
// detector finds in this lab's training pictures, and what the other hospitals' latents are like.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "codec/latent_moments.h"
#include "codec/reports.h"
#include "common/error.h"
#include "common/random.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_round.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/round_update.h"

namespace hemafed::trainer {

using nlohmann::json;

static_assert(learning::kAutoencoderName == kAutoencoderArchitecture, "plans and model files use the same name");

namespace {

// A job knows one hospital's cells: its own domain, and after it those of the job's moments in their order.
constexpr std::uint32_t kOwnDomain = 0;

learning::CellAutoencoder LoadBase(const JobContext& context) {
  learning::CellAutoencoder model = learning::LoadAutoencoder(context.files, context.object(context.job.model));
  if (model.latent_size() != static_cast<std::int64_t>(context.plan.model.latent)) {
    throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": the model's latent has " +
                                              std::to_string(model.latent_size()) + " numbers, the plan says " +
                                              std::to_string(context.plan.model.latent));
  }
  if (learning::LoadLatentScale(context.files, context.object(context.job.model))) {
    throw Error(ErrorCode::kInvalidInput,
                context.job.Name() +
                    ": the model's latents are scaled for plans over them, and training would leave "
                    "that scale behind; name the file that it was made from in the plan");
  }
  return model;
}

ClassCounts CountsOf(const learning::FeatureCache& cells, const Plan& plan) {
  std::vector<std::uint64_t> counts(plan.classes.size());
  for (std::uint32_t cell = 0; cell < cells.size(); ++cell) ++counts.at(cells.Label(cell).cell_class);
  return WithholdSmall(counts, plan.min_pictures);
}

// What the job's term compares the site's own latents with, and the number of the source's domain.
struct Others {
  std::optional<learning::PublishedMoments> published;  // None where hospitals are not aligned.
  std::uint32_t source = kOwnDomain;
};

Others OthersOf(const JobContext& context) {
  Others others;
  const Plan& plan = context.plan;
  if (!plan.AlignsLatents()) return others;
  others.published = learning::PublishedMoments{.own = kOwnDomain, .domains = {}};
  const bool is_source = context.job.site == plan.strategy.source;
  bool has_source = is_source;
  for (const JobMoments& other : context.job.moments) {
    const auto domain = static_cast<std::uint32_t>(others.published->domains.size() + 1);
    const auto file = context.files.OpenForRead(context.object(other.moments));
    others.published->domains.push_back({.domain = domain, .moments = ReadLatentMoments(*file, plan.model.latent)});
    if (other.site != plan.strategy.source) continue;
    others.source = domain;
    has_source = true;
  }
  if (!has_source) {
    throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": names no moments of the source " +
                                              plan.strategy.source + ", which latents are drawn to");
  }
  return others;
}

learning::AutoencoderSettings SettingsOf(const JobContext& context, const Others& others) {
  const Plan& plan = context.plan;
  const TrainingPlan& training = context.task().training;
  learning::AutoencoderSettings settings;
  settings.batch = training.batch;
  settings.learning_rate = training.learning_rate;
  settings.threads = static_cast<int>(training.threads);
  settings.picture_loss.ssim.window = plan.strategy.window;
  settings.method = others.published ? learning::DomainMethod::kAlignment : learning::DomainMethod::kNone;
  settings.beta = plan.strategy.beta;
  settings.source = others.source;
  // Of the whole task: rounds go on in the same epochs.
  settings.seed =
      DeriveSeed(plan.seed, "cells of task " + std::to_string(context.job.task) + " at " + context.job.site);
  return settings;
}

}  // namespace

json RunCellCommitJob(const JobContext& context) {
  const learning::FeatureCache cells = context.pictures().Cells();
  return CommitmentReport{.pictures = cells.size(), .classes = CountsOf(cells, context.plan)}.ToJson();
}

json RunMomentsJob(const JobContext& context) {
  const Plan& plan = context.plan;
  if (!plan.AlignsLatents()) {
    throw Error(ErrorCode::kRefused, context.job.Name() + ": the plan does not ask for moments of latents");
  }
  const learning::FeatureCache cells = context.pictures().Cells();
  const learning::CellAutoencoder model = LoadBase(context);
  LatentMoments moments(plan.model.latent);
  const at::NoGradGuard no_gradients;
  const std::string phase = "measuring latents";
  context.progress(phase, 0, cells.size(), 0);
  for (std::uint32_t first = 0; first < cells.size(); first += kInferenceBatch) {
    context.RequireGoingOn();
    std::vector<std::uint32_t> part(std::min(kInferenceBatch, cells.size() - first));
    std::iota(part.begin(), part.end(), first);
    moments.Add(learning::MomentsOf(model.Encode(learning::ReadCells(cells, part, model.device()).features)));
    context.progress(phase, first + part.size(), cells.size(), first + part.size());
  }
  if (!moments.MaySend(static_cast<std::int64_t>(plan.min_pictures))) {
    throw Error(ErrorCode::kInvalidInput, context.job.Name() + ": only " + std::to_string(moments.cells()) +
                                              " training pictures have a cell, of which no moments may leave this "
                                              "lab; tell the operator to go on without it");
  }
  const Path file = context.work / std::string(kMomentsFileName);
  return MomentsReport{.values = WriteLatentMoments(context.files, file, moments),
                       .file_bytes = LatentMomentsBytes(plan.model.latent),
                       .cells = static_cast<std::uint64_t>(moments.cells())}
      .ToJson();
}

json RunCellTrainingJob(const JobContext& context) {
  const Job& job = context.job;
  const learning::FeatureCache cells = context.pictures().Cells();
  const Others others = OthersOf(context);
  learning::CellAutoencoder model = LoadBase(context);
  const TrainingPlan& training = context.task().training;
  const std::string phase = "training";
  context.progress(phase, 0, training.steps, 0);
  const learning::AutoencoderRoundReport trained = learning::TrainAutoencoderRound(
      cells, model, SettingsOf(context, others), others.published,
      {.first = std::uint64_t{job.round} * training.steps, .count = training.steps}, [&](std::uint32_t done) {
        context.RequireGoingOn();
        context.progress(phase, done, training.steps,
                         std::uint64_t{done} * std::min<std::uint32_t>(training.batch, cells.size()));
      });
  const QuantizedUpdate update = WriteRoundUpdate(context, model.tensors(), context.object(job.model));
  UpdateReport report;
  report.values = update.file.values;
  report.layout = update.layout;
  report.file = update.file.file;
  report.file_bytes = update.file.file_bytes;
  report.pictures = cells.size();
  report.classes = CountsOf(cells, context.plan);
  report.steps = training.steps;
  report.loss_millionths = LossMillionths(trained.loss);
  report.distillation_millionths = LossMillionths(trained.domains);
  report.residual = update.residual;
  return report.ToJson();
}

}  // namespace hemafed::trainer
