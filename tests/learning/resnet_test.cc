// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "learning/models/classifier.h"
#include "learning/models/model_file.h"
#include "learning/models/resnet_trunk.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::RecipeModel;
using testing_support::RecipePictures;

// Logits 0, 1, 2, 3, 500 and 999 of picture 0 and the largest one's index, computed by torchvision 0.28.0: printed by
// resnet_reference.py.
constexpr std::array<std::int64_t, 6> kShown = {0, 1, 2, 3, 500, 999};
struct Reference {
  std::array<double, 6> logits;
  std::int64_t largest;
};
constexpr double kParity = 1e-4;
constexpr std::uint64_t kSeed = 2024;

void ExpectLogits(const at::Tensor& logits, const Reference& want) {
  for (std::size_t i = 0; i < kShown.size(); ++i) {
    EXPECT_NEAR(logits[0][kShown[i]].item<double>(), want.logits[i], kParity) << "logit " << kShown[i];
  }
  EXPECT_EQ(logits[0].argmax().item<std::int64_t>(), want.largest);
}

const at::Tensor& Named(const Classifier& model, const std::string& name) {
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == name) return tensor.value;
  }
  ADD_FAILURE() << "no tensor " << name;
  return model.tensors().front().value;
}

struct Network {
  Architecture architecture;
  std::int64_t parameters;  // with 1000 classes
  Reference at_224, at_128, at_96_131;
  Reference batch;                      // two pictures of 64 x 64
  std::array<double, 4> running_after;  // of the four places in the test below, channel 5
  Reference group, group_ws;            // 96 x 96
};

const std::vector<Network>& Networks() {
  static const std::vector<Network> networks = {
      {.architecture = Architecture::kResNet18,
       .parameters = 11'689'512,
       .at_224 = {{1.401492, 0.080400, 0.030358, 0.234428, 0.897325, -0.469117}, 642},
       .at_128 = {{1.369360, 0.111056, 0.046179, 0.221851, 0.873398, -0.458913}, 899},
       .at_96_131 = {{1.367256, 0.122390, 0.049238, 0.226551, 0.777097, -0.431328}, 642},
       .batch = {{1.339290, 0.343256, -0.153038, 0.496787, 0.359112, -0.800795}, 620},
       .running_after = {0.3077391, 3.5019628, 3.2809627, 0.3491954},
       .group = {{-0.082260, 0.268726, -0.966488, 0.289935, 0.596195, 1.532600}, 89},
       .group_ws = {{-0.473579, 0.337735, -1.132195, 0.146716, 0.565828, 1.666455}, 145}},
      {.architecture = Architecture::kResNet50,
       .parameters = 25'557'032,
       .at_224 = {{1.029377, 0.093993, 1.339057, 0.212599, 0.479441, -0.791555}, 582},
       .at_128 = {{1.039861, 0.082468, 1.333492, 0.225577, 0.498001, -0.785818}, 582},
       .at_96_131 = {{1.058554, 0.089044, 1.357703, 0.210881, 0.479916, -0.770110}, 582},
       .batch = {{1.911734, -0.425994, 0.884937, 1.175726, 0.505625, -0.613142}, 112},
       .running_after = {0.3077391, 3.4909895, 2.4743150, -0.0923970},
       .group = {{-0.387171, 0.457617, -2.182653, -1.031483, 1.539560, 2.204117}, 932},
       .group_ws = {{-0.534445, -0.239382, -1.435202, -0.568848, 1.889804, 2.709119}, 999}},
      {.architecture = Architecture::kResNeXt50,
       .parameters = 25'028'904,
       .at_224 = {{0.973704, -0.032700, 0.989231, 0.232978, 0.241492, -0.700565}, 582},
       .at_128 = {{0.978215, -0.024562, 0.988037, 0.230247, 0.274140, -0.701804}, 582},
       .at_96_131 = {{1.001014, -0.028557, 0.984717, 0.256529, 0.263181, -0.687320}, 582},
       .batch = {{1.820628, -0.699604, 1.510626, 0.481295, 0.771536, -0.864972}, 990},
       .running_after = {0.3077391, 3.4909895, 2.4968700, -0.1821489},
       .group = {{-0.002035, -0.266631, -1.885195, -0.072402, 1.887411, 2.539076}, 640},
       .group_ws = {{0.177292, -0.137855, -1.975864, -0.340146, 1.603814, 1.994352}, 98}}};
  return networks;
}

class ResNet : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static const Network& Wanted() { return Networks()[GetParam()]; }
  [[nodiscard]] static Classifier Model(Normalisation normalisation) {
    return RecipeModel(Wanted().architecture, 1000, kSeed, normalisation);
  }
};
INSTANTIATE_TEST_SUITE_P(All, ResNet, testing::Values(0, 1, 2), [](const auto& row) {
  return std::string(ArchitectureName(Networks()[row.param].architecture));
});

