// SPDX-License-Identifier: Apache-2.0
#include "learning/models/precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "learning/models/classifier.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeModel;
using testing_support::Uniform;

TEST(Precision, NamesGoThereAndBack) {
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16}) {
    EXPECT_EQ(PrecisionFromName(PrecisionName(precision)), precision);
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "float32 and bfloat16", (void)PrecisionFromName("fp16"));
}

TEST(PrecisionScope, LeavesTheThreadAsItFoundIt) {
  const bool before = at::autocast::is_autocast_enabled(at::kCPU);
  {
    const PrecisionScope outer(Precision::kBfloat16, at::kCPU);
    EXPECT_TRUE(at::autocast::is_autocast_enabled(at::kCPU));
    {
      const PrecisionScope inner(Precision::kFloat32, at::kCPU);
      EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    }
    EXPECT_TRUE(at::autocast::is_autocast_enabled(at::kCPU));
  }
  EXPECT_EQ(at::autocast::is_autocast_enabled(at::kCPU), before);
}

struct Row {
  Architecture architecture;
  Normalisation normalisation;
  // What rounding to 8 bits may do to made-up weights: more the deeper the network.
  double logits;          // largest relative change
  double gradient_angle;  // least cosine between the gradients
};
class Bfloat16 : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Models, Bfloat16,
                         testing::Values(Row{Architecture::kSmallCnn, Normalisation::kGroupWs, 0.02, 0.99},
                                         Row{Architecture::kSmallCnn, Normalisation::kBatch, 0.02, 0.99},
                                         Row{Architecture::kEfficientNetLite0, Normalisation::kBatchFrozen, 0.1, 0.8},
                                         Row{Architecture::kResNet18, Normalisation::kBatchFrozen, 0.02, 0.97},
                                         Row{Architecture::kResNet18, Normalisation::kBatch, 0.1, 0.8},
                                         Row{Architecture::kResNet18, Normalisation::kGroup, 0.05, 0.97}),
                         [](const auto& row) {
                           return std::string(ArchitectureName(row.param.architecture)) + "_" +
                                  std::string(NormalisationName(row.param.normalisation));
                         });

TEST_P(Bfloat16, RoundsInsideTheTrunkAndKeepsEverythingElseInFloat32) {
  Classifier model = RecipeModel(GetParam().architecture, 3, 1, GetParam().normalisation);
  const at::Tensor pictures = Uniform(3, {4, 3, 64, 64}, -2, 2);
  std::vector<at::Tensor> logits;
  std::vector<std::vector<at::Tensor>> gradients;
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16}) {
    model.SetPrecision(precision);
    const std::vector<NamedTensor> trained = model.BeginTraining(/*freeze_affine=*/false);
    const at::Tensor inside = model.TrunkBefore(pictures);
    if (precision == Precision::kBfloat16 && GetParam().normalisation != Normalisation::kGroup) {
      EXPECT_EQ(inside.scalar_type(), at::kBFloat16);
    }
    EXPECT_TRUE(inside.is_contiguous(at::MemoryFormat::ChannelsLast));
    const at::Tensor features = model.TrunkAfter(inside);
    EXPECT_EQ(features.scalar_type(), at::kFloat);
    logits.push_back(model.Head(features));
    EXPECT_EQ(logits.back().scalar_type(), at::kFloat);
    logits.back().square().sum().backward();
    gradients.emplace_back();
    for (const NamedTensor& tensor : trained) {
      EXPECT_EQ(tensor.value.scalar_type(), at::kFloat);
      ASSERT_TRUE(tensor.value.grad().defined()) << tensor.name;
      EXPECT_EQ(tensor.value.grad().scalar_type(), at::kFloat) << tensor.name;
      gradients.back().push_back(tensor.value.grad().detach().clone());
    }
    model.EndTraining();
  }
  const double scale = logits[0].abs().max().item<double>();
  const double difference = LargestDifference(logits[0], logits[1]);
  EXPECT_GT(difference, 0.0);  // It did compute otherwise.
  EXPECT_LT(difference, GetParam().logits * scale);
  // The direction of the whole gradient is kept.
  double product = 0, ours = 0, reference = 0;
  for (std::size_t i = 0; i < gradients[0].size(); ++i) {
    product += (gradients[0][i].to(at::kDouble) * gradients[1][i].to(at::kDouble)).sum().item<double>();
    reference += gradients[0][i].to(at::kDouble).square().sum().item<double>();
    ours += gradients[1][i].to(at::kDouble).square().sum().item<double>();
  }
  EXPECT_GT(product / std::sqrt(ours * reference), GetParam().gradient_angle);
}

TEST(PrecisionOfAModel, IsInheritedByCopiesAndRefusedInFloat64) {
  Classifier model = RecipeModel(Architecture::kSmallCnn, 2);
  EXPECT_EQ(model.precision(), Precision::kFloat32);
  model.SetPrecision(Precision::kBfloat16);
  EXPECT_EQ(model.Clone().precision(), Precision::kBfloat16);
  EXPECT_EQ(model.To(at::kCPU).precision(), Precision::kBfloat16);
  Classifier wide = model.Clone(at::kDouble);
  EXPECT_EQ(wide.precision(), Precision::kFloat32);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "only a float32 model", wide.SetPrecision(Precision::kBfloat16));
}

}  // namespace
}  // namespace hemafed::learning
