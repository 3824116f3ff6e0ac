// SPDX-License-Identifier: Apache-2.0
#include "learning/models/architecture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

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

TEST(Architecture, TensorsAreInAscendingByteOrderWithoutRepetition) {
  for (const auto architecture : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn}) {
    const std::vector<TensorSpec> specs = TensorsOf(architecture, 3);
    for (std::size_t i = 1; i < specs.size(); ++i) EXPECT_LT(specs[i - 1].name, specs[i].name);
  }
}

TEST(Architecture, BuffersAreExactlyTheNamesThatUpdatesLeaveOut) {
  for (const TensorSpec& spec : TensorsOf(Architecture::kEfficientNetLite0, 2)) {
    const bool left_out = spec.name.ends_with(".running_mean") || spec.name.ends_with(".running_var");
    EXPECT_EQ(spec.role == TensorRole::kBuffer, left_out) << spec.name;
  }
}

TEST(Architecture, NamesGoThereAndBackAndUnknownOnesListTheKnown) {
  for (const auto architecture : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn}) {
    EXPECT_EQ(ArchitectureFromName(ArchitectureName(architecture)), architecture);
  }
  for (const auto normalisation : {Normalisation::kBatchFrozen, Normalisation::kGroupWs}) {
    EXPECT_EQ(NormalisationFromName(NormalisationName(normalisation)), normalisation);
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "efficientnet_lite0 and small_cnn", (void)ArchitectureFromName("resnet50"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "batch_frozen and group_ws", (void)NormalisationFromName("batch"));
}

TEST(Architecture, EveryOtherPairOfNormalisationIsRefused) {
  RequirePair(Architecture::kEfficientNetLite0, Normalisation::kBatchFrozen);
  RequirePair(Architecture::kSmallCnn, Normalisation::kGroupWs);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "use 'batch_frozen'",
               RequirePair(Architecture::kEfficientNetLite0, Normalisation::kGroupWs));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "use 'group_ws'",
               RequirePair(Architecture::kSmallCnn, Normalisation::kBatchFrozen));
}

TEST(Architecture, HeadsOutsideTheLimitAreRefused) {
  EXPECT_EQ(TensorsOf(Architecture::kSmallCnn, 0).size() + 2, TensorsOf(Architecture::kSmallCnn, 1).size());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "-1 classes", (void)TensorsOf(Architecture::kSmallCnn, -1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4097 classes", (void)TensorsOf(Architecture::kSmallCnn, 4097));
}

}  // namespace
}  // namespace hemafed::learning
