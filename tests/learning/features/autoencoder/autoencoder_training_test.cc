// SPDX-License-Identifier: Apache-2.0
//
// Training of the autoencoder: its loss and steps against torch.nn (autoencoder_reference.py), gradients in parts,
// checkpoints, variants and bad input.
#include "learning/features/autoencoder/autoencoder_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "learning/continual/checkpoint.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/features/autoencoder/cell_samples.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::LargestDifference;
using testing_support::SampleFeatures;
using testing_support::SamplePictures;
using testing_support::WriteSampleCache;

const Path kFile = "/cells.hfc";
const Path kRun = "/run";

AutoencoderSettings Small(DomainMethod method, std::uint32_t epochs, std::uint32_t batch) {
  AutoencoderSettings settings;
  settings.method = method;
  settings.epochs = epochs;
  settings.batch = batch;
  settings.adversary.widths = {8, 8};
  return settings;
}

struct Cells {
  explicit Cells(const std::vector<std::uint16_t>& domains) { (void)WriteSampleCache(files, kFile, domains); }
  [[nodiscard]] FeatureCache Open() { return FeatureCache::Open(files, kFile); }
  FaultFileSystem files;
};

void ExpectSameBits(const CellAutoencoder& a, const CellAutoencoder& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_TRUE(at::equal(a.tensors()[i].value, b.tensors()[i].value)) << a.tensors()[i].name;
  }
}

TEST(AutoencoderLoss, InPartsHasTheGradientOfTheWholeBatch) {
  const at::Tensor features = ScaleFeatures(SampleFeatures(2)).to(at::kDouble);
  const at::Tensor pictures = PictureTargets(SamplePictures(2)).to(at::kDouble);
  const std::vector<std::uint32_t> domain_of = {0, 0}, domains = {0, 1};
  const auto term = [&](const at::Tensor& z) { return AlignWithNormal(z, domain_of, domains); };
  // The loss as it is written, in one graph.
  CellAutoencoder whole = InitialAutoencoder(6, 3).Clone(at::kDouble);
  (void)whole.BeginTraining();
  const at::Tensor z = whole.Encode(features);
  const at::Tensor decoded = whole.DecodeFeatures(z);
  const at::Tensor feature_loss = (decoded - features).square().mean();
  const at::Tensor picture_loss = 1.0 - Ssim(whole.DecodePictures(decoded), pictures);
  const at::Tensor domain_loss = term(z).loss;
  (feature_loss + picture_loss + 5.0 * domain_loss).backward();
  CellAutoencoder parts = whole.Clone(at::kDouble);
  (void)parts.BeginTraining();
  const BatchLosses losses = AddGradients(parts, features, pictures, {}, /*decode_cells=*/1, 5.0, term);
  EXPECT_NEAR(losses.features, feature_loss.item<double>(), 1e-12);
  EXPECT_NEAR(losses.pictures, picture_loss.item<double>(), 1e-12);
  EXPECT_NEAR(losses.domains, domain_loss.item<double>(), 1e-12);
  EXPECT_EQ(losses.terms, 1u);
  EXPECT_EQ(losses.skipped, 1u);
  for (std::size_t i = 0; i < parts.tensors().size(); ++i) {
    const at::Tensor want = whole.tensors()[i].value.grad(), got = parts.tensors()[i].value.grad();
    ASSERT_GT(want.abs().max().item<double>(), 0.0) << parts.tensors()[i].name;
    EXPECT_LT(LargestDifference(got, want), 1e-12) << parts.tensors()[i].name;
  }
}

TEST(AutoencoderLoss, MayHoldPicturesToTheirSquaredError) {
  const at::Tensor features = ScaleFeatures(SampleFeatures(2));
  const at::Tensor pictures = PictureTargets(SamplePictures(2));
  CellAutoencoder model = InitialAutoencoder(6, 3);
  (void)model.BeginTraining();
  const PictureLoss squared{.kind = PictureLossKind::kSquaredError, .ssim = {}};
  const BatchLosses losses = AddGradients(model, features, pictures, squared, /*decode_cells=*/2, 0.0, {});
  const at::Tensor decoded = model.DecodePictures(model.DecodeFeatures(model.Encode(features)));
  EXPECT_NEAR(losses.pictures, (decoded - pictures).square().mean().item<double>(), 1e-6);
  EXPECT_NE(PictureLossName(squared.kind), PictureLossName(PictureLossKind::kSsim));
}

