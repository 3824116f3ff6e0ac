// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/latent_scale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/models/tensor_file.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed::learning {
namespace {

constexpr std::uint32_t kWidth = 5;

// Cells whose numbers differ little around different means; the last never changes.
std::vector<std::array<float, kWidth>> Cells() {
  std::vector<std::array<float, kWidth>> cells;
  for (int i = 0; i < 40; ++i) {
    const auto t = static_cast<float>(i);
    cells.push_back({0.36F + 0.003F * std::sin(t), -0.5F + 0.0005F * std::cos(t), 0.1F * std::sin(3.0F * t),
                     i == 0 ? 0.9F : 0.0F, 0.25F});
  }
  return cells;
}

LatentMoments Moments() {
  LatentMoments moments(kWidth);
  for (const auto& cell : Cells()) moments.AddCell(cell);
  return moments;
}

TEST(LatentScale, IsThatOfASlowComputation) {
  const LatentScale scale = ScaleOf(Moments());
  const auto cells = Cells();
  for (std::uint32_t i = 0; i < kWidth; ++i) {
    double sum = 0.0, squares = 0.0;
    for (const auto& cell : cells) sum += cell[i];
    const double mean = sum / static_cast<double>(cells.size());
    for (const auto& cell : cells) squares += (cell[i] - mean) * (cell[i] - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(cells.size() - 1));
    EXPECT_NEAR(scale.mean[i], mean, 1.0 / kMaxLatentSteps) << i;
    EXPECT_NEAR(scale.deviation[i], std::max<double>(deviation, kLeastLatentDeviation), 1.0 / kMaxLatentSteps) << i;
    for (const auto& cell : cells) {
      std::array<float, kWidth> latent = cell;
      scale.Apply(latent);
      const double expected = (cell[i] - scale.mean[i]) / (8.0 * scale.deviation[i]);
      EXPECT_NEAR(latent[i], std::clamp(expected, -1.0, 1.0), 1e-6) << i;
    }
  }
}

TEST(LatentScale, OrderStaysAndWhatNeverChangesIsNothing) {
  const LatentScale scale = ScaleOf(Moments());
  std::array<float, kWidth> low = Cells()[1], high = Cells()[2];
  ASSERT_LT(low[0], high[0]);
  scale.Apply(low);
  scale.Apply(high);
  EXPECT_GT(high[0] - low[0], 0.001F) << "told apart";
  EXPECT_EQ(low[4], 0.0F);
  std::array<float, kWidth> far{-1.0F, 1.0F, 1.0F, 1.0F, 1.0F};
  scale.Apply(far);
  EXPECT_EQ(far[0], -1.0F) << "held at the end";
  EXPECT_EQ(far[1], 1.0F);
  EXPECT_ERROR(ErrorCode::kInternal, "another width", scale.Apply(std::span(far).first(3)));
}

class LatentScaleFile : public testing::Test {
 protected:
  testing_support::FaultFileSystem files_;
  const Path file_ = "/autoencoder";
  const CellAutoencoder model_ = InitialAutoencoder(kWidth, 3);
};

TEST_F(LatentScaleFile, GoesWithTheNetwork) {
  SaveAutoencoder(files_, file_, model_);
  EXPECT_FALSE(LoadLatentScale(files_, file_).has_value());
  const LatentScale scale = ScaleOf(Moments());
  SaveAutoencoder(files_, file_, model_, {}, scale);
  const auto read = LoadLatentScale(files_, file_);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->mean, scale.mean);
  EXPECT_EQ(read->deviation, scale.deviation);
  EXPECT_EQ(DigestOfAutoencoder(LoadAutoencoder(files_, file_)), DigestOfAutoencoder(model_));
}

TEST_F(LatentScaleFile, WhatCannotBeIsRefused) {
  const auto load = [&](const std::vector<NamedTensor>& more) {
    std::vector<NamedTensor> tensors = model_.tensors();
    tensors.insert(tensors.end(), more.begin(), more.end());
    std::ranges::sort(tensors, {}, &NamedTensor::name);
    WriteTensors(files_, file_, tensors, {{"hemafed.architecture", "cell_autoencoder"}, {"hemafed.feature_width", "5"}},
                 "the test");
    (void)LoadAutoencoder(files_, file_);
  };
  const at::Tensor means = at::zeros({kWidth}), deviations = at::full({kWidth}, 0.1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not whole", load({{"latent.mean", means}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not whole", load({{"latent.deviation", deviations}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "latent.mean",
               load({{"latent.mean", at::zeros({kWidth + 1})}, {"latent.deviation", deviations}}));
  for (const float bad : {0.0F, -0.1F, 1.5F, std::numeric_limits<float>::quiet_NaN()}) {
    at::Tensor wrong = deviations.clone();
    wrong[2] = bad;
    EXPECT_ERROR(ErrorCode::kInvalidInput, "", load({{"latent.mean", means}, {"latent.deviation", wrong}}));
  }
  at::Tensor wrong = means.clone();
  wrong[0] = 1.5F;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "number 0", load({{"latent.mean", wrong}, {"latent.deviation", deviations}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another size",
               (void)SaveAutoencoder(files_, file_, model_, {}, LatentScale{{0.0F}, {1.0F}}));
}

}  // namespace
}  // namespace hemafed::learning
