// SPDX-License-Identifier: Apache-2.0
#include "learning/models/architecture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/update.h"
#include "learning/models/resnet_plan.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

std::int64_t Count(Architecture architecture, std::int64_t classes, TensorRole role) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : TensorsOf(architecture, classes)) {
    if (spec.role != role) continue;
    std::int64_t values = 1;
    for (const std::int64_t side : spec.shape) values *= side;
    count += values;
  }
  return count;
}

TEST(Architecture, Lite0HasThePublishedNumberOfParameters) {
  constexpr auto kLite0 = Architecture::kEfficientNetLite0;
  const std::int64_t trunk = Count(kLite0, 1000, TensorRole::kWeight) + Count(kLite0, 1000, TensorRole::kAffine);
  EXPECT_EQ(trunk, 3'371'008);
  EXPECT_EQ(trunk + Count(kLite0, 1000, TensorRole::kHead), 4'652'008);  // 4.65 M
  EXPECT_EQ(Count(kLite0, 0, TensorRole::kBuffer), Count(kLite0, 0, TensorRole::kAffine));
  EXPECT_EQ(FeatureWidth(kLite0), 1280);
}

TEST(Architecture, SmallCnnHasTheDocumentedNumberOfParametersAndNoBuffers) {
  constexpr auto kSmall = Architecture::kSmallCnn;
  EXPECT_EQ(Count(kSmall, 0, TensorRole::kWeight) + Count(kSmall, 0, TensorRole::kAffine), 185'824);
  EXPECT_EQ(Count(kSmall, 5, TensorRole::kHead), 5 * 128 + 5);
  EXPECT_EQ(Count(kSmall, 5, TensorRole::kBuffer), 0);
  EXPECT_EQ(FeatureWidth(kSmall), 128);
  for (const SmallCnnStage& stage : SmallCnnStages()) EXPECT_EQ(stage.out_channels % kChannelsPerGroup, 0);
}

TEST(Architecture, DropoutOfLite0SitsBehindTheLastBlockOf40Channels) {
  const std::vector<Lite0Block>& blocks = Lite0Blocks();
  ASSERT_EQ(blocks.size(), 16u);
  EXPECT_EQ(blocks[kLite0BlocksBeforeDropout - 1].out_channels, 40);
  EXPECT_EQ(blocks[kLite0BlocksBeforeDropout].in_channels, 40);
  EXPECT_EQ(blocks[kLite0BlocksBeforeDropout].out_channels, 80);
}

TEST(Architecture, ResidualNetworksHaveThePublishedNumbersOfParameters) {
  // published-systems 2.1 and 5.1: trunks; ResNet-50 is torchvision's 25,557,032 less its head of 1000 classes.
  struct Row {
    Architecture architecture;
    std::int64_t trunk, features, statistics;
  };
  for (const Row& row : {Row{Architecture::kResNet18, 11'176'512, 512, 2 * 4'800},
                         Row{Architecture::kResNet50, 25'557'032 - 2'049'000, 2'048, 2 * 26'560},
                         Row{Architecture::kResNeXt50, 22'979'904, 2'048, 2 * 34'112}}) {
    const std::int64_t trunk =
        Count(row.architecture, 0, TensorRole::kWeight) + Count(row.architecture, 0, TensorRole::kAffine);
    EXPECT_EQ(trunk, row.trunk) << ArchitectureName(row.architecture);
    EXPECT_EQ(FeatureWidth(row.architecture), row.features);
    EXPECT_EQ(Count(row.architecture, 0, TensorRole::kBuffer), row.statistics);
  }
}

TEST(Architecture, ResNeXt50HasThePublishedNumbersPartByPartAndForEveryNumberOfClasses) {
  constexpr auto kResNeXt = Architecture::kResNeXt50;
  const auto count = [](std::string_view prefix) {
    std::int64_t sum = 0;
    for (const TensorSpec& spec : TensorsOf(kResNeXt, 0)) {
      if (!spec.name.starts_with(prefix) || spec.role == TensorRole::kBuffer) continue;
      std::int64_t values = 1;
      for (const std::int64_t side : spec.shape) values *= side;
      sum += values;
    }
    return sum;
  };
  EXPECT_EQ(count("conv1."), 9'408);
  EXPECT_EQ(count("bn1."), 128);
  EXPECT_EQ(count("layer1."), 205'824);
  EXPECT_EQ(count("layer2."), 1'197'056);
  EXPECT_EQ(count("layer3."), 7'022'592);
  EXPECT_EQ(count("layer4."), 14'544'896);
  const std::vector<std::pair<std::int64_t, std::int64_t>> whole = {
      {3, 22'986'051},  {6, 22'992'198},  {9, 22'998'345},  {10, 23'000'394},
      {13, 23'006'541}, {15, 23'010'639}, {16, 23'012'688}, {1000, 25'028'904}};
  for (const auto& [classes, parameters] : whole) {
    EXPECT_EQ(count("") + Count(kResNeXt, classes, TensorRole::kHead), parameters) << classes;
  }
}

TEST(Architecture, ResidualNetworksHaveTorchvisionsNamesAndShapes) {
  const auto shape = [](Architecture architecture, const std::string& name) {
    for (const TensorSpec& spec : TensorsOf(architecture, 2)) {
      if (spec.name == name) return spec.shape;
    }
    return std::vector<std::int64_t>{};
  };
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(shape(Architecture::kResNet18, "conv1.weight"), (Shape{64, 3, 7, 7}));
  EXPECT_EQ(shape(Architecture::kResNet18, "layer1.0.downsample.0.weight"), Shape{});  // The input itself is added.
  EXPECT_EQ(shape(Architecture::kResNet18, "layer4.0.downsample.0.weight"), (Shape{512, 256, 1, 1}));
  EXPECT_EQ(shape(Architecture::kResNet50, "layer2.0.conv2.weight"), (Shape{128, 128, 3, 3}));
  EXPECT_EQ(shape(Architecture::kResNeXt50, "layer1.0.downsample.1.running_var"), Shape{256});
  EXPECT_EQ(shape(Architecture::kResNeXt50, "layer3.5.conv2.weight"), (Shape{512, 16, 3, 3}));
  EXPECT_EQ(shape(Architecture::kResNeXt50, "layer3.6.conv2.weight"), Shape{});
  EXPECT_EQ(shape(Architecture::kResNeXt50, "head.weight"), (Shape{2, 2048}));
}

TEST(ResNetPlan, TheStrideOfABottleneckIsOnIts3x3Convolution) {
  for (const auto architecture : {Architecture::kResNet50, Architecture::kResNeXt50}) {
    for (const ResNetBlock& block : ResNetBlocks(architecture)) {
      EXPECT_EQ(block.branch[0].stride, 1);
      EXPECT_EQ(block.branch[1].stride, block.shortcut.empty() ? 1 : block.shortcut[0].stride);
      EXPECT_EQ(block.branch[1].kernel, 3);
      EXPECT_EQ(block.branch[2].stride, 1);
    }
  }
  EXPECT_ERROR(ErrorCode::kInternal, "no residual network", (void)ResNetPlanOf(Architecture::kSmallCnn));
}

TEST(Architecture, AeCfeIsASmallPerceptronOverTheLatent) {
  constexpr auto kLatents = Architecture::kAeCfe;
  EXPECT_EQ(InputChannels(kLatents), 50);
  EXPECT_EQ(InputChannels(Architecture::kSmallCnn), 3);
  EXPECT_EQ(NormalisationOf(kLatents), Normalisation::kGroupWs);
  std::int64_t values = 0;
  for (const TensorSpec& spec : TensorsOf(kLatents, 0)) {
    std::int64_t of_tensor = 1;
    for (const std::int64_t side : spec.shape) of_tensor *= side;
    values += of_tensor;
  }
  EXPECT_EQ(values, 50 * 128 + 128 * 128 + 4 * 128);
  EXPECT_EQ(values, 23'296) << "the number in architecture.h";
}

TEST(Architecture, TensorsAreInAscendingByteOrderWithoutRepetition) {
  for (const Architecture architecture : kArchitectures) {
    for (const Normalisation normalisation : kNormalisations) {
      const std::vector<TensorSpec> specs = TensorsOf(architecture, 3, normalisation);
      for (std::size_t i = 1; i < specs.size(); ++i) EXPECT_LT(specs[i - 1].name, specs[i].name);
    }
  }
}

TEST(Architecture, NormalisationsDifferInRunningStatisticsOnlyAndAllFitEveryArchitecture) {
  for (const Architecture architecture : kArchitectures) {
    for (const Normalisation normalisation : kNormalisations) {
      std::vector<TensorSpec> without;
      std::size_t statistics = 0;
      for (TensorSpec& spec : TensorsOf(architecture, 3, normalisation)) {
        statistics += spec.role == TensorRole::kBuffer ? 1 : 0;
        if (spec.role != TensorRole::kBuffer) without.push_back(std::move(spec));
      }
      const std::vector<TensorSpec> group = TensorsOf(architecture, 3, Normalisation::kGroup);
      ASSERT_EQ(without.size(), group.size());
      for (std::size_t i = 0; i < group.size(); ++i) EXPECT_EQ(without[i].name, group[i].name);
      EXPECT_EQ(statistics > 0, HasRunningStatistics(normalisation));
      for (const TensorSpec& spec : without) {
        if (spec.role == TensorRole::kAffine) {
          EXPECT_EQ(spec.shape[0] % kChannelsPerGroup, 0) << spec.name;
        }
      }
    }
  }
}

TEST(Architecture, BuffersAreExactlyTheNamesThatUpdatesLeaveOut) {
  for (const Architecture architecture : kArchitectures) {
    for (const TensorSpec& spec : TensorsOf(architecture, 2, Normalisation::kBatch)) {
      EXPECT_EQ(spec.role == TensorRole::kBuffer, IsNormalisationBuffer(spec.name)) << spec.name;
    }
  }
}

TEST(Architecture, NamesGoThereAndBackAndUnknownOnesListTheKnown) {
  for (const Architecture architecture : kArchitectures) {
    EXPECT_EQ(ArchitectureFromName(ArchitectureName(architecture)), architecture);
  }
  for (const Normalisation normalisation : kNormalisations) {
    EXPECT_EQ(NormalisationFromName(NormalisationName(normalisation)), normalisation);
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "efficientnet_lite0, small_cnn, resnet18, resnet50, resnext50_32x4d, ae_cfe",
               (void)ArchitectureFromName("resnet34"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch, batch_frozen, batch_local, group, group_ws",
               (void)NormalisationFromName("layer"));
}

TEST(Architecture, BatchStatisticsGoWithImportedWeightsAndGroupNormWithRandomOnes) {
  for (const Normalisation normalisation : kNormalisations) {
    const bool batch = NormalisationName(normalisation).starts_with("batch");
    const auto fitting = batch ? WeightOrigin::kImported : WeightOrigin::kRandom;
    const auto other = batch ? WeightOrigin::kRandom : WeightOrigin::kImported;
    RequirePair(normalisation, fitting);
    EXPECT_ERROR(ErrorCode::kInvalidInput,
                 "'" + std::string(NormalisationName(normalisation)) + "' does not go with " +
                     (batch ? "random weights" : "imported weights"),
                 RequirePair(normalisation, other));
  }
}

TEST(Architecture, HeadsOutsideTheLimitAreRefused) {
  EXPECT_EQ(TensorsOf(Architecture::kSmallCnn, 0).size() + 2, TensorsOf(Architecture::kSmallCnn, 1).size());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "-1 classes", (void)TensorsOf(Architecture::kSmallCnn, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4097 classes", (void)TensorsOf(Architecture::kSmallCnn, 4097));
}

}  // namespace
}  // namespace hemafed::learning