// Numbers from autoencoder_reference.py: torch.nn, torch.optim.Adam, float64; four cells of two domains in one batch.
TEST(AutoencoderTraining, TakesTheStepsOfAnotherImplementation) {
  Cells cells({0, 0, 1, 1});
  const FeatureCache cache = cells.Open();
  AutoencoderTraining training(cache, InitialAutoencoder(50, 2024), Small(DomainMethod::kAlignment, 3, 1'500));
  const double want[3][3] = {{0.571639881, 0.931737753, 0.104461462},
                             {0.563542456, 0.931328923, 0.143652154},
                             {0.549771403, 0.930848329, 0.0591133159}};
  for (const auto& row : want) {
    const BatchLosses losses = training.Step();
    EXPECT_NEAR(losses.features, row[0], 2e-4);
    EXPECT_NEAR(losses.pictures, row[1], 2e-4);
    EXPECT_NEAR(losses.domains, row[2], 1e-3);
    EXPECT_EQ(losses.terms, 1u);
  }
  EXPECT_TRUE(training.Finished());
  EXPECT_ERROR(ErrorCode::kConflict, "all its steps", (void)training.Step());
  ASSERT_EQ(training.Epochs().size(), 3u);
  EXPECT_NEAR(training.Epochs()[2].features, want[2][0], 2e-4);
  EXPECT_EQ(training.Epochs()[0].terms, 1u);
}

class EveryMethod : public testing::TestWithParam<DomainMethod> {};
INSTANTIATE_TEST_SUITE_P(All, EveryMethod,
                         testing::Values(DomainMethod::kNone, DomainMethod::kAlignment, DomainMethod::kNormal,
                                         DomainMethod::kAdversarial),
                         [](const auto& row) { return std::string(DomainMethodName(row.param)); });

TEST_P(EveryMethod, StoppedWithinAnEpochGoesOnWithTheSameBits) {
  Cells cells({0, 0, 1, 1, 1});
  const FeatureCache cache = cells.Open();
  const AutoencoderSettings settings = Small(GetParam(), 2, 4);  // Two steps an epoch, of 4 cells and of 1.
  AutoencoderTraining whole(cache, InitialAutoencoder(5, 1), settings);
  whole.Run();
  const Digest before = DigestOfAutoencoder(InitialAutoencoder(5, 1));
  EXPECT_NE(DigestOfAutoencoder(whole.model()), before);

  std::uint64_t seen = 0;
  {
    AutoencoderTraining first(cache, InitialAutoencoder(5, 1), settings);
    first.KeepCheckpoints(cells.files, kRun, 2);
    EXPECT_ERROR(ErrorCode::kInterrupted, "after step 3 of 4; start again", first.Run([&](const auto& progress) {
      EXPECT_EQ(progress.step, ++seen);
      EXPECT_EQ(progress.steps, 4u);
      EXPECT_EQ(progress.epoch, (seen - 1) / 2);
      return progress.step < 3;
    }));
  }
  AutoencoderTraining second(cache, InitialAutoencoder(5, 1), settings);
  second.KeepCheckpoints(cells.files, kRun, 2);
  second.Resume();
  EXPECT_EQ(second.steps_done(), 3u);
  second.Run();
  ExpectSameBits(second.model(), whole.model());
  ASSERT_EQ(second.Epochs().size(), 2u);
  for (std::size_t e = 0; e < 2; ++e) {
    EXPECT_EQ(second.Epochs()[e].features, whole.Epochs()[e].features);
    EXPECT_EQ(second.Epochs()[e].pictures, whole.Epochs()[e].pictures);
    EXPECT_EQ(second.Epochs()[e].domains, whole.Epochs()[e].domains);
    EXPECT_EQ(second.Epochs()[e].discriminator, whole.Epochs()[e].discriminator);
    EXPECT_EQ(second.Epochs()[e].terms + second.Epochs()[e].skipped,
              whole.Epochs()[e].terms + whole.Epochs()[e].skipped);
  }
  // A run that had ended comes back as one that had.
  AutoencoderTraining third(cache, InitialAutoencoder(5, 1), settings);
  third.KeepCheckpoints(cells.files, kRun, 2);
  third.Resume();
  EXPECT_TRUE(third.Finished());
  ExpectSameBits(third.model(), whole.model());
}

TEST(AutoencoderTraining, LearnsToGiveBackItsCells) {
  Cells cells({0});
  const FeatureCache cache = cells.Open();
  AutoencoderTraining training(cache, InitialAutoencoder(10, 1), Small(DomainMethod::kNone, 10, 1));
  training.Run();
  const auto epochs = training.Epochs();
  EXPECT_LT(epochs.back().features, 0.9 * epochs.front().features);
  EXPECT_LT(epochs.back().pictures, epochs.front().pictures);
  EXPECT_EQ(epochs.back().domains, 0.0);
}

TEST(AutoencoderTraining, CountsTheDomainsThatABatchLacked) {
  Cells cells({0, 0, 0, 1, 2, 2});
  const FeatureCache cache = cells.Open();
  AutoencoderTraining training(cache, InitialAutoencoder(5, 1), Small(DomainMethod::kAlignment, 1, 6));
  const BatchLosses losses = training.Step();
  EXPECT_EQ(losses.terms, 1u);    // Domains 0 and 2.
  EXPECT_EQ(losses.skipped, 1u);  // Domain 1 has one cell.
  EXPECT_TRUE(std::isfinite(losses.domains));
  EXPECT_EQ(training.Epochs().at(0).skipped, 1u);
}

TEST(AutoencoderTraining, WithPublishedMomentsOfEveryDomainTakesTheSameTermAsWithItsCells) {
  // Domain 0 trains alone, with the moments of domain 1; centrally both are there.
  Cells central({0, 0, 1, 1}), own({0, 0});
  const FeatureCache all = central.Open(), mine = own.Open();
  const CellAutoencoder model = InitialAutoencoder(8, 1);
  const at::Tensor latents = LatentsOf(model, all);
  const PublishedMoments published{0,
                                   {{0, MomentsOf(latents.narrow(0, 0, 2))}, {1, MomentsOf(latents.narrow(0, 2, 2))}}};
  AutoencoderTraining together(all, model.Clone(), Small(DomainMethod::kAlignment, 1, 4));
  AutoencoderTraining alone(mine, model.Clone(), Small(DomainMethod::kAlignment, 1, 4), published);
  const BatchLosses a = together.Step(), b = alone.Step();
  EXPECT_GT(a.domains, 1e-3);
  EXPECT_NEAR(a.domains, b.domains, 1e-5);
  EXPECT_EQ(b.terms, 1u);
}

TEST(AutoencoderTraining, RefusesToResumeAnotherRun) {
  Cells cells({0, 1, 0, 1});
  const FeatureCache cache = cells.Open();
  const AutoencoderSettings settings = Small(DomainMethod::kNone, 2, 2);
  AutoencoderTraining first(cache, InitialAutoencoder(5, 1), settings);
  first.KeepCheckpoints(cells.files, kRun, 1);
  (void)first.Step();
  const auto resume = [&](const FeatureCache& with, std::uint64_t initial, const AutoencoderSettings& other) {
    AutoencoderTraining training(with, InitialAutoencoder(5, initial), other);
    training.KeepCheckpoints(cells.files, kRun, 1);
    training.Resume();
  };
  resume(cache, 1, settings);
  AutoencoderSettings other = settings;
  other.seed = 9;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "made with seed = 0, now it is 9", resume(cache, 1, other));
  other = settings;
  other.picture_loss.ssim.window = 11;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "made with ssim.window = 10, now it is 11", resume(cache, 1, other));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "made with initial = ", resume(cache, 2, settings));
  Cells others({0, 1, 1, 1});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "made with cells = ", resume(others.Open(), 1, settings));
  Checkpoint broken = ReadCheckpoint(cells.files, kRun);
  broken.tensors.erase("model.encoder.3.conv.weight");
  WriteCheckpoint(cells.files, kRun, broken);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "lacks 'model.encoder.3.conv.weight'", resume(cache, 1, settings));
  broken.fields["step"] = 5;
  WriteCheckpoint(cells.files, kRun, broken);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "step", resume(cache, 1, settings));
}

