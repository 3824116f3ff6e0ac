// SPDX-License-Identifier: Apache-2.0
//
// One hospital's share of a federated round: the steps of central training where they are the same, batches that go on
// from round to round, and what is refused.
#include "learning/features/autoencoder/autoencoder_round.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>

#include "learning/features/autoencoder/autoencoder_file.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/features/autoencoder/cell_samples.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::WriteSampleCache;

const Path kFile = "/cells.hfc";

AutoencoderSettings Settings(DomainMethod method) {
  AutoencoderSettings settings;
  settings.method = method;
  settings.epochs = 2;
  settings.batch = 2;
  settings.seed = 3;
  return settings;
}

class AutoencoderRound : public testing::Test {
 protected:
  AutoencoderRound() {
    (void)WriteSampleCache(files_, kFile, {0, 0, 0});
    (void)WriteSampleCache(files_, "/others.hfc", {0, 0, 0, 1, 1});
  }
  [[nodiscard]] FeatureCache Open() { return FeatureCache::Open(files_, kFile); }
  // Of the two cells that another hospital would have, domain 1.
  [[nodiscard]] PublishedMoments Published(const CellAutoencoder& model) {
    const at::Tensor latents = LatentsOf(model, FeatureCache::Open(files_, "/others.hfc"));
    return {.own = 0, .domains = {{.domain = 1, .moments = MomentsOf(latents.narrow(0, 3, 2))}}};
  }

  FaultFileSystem files_;
};

void ExpectSameBits(const CellAutoencoder& a, const CellAutoencoder& b) {
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_TRUE(at::equal(a.tensors()[i].value, b.tensors()[i].value)) << a.tensors()[i].name;
  }
}

TEST_F(AutoencoderRound, FromTheFirstStepOnItTakesTheStepsOfCentralTraining) {
  const FeatureCache cells = Open();
  const CellAutoencoder initial = InitialAutoencoder(5, 1);
  for (const bool aligned : {false, true}) {
    std::optional<PublishedMoments> published;
    if (aligned) published = Published(initial);
    const AutoencoderSettings settings = Settings(aligned ? DomainMethod::kAlignment : DomainMethod::kNone);
    AutoencoderTraining central(cells, initial.Clone(), settings, published);
    const BatchLosses first = central.Step(), second = central.Step();

    CellAutoencoder model = initial.Clone();
    std::vector<std::uint32_t> done;
    const AutoencoderRoundReport report =
        TrainAutoencoderRound(cells, model, settings, published, {.first = 0, .count = 2},
                              [&](std::uint32_t steps) { done.push_back(steps); });
    ExpectSameBits(model, central.model());
    EXPECT_EQ(done, (std::vector<std::uint32_t>{1, 2}));
    const auto whole = [&](const BatchLosses& of) {
      return of.features + of.pictures + (aligned ? settings.beta * of.domains : 0.0);
    };
    EXPECT_DOUBLE_EQ(report.loss, (whole(first) + whole(second)) / 2);
    EXPECT_DOUBLE_EQ(report.domains, (first.domains + second.domains) / 2);
    // The second batch of the epoch has one cell, hence no covariance.
    EXPECT_EQ(report.terms, aligned ? 1u : 0u);
    EXPECT_EQ(report.skipped, aligned ? 1u : 0u);
    EXPECT_FALSE(model.tensors().front().value.requires_grad());
  }
}

TEST_F(AutoencoderRound, ALaterRoundGoesOnInTheSameEpochsWithAFreshOptimiser) {
  const FeatureCache cells = Open();
  const AutoencoderSettings settings = Settings(DomainMethod::kNone);
  CellAutoencoder model = InitialAutoencoder(5, 1);
  (void)TrainAutoencoderRound(cells, model, settings, std::nullopt, {.first = 3, .count = 1});
  // The same step, slowly: the fourth of all has the second batch of the second epoch.
  CellAutoencoder slow = InitialAutoencoder(5, 1);
  const auto adam =
      MakeOptimiser(slow.BeginTraining(), {.kind = OptimiserKind::kAdam, .learning_rate = settings.learning_rate});
  CellDraws draws(settings.seed, cells.size(), settings.batch);
  const std::vector<std::uint32_t> drawn = draws.Cells(3);
  EXPECT_EQ(drawn.size(), 1u);
  const CellBatch batch = ReadCells(cells, drawn, slow.device());
  (void)AddGradients(slow, batch.features, batch.pictures, settings.picture_loss, settings.decode_cells, 0.0, {});
  (void)adam->Step(settings.learning_rate);
  ExpectSameBits(model, slow);
  // Again: the same bits.
  CellAutoencoder again = InitialAutoencoder(5, 1);
  (void)TrainAutoencoderRound(cells, again, settings, std::nullopt, {.first = 3, .count = 1});
  ExpectSameBits(model, again);
}

TEST_F(AutoencoderRound, ASourceWithNobodyElseIsTrainedWithoutATerm) {
  const FeatureCache cells = Open();
  CellAutoencoder aligned = InitialAutoencoder(5, 1), plain = InitialAutoencoder(5, 1);
  const AutoencoderRoundReport report =
      TrainAutoencoderRound(cells, aligned, Settings(DomainMethod::kAlignment),
                            PublishedMoments{.own = 0, .domains = {}}, {.first = 0, .count = 1});
  EXPECT_EQ(report.terms, 0u);
  (void)TrainAutoencoderRound(cells, plain, Settings(DomainMethod::kNone), std::nullopt, {.first = 0, .count = 1});
  ExpectSameBits(aligned, plain);
}

TEST_F(AutoencoderRound, WhatDoesNotFitIsRefused) {
  const FeatureCache cells = Open(), others = FeatureCache::Open(files_, "/others.hfc");
  const PublishedMoments published{.own = 0, .domains = {}};
  const auto train = [&](const FeatureCache& with, DomainMethod method, std::optional<PublishedMoments> moments,
                         std::uint32_t steps, std::uint32_t source = 0) {
    CellAutoencoder model = InitialAutoencoder(5, 1);
    AutoencoderSettings settings = Settings(method);
    settings.source = source;
    (void)TrainAutoencoderRound(with, model, settings, moments, {.first = 0, .count = steps});
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no steps", train(cells, DomainMethod::kNone, {}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "belong to the method alignment",
               train(cells, DomainMethod::kAlignment, {}, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "belong to the method alignment",
               train(cells, DomainMethod::kNone, published, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "or not at all", train(cells, DomainMethod::kNormal, {}, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "domain 0 alone", train(others, DomainMethod::kAlignment, published, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "source domain 1 were not published",
               train(cells, DomainMethod::kAlignment, published, 1, 1));
}

TEST_F(AutoencoderRound, StopsWhereItsCallerThrows) {
  const FeatureCache cells = Open();
  CellAutoencoder model = InitialAutoencoder(5, 1);
  std::uint32_t steps = 0;
  const auto stop = [&](std::uint32_t done) {
    steps = done;
    throw Error(ErrorCode::kInterrupted, "stopped");
  };
  EXPECT_ERROR(ErrorCode::kInterrupted, "stopped",
               (void)TrainAutoencoderRound(cells, model, Settings(DomainMethod::kNone), std::nullopt,
                                           {.first = 0, .count = 4}, stop));
  EXPECT_EQ(steps, 1u);
}

}  // namespace
}  // namespace hemafed::learning