TEST_P(ResNet, LogitsEqualTorchvisionsAtSquareAndOtherSizes) {
  const Classifier model = Model(Normalisation::kBatchFrozen);
  EXPECT_EQ(ParameterCount(model), Wanted().parameters);
  const at::NoGradGuard no_gradients;
  ExpectLogits(model.Forward(RecipePictures(1, 224, 224)), Wanted().at_224);
  ExpectLogits(model.Forward(RecipePictures(1, 128, 128)), Wanted().at_128);
  ExpectLogits(model.Forward(RecipePictures(1, 96, 131)), Wanted().at_96_131);
}

TEST_P(ResNet, WithBatchStatisticsLogitsAndRunningStatisticsEqualTorchvisions) {
  // In float64: with two small pictures, rounding in float32 alone changes logits by as much as the bound.
  Classifier model = Model(Normalisation::kBatch).Clone(at::kDouble);
  (void)model.BeginTraining(/*freeze_affine=*/false);
  {
    const at::NoGradGuard no_gradients;
    ExpectLogits(model.Forward(RecipePictures(2, 64, 64).to(at::kDouble)), Wanted().batch);
  }
  model.EndTraining();
  const std::array<const char*, 4> places = {"bn1.running_mean", "layer1.0.bn1.running_var",
                                             "layer3.0.downsample.1.running_var", "layer4.1.bn2.running_mean"};
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_NEAR(Named(model, places[i])[5].item<double>(), Wanted().running_after[i], 1e-5) << places[i];
  }
}

TEST_P(ResNet, WithGroupNormLogitsEqualTorchvisionsBuiltWithGroupNorm) {
  const at::NoGradGuard no_gradients;
  ExpectLogits(Model(Normalisation::kGroup).Forward(RecipePictures(1, 96, 96)), Wanted().group);
  ExpectLogits(Model(Normalisation::kGroupWs).Forward(RecipePictures(1, 96, 96)), Wanted().group_ws);
}

TEST(ResNet18, LogitsOfWeightsThatWereImportedEqualTorchvisions) {
  const Path path = HEMAFED_IMPORTED_RESNET18;  // Made by the build where there is a Python with torch.
  if (path.empty()) GTEST_SKIP() << "no Python with torch beside LibTorch: run scripts/setup.sh";
  const Classifier model = LoadModel(RealFileSystem(), path);
  EXPECT_EQ(model.architecture(), Architecture::kResNet18);
  EXPECT_EQ(model.normalisation(), Normalisation::kBatchFrozen);
  const at::NoGradGuard no_gradients;
  ExpectLogits(model.Forward(RecipePictures(1, 128, 128)), Networks()[0].at_128);
}

TEST(ResNeXt50, EveryStageHasTheShapeOfThePublishedTable) {
  // published-systems 2.1; heights and widths after max-pool, layer1, layer2, layer3 and layer4.
  struct Row {
    std::int64_t height, width;
    std::array<std::array<std::int64_t, 2>, 5> sides;
  };
  const std::vector<Row> rows = {{224, 224, {{{56, 56}, {56, 56}, {28, 28}, {14, 14}, {7, 7}}}},
                                 {250, 250, {{{63, 63}, {63, 63}, {32, 32}, {16, 16}, {8, 8}}}},
                                 {288, 288, {{{72, 72}, {72, 72}, {36, 36}, {18, 18}, {9, 9}}}},
                                 {345, 345, {{{87, 87}, {87, 87}, {44, 44}, {22, 22}, {11, 11}}}},
                                 {360, 363, {{{90, 91}, {90, 91}, {45, 46}, {23, 23}, {12, 12}}}},
                                 {400, 400, {{{100, 100}, {100, 100}, {50, 50}, {25, 25}, {13, 13}}}}};
  constexpr std::array<std::int64_t, 5> kChannels = {64, 256, 512, 1024, 2048};
  TensorsByName tensors;
  const Classifier model = RecipeModel(Architecture::kResNeXt50, 0);
  for (const NamedTensor& tensor : model.tensors()) tensors.emplace(tensor.name, tensor.value);
  const ResNetTrunk trunk(Architecture::kResNeXt50, Normalisation::kBatchFrozen, tensors);
  const at::NoGradGuard no_gradients;
  for (const Row& row : rows) {
    at::Tensor x = trunk.Stem(at::zeros({1, 3, row.height, row.width}), Phase::kEvaluation);
    for (std::size_t i = 0; i < 5; ++i) {
      if (i > 0) x = trunk.Stage(i - 1, x, Phase::kEvaluation);
      EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{1, kChannels[i], row.sides[i][0], row.sides[i][1]}))
          << row.height << "x" << row.width << ", part " << i;
    }
  }
}

TEST(ResNeXt50, DropoutSitsOnTheOutputOfLayer2) {
  const Classifier model = RecipeModel(Architecture::kResNeXt50, 2);
  const at::NoGradGuard no_gradients;
  EXPECT_EQ(model.TrunkBefore(at::zeros({1, 3, 64, 96})).sizes(), (std::vector<std::int64_t>{1, 512, 8, 12}));
}

}  // namespace
}  // namespace hemafed::learning