TEST(AutoencoderTraining, AStepThatIsNotFiniteChangesNothingAndSaysWhatToDo) {
  Cells cells({0, 1});
  const FeatureCache cache = cells.Open();
  CellAutoencoder broken = InitialAutoencoder(5, 1);
  broken.tensors().front().value.select(0, 0).fill_(std::numeric_limits<float>::infinity());
  const Digest before = DigestOfAutoencoder(broken);
  AutoencoderTraining training(cache, std::move(broken), Small(DomainMethod::kNone, 1, 2));
  EXPECT_ERROR(ErrorCode::kConflict, "lower learning_rate", (void)training.Step());
  EXPECT_EQ(DigestOfAutoencoder(training.model()), before);
  EXPECT_EQ(training.steps_done(), 0u);
}

TEST(AutoencoderTraining, RefusesAnAlignmentWithNothingToAlign) {
  const auto align = [](const std::vector<std::uint16_t>& domains, std::uint32_t source) {
    Cells cells(domains);
    const FeatureCache cache = cells.Open();
    AutoencoderSettings settings = Small(DomainMethod::kAlignment, 1, 4);
    settings.source = source;
    AutoencoderTraining(cache, InitialAutoencoder(5, 1), settings);
  };
  EXPECT_NO_THROW(align({0, 0, 1, 2, 2}, 0));
  // One domain alone, a second one that never has a covariance, a source that has none.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing to align", align({0, 0, 0}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "choose the method none", align({0, 0, 0, 1}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing to align", align({0, 0, 0, 1}, 1));
}

TEST(AutoencoderTraining, RefusesPublishedMomentsOfNobodyElse) {
  const auto of = [](std::uint32_t domain, std::int64_t cells) {
    return PublishedDomain{domain, MomentsOf(at::zeros({cells, 5}) + 0.25)};
  };
  const auto align = [](std::size_t cells, std::uint32_t source, std::vector<PublishedDomain> published) {
    Cells own(std::vector<std::uint16_t>(cells, 3));
    const FeatureCache cache = own.Open();
    AutoencoderSettings settings = Small(DomainMethod::kAlignment, 1, 4);
    settings.source = source;
    AutoencoderTraining(cache, InitialAutoencoder(5, 1), settings, PublishedMoments{3, std::move(published)});
  };
  EXPECT_NO_THROW(align(2, 3, {of(3, 2), of(7, 2)}));
  EXPECT_NO_THROW(align(2, 7, {of(7, 2)}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "nothing to align domain 3", align(2, 3, {}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another domain", align(2, 3, {of(3, 2)}));  // Its own do not count.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the source domain 7", align(2, 7, {of(8, 2)}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two cells", align(2, 3, {of(7, 1)}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "two cells", align(1, 3, {of(7, 2)}));
}

TEST(AutoencoderTraining, RefusesWhatDoesNotFit) {
  Cells cells({0, 0, 1, 1});
  const FeatureCache cache = cells.Open();
  const auto make = [&](const auto& change, std::optional<PublishedMoments> published = std::nullopt) {
    AutoencoderSettings settings = Small(DomainMethod::kAlignment, 1, 2);
    change(settings);
    AutoencoderTraining(cache, InitialAutoencoder(5, 1), settings, std::move(published));
  };
  const auto nothing = [](AutoencoderSettings&) {};
  EXPECT_NO_THROW(make(nothing));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "epochs must be", make([](auto& s) { s.epochs = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch must be 1 to 65536", make([](auto& s) { s.batch = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch must be", make([](auto& s) { s.batch = 65'537; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "decode_cells", make([](auto& s) { s.decode_cells = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "learning_rate", make([](auto& s) { s.learning_rate = std::nan(""); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "beta", make([](auto& s) { s.beta = -1; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "64 taps", make([](auto& s) { s.picture_loss.ssim.window = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "source domain 2 has no cells", make([](auto& s) { s.source = 2; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cells of domain 0 alone", make(nothing, PublishedMoments{0, {}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "for the method alignment alone",
               make([](auto& s) { s.method = DomainMethod::kNone; }, PublishedMoments{0, {}}));
}

TEST(AutoencoderSettings, OutOfRangeAreRefusedWhateverTheMethod) {
  const auto check = [](const auto& change) {
    AutoencoderSettings settings = AutoencoderSettings::WithoutAlignment();
    change(settings);
    CheckSettings(settings);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW(check([](auto&) {}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "decode_cells", check([](auto& s) { s.decode_cells = 65'537; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "learning_rate", check([&](auto& s) { s.learning_rate = infinity; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "beta", check([&](auto& s) { s.beta = infinity; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "threads", check([](auto& s) { s.threads = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "method", check([](auto& s) { s.method = static_cast<DomainMethod>(4); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "goal",
               check([](auto& s) { s.adversary.goal = static_cast<AdversaryGoal>(2); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture_loss",
               check([](auto& s) { s.picture_loss.kind = static_cast<PictureLossKind>(2); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "C1 and C2", check([](auto& s) { s.picture_loss.ssim.c2 = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a layer of 0", check([](auto& s) { s.adversary.widths[1] = 0; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a layer of 4097", check([](auto& s) { s.adversary.widths[0] = 4'097; }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "learning_rate", check([](auto& s) { s.adversary.learning_rate = 0; }));
}

TEST(AutoencoderSettings, AreThePublishedOnesUnlessSaidOtherwise) {
  const AutoencoderSettings settings = AutoencoderSettings::AeCfe();
  EXPECT_EQ(settings.epochs, 150u);
  EXPECT_EQ(settings.batch, 1'500u);
  EXPECT_EQ(settings.learning_rate, 1e-3);
  EXPECT_EQ(settings.beta, 5.0);
  EXPECT_EQ(settings.picture_loss.ssim.window, 10);
  EXPECT_EQ(settings.method, DomainMethod::kAlignment);
  EXPECT_EQ(AutoencoderSettings::WithoutAlignment().method, DomainMethod::kNone);
  EXPECT_EQ(AutoencoderSettings::NormalVariant().method, DomainMethod::kNormal);
  EXPECT_EQ(AutoencoderSettings::AdversarialVariant().method, DomainMethod::kAdversarial);
}

}  // namespace
}  // namespace hemafed::learning
