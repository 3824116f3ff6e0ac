// SPDX-License-Identifier: Apache-2.0
#include "learning/models/classifier.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeModel;
using testing_support::RecipePicture;
using testing_support::Uniform;

// Logits 0, 1, 2, 3, 500 and 999 and the largest one's index: printed by reference_numbers.py.
struct ReferenceLogits {
  std::int64_t side;
  std::array<double, 6> logits;
  std::int64_t largest;
};
constexpr std::array<std::int64_t, 6> kShown = {0, 1, 2, 3, 500, 999};

// The bound that design 11.8 sets for parity with the Python package.
constexpr double kParity = 1e-4;

void ExpectLogits(const Classifier& model, const ReferenceLogits& want) {
  const at::NoGradGuard no_gradients;
  const at::Tensor logits = model.Forward(RecipePicture(want.side))[0];
  for (std::size_t i = 0; i < kShown.size(); ++i) {
    EXPECT_NEAR(logits[kShown[i]].item<double>(), want.logits[i], kParity)
        << "side " << want.side << ", logit " << kShown[i];
  }
  EXPECT_EQ(logits.argmax().item<std::int64_t>(), want.largest) << "side " << want.side;
}

TEST(Lite0, LogitsWithMadeUpWeightsEqualThePythonPackagesAtEverySize) {
  const Classifier model = RecipeModel(Architecture::kEfficientNetLite0, 1000);
  EXPECT_EQ(ParameterCount(model), 4'652'008);
  ExpectLogits(model, {224, {3.792058, 0.330626, 0.611556, -0.539887, 0.607170, -0.429622}, 112});
  ExpectLogits(model, {128, {3.343909, 0.293076, 0.371901, -0.149080, 0.428975, -0.921307}, 719});
  ExpectLogits(model, {250, {3.810818, 0.556190, 0.450974, -0.376028, 0.439417, -0.423632}, 112});
}

TEST(Lite0, LogitsWithTheImportedWeightsEqualThePythonPackagesAtEverySize) {
  const std::filesystem::path path = HEMAFED_LITE0_WITH_HEAD;  // Made by the build where the weights are present.
  if (path.empty()) GTEST_SKIP() << "the ImageNet weights are not there: run scripts/setup.sh";
  const Classifier model = LoadModel(RealFileSystem(), path);
  EXPECT_EQ(ParameterCount(model), 4'652'008);
  ExpectLogits(model, {224, {-2.485372, 0.353088, 1.395861, -0.129945, -0.283811, 0.540819}, 21});
  ExpectLogits(model, {128, {-1.249332, 0.113318, 1.248343, 0.438908, 0.469690, 1.340254}, 107});
  ExpectLogits(model, {250, {-3.168283, 0.626234, 0.675886, -0.474980, -0.730390, 1.417285}, 21});
}

TEST(Lite0, Float32DiffersFromFloat64ByRoundingOnly) {
  // In float64 every convolution is the library's, in float32 the depthwise ones are ours.
  const Classifier model = RecipeModel(Architecture::kEfficientNetLite0, 4);
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = Uniform(3, {2, 3, 65, 70}, -2, 2);
  EXPECT_LT(LargestDifference(model.Forward(pictures), model.Clone(at::kDouble).Forward(pictures.to(at::kDouble))),
            2e-5);
}

TEST(Lite0, DropoutPlaceHas40ChannelsAtAnEighthOfTheSize) {
  const Classifier model = RecipeModel(Architecture::kEfficientNetLite0, 2);
  const at::NoGradGuard no_gradients;
  EXPECT_EQ(model.TrunkBefore(at::zeros({1, 3, 128, 96})).sizes(), (std::vector<std::int64_t>{1, 40, 16, 12}));
}

TEST(SmallCnn, DropoutPlaceHas64ChannelsAtAQuarterOfTheSize) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 2);
  const at::NoGradGuard no_gradients;
  EXPECT_EQ(model.TrunkBefore(at::zeros({1, 3, 64, 96})).sizes(), (std::vector<std::int64_t>{1, 64, 16, 24}));
}

TEST(SmallCnn, AgreesWithItsFormulaWrittenOut) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3).Clone(at::kDouble);
  const auto tensor = [&](const std::string& name) {
    for (const NamedTensor& candidate : model.tensors()) {
      if (candidate.name == name) return candidate.value;
    }
    return at::Tensor();
  };
  at::Tensor x = Uniform(1, {2, 3, 24, 20}, -1, 1, at::kDouble);
  const at::Tensor logits = model.Forward(x);
  const std::array<std::int64_t, 4> strides = {2, 2, 2, 1};
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::string place = "stage" + std::to_string(stage + 1);
    const at::Tensor w = tensor(place + ".conv.weight").flatten(1);
    const at::Tensor standardised = (w - w.mean(1, true)) / w.std(1, /*unbiased=*/false, true);
    x = at::conv2d(x, standardised.view_as(tensor(place + ".conv.weight")), {}, strides[stage], 1);
    // Group norm: groups of 8 channels of one picture share mean and variance.
    const at::Tensor groups = x.reshape({x.size(0), x.size(1) / 8, -1});
    const at::Tensor normalised =
        ((groups - groups.mean(2, true)) / (groups.var(2, false, true) + 1e-5).sqrt()).view_as(x);
    x = (normalised * tensor(place + ".norm.weight").view({1, -1, 1, 1}) +
         tensor(place + ".norm.bias").view({1, -1, 1, 1}))
            .clamp_min(0);
  }
  const at::Tensor want = x.flatten(2).mean(2).matmul(tensor("head.weight").t()) + tensor("head.bias");
  EXPECT_LT(LargestDifference(logits, want), 1e-8);
}

TEST(AeCfe, AgreesWithItsFormulaWrittenOut) {
  const Classifier model = RecipeModel(Architecture::kAeCfe, 3).Clone(at::kDouble);
  std::map<std::string, at::Tensor> tensors;
  for (const NamedTensor& tensor : model.tensors()) tensors[tensor.name] = tensor.value;
  const at::Tensor latents = Uniform(1, {4, 50, 1, 1}, -1, 1, at::kDouble);
  at::Tensor x = latents.flatten(1);
  for (const std::string layer : {"layer1", "layer2"}) {
    const at::Tensor w = tensors.at(layer + ".conv.weight").flatten(1);
    x = x.matmul(((w - w.mean(1, true)) / w.std(1, /*unbiased=*/false, true)).t());
    const at::Tensor groups = x.reshape({x.size(0), x.size(1) / 8, 8});
    x = ((groups - groups.mean(2, true)) / (groups.var(2, false, true) + 1e-5).sqrt()).view_as(x);
    x = (x * tensors.at(layer + ".norm.weight") + tensors.at(layer + ".norm.bias")).clamp_min(0);
  }
  const at::Tensor want = x.matmul(tensors.at("head.weight").t()) + tensors.at("head.bias");
  EXPECT_LT(LargestDifference(model.Forward(latents), want), 1e-6);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "instead of [N, 50, height, width]",
               (void)model.Forward(at::zeros({1, 3, 8, 8}, at::kDouble)));
}

struct Kind {
  Architecture architecture;
  Normalisation normalisation;
};

// Every normalisation with the networks that cost little, and the default with all.
std::vector<Kind> Kinds() {
  std::vector<Kind> kinds = {{Architecture::kResNet50, Normalisation::kBatchFrozen},
                             {Architecture::kResNeXt50, Normalisation::kBatchFrozen},
                             {Architecture::kResNeXt50, Normalisation::kBatch}};
  for (const auto architecture : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn, Architecture::kResNet18}) {
    for (const Normalisation normalisation : kNormalisations) kinds.push_back({architecture, normalisation});
  }
  return kinds;
}

class EveryArchitecture : public testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] static Classifier Make(std::int64_t classes) {
    return RecipeModel(GetParam().architecture, classes, 2024, GetParam().normalisation);
  }
};
INSTANTIATE_TEST_SUITE_P(All, EveryArchitecture, testing::ValuesIn(Kinds()), [](const auto& row) {
  return std::string(ArchitectureName(row.param.architecture)) + "_" +
         std::string(NormalisationName(row.param.normalisation));
});

TEST_P(EveryArchitecture, HalvesOfTheTrunkAndHeadMakeTheWhole) {
  const Classifier model = Make(5);
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = Uniform(3, {2, 3, 48, 48}, -2, 2);
  const at::Tensor features = model.TrunkAfter(model.TrunkBefore(pictures));
  EXPECT_EQ(features.sizes(), (std::vector<std::int64_t>{2, model.feature_width()}));
  EXPECT_TRUE(at::equal(features, model.Features(pictures)));
  EXPECT_TRUE(at::equal(model.Head(features), model.Forward(pictures)));
}

TEST_P(EveryArchitecture, APictureDoesNotChangeItsNeighboursLogits) {
  const Classifier model = Make(5);
  const at::NoGradGuard no_gradients;
  at::Tensor pictures = Uniform(3, {3, 3, 40, 40}, -2, 2);
  const at::Tensor before = model.Forward(pictures)[0].clone();
  pictures[1].fill_(2.0);
  EXPECT_TRUE(at::equal(model.Forward(pictures)[0], before));
}

TEST_P(EveryArchitecture, MissingSurplusAndMisshapenTensorsAreNamed) {
  const Classifier model = Make(2);
  const auto with = [&](const auto& change) {
    std::vector<NamedTensor> tensors = model.tensors();
    change(tensors);
    return Classifier(GetParam().architecture, std::move(tensors), GetParam().normalisation);
  };
  const std::string first = model.tensors()[0].name;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'" + first + "' is missing", with([](auto& t) { t.erase(t.begin()); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'extra' does not belong", with([](auto& t) {
                 t.push_back({"extra", at::zeros({1})});
               }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'" + first + "' occurs twice", with([](auto& t) { t.push_back(t[0]); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'" + first + "' has shape [3] instead of",
               with([](auto& t) { t[0].value = at::zeros({3}); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another type",
               with([](auto& t) { t.back().value = t.back().value.to(at::kDouble); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'head.bias' has shape [2] instead of [3]", with([&](auto& t) {
                 for (NamedTensor& tensor : t) {
                   if (tensor.name == kHeadWeight) tensor.value = at::zeros({3, model.feature_width()});
                 }
               }));
}

TEST_P(EveryArchitecture, AnySideFromOnePixelIsTaken) {
  const Classifier model = Make(2);
  const at::NoGradGuard no_gradients;
  for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {2, 1}, {5, 33}}) {
    const at::Tensor logits = model.Forward(Uniform(3, {1, 3, height, width}, -2, 2));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{1, 2}));
    EXPECT_TRUE(logits.isfinite().all().item<bool>());
  }
}

TEST_P(EveryArchitecture, WithoutHeadThereAreFeaturesButNoLogits) {
  const Classifier model = Make(0);
  EXPECT_EQ(model.classes(), 0);
  const at::NoGradGuard no_gradients;
  EXPECT_EQ(model.Features(at::zeros({1, 3, 32, 32})).size(1), model.feature_width());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "knows no class", (void)model.Forward(at::zeros({1, 3, 32, 32})));
}

TEST_P(EveryArchitecture, OnlyPicturesOfThreeColoursAreTaken) {
  const Classifier model = Make(2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "[1, 4, 8, 8]", (void)model.Forward(at::zeros({1, 4, 8, 8})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "[3, 8, 8]", (void)model.Forward(at::zeros({3, 8, 8})));
}

TEST_P(EveryArchitecture, TrainingMarksEverythingButBuffersAndOnRequestScalesAndShifts) {
  Classifier model = Make(2);
  for (const bool freeze : {false, true}) {
    const std::vector<NamedTensor> trained = model.BeginTraining(freeze);
    std::size_t marked = 0;
    const std::vector<TensorSpec> specs = TensorsOf(GetParam().architecture, 2, GetParam().normalisation);
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const bool want = specs[i].role == TensorRole::kWeight || specs[i].role == TensorRole::kHead ||
                        (specs[i].role == TensorRole::kAffine && !freeze);
      EXPECT_EQ(model.tensors()[i].value.requires_grad(), want) << specs[i].name;
      marked += want ? 1 : 0;
    }
    EXPECT_EQ(trained.size(), marked);
    // Every marked tensor takes part in the loss.
    model.Forward(Uniform(3, {2, 3, 64, 64}, -2, 2)).square().sum().backward();
    for (const NamedTensor& tensor : trained) {
      ASSERT_TRUE(tensor.value.grad().defined()) << tensor.name;
      EXPECT_GT(tensor.value.grad().abs().max().item<double>(), 0.0) << tensor.name;
    }
    model.EndTraining();
    for (const NamedTensor& tensor : model.tensors()) EXPECT_FALSE(tensor.value.requires_grad());
  }
}

TEST_P(EveryArchitecture, Float32TrainsAsFloat64DoesButForRounding) {
  // In float64 every convolution is the library's, in float32 Lite0's depthwise ones are ours.
  const at::Tensor pictures = Uniform(3, {3, 3, 67, 64}, -2, 2);
  std::vector<at::Tensor> logits;
  std::vector<std::vector<NamedTensor>> gradients;
  for (const auto type : {at::kFloat, at::kDouble}) {
    Classifier model = Make(2).Clone(type);
    gradients.push_back(model.BeginTraining(/*freeze_affine=*/false));
    logits.push_back(model.Forward(pictures.to(type)));
    logits.back().square().sum().backward();
    for (NamedTensor& tensor : gradients.back()) tensor.value = tensor.value.grad();
  }
  EXPECT_LT(LargestDifference(logits[0], logits[1]), 2e-4);
  for (std::size_t i = 0; i < gradients[0].size(); ++i) {
    const at::Tensor want = gradients[1][i].value;
    const double error = (gradients[0][i].value.to(at::kDouble) - want).norm().item<double>();
    // A rounding error that moves one activation across the kink of its ReLU changes gradients by percents.
    EXPECT_LT(error, 0.1 * want.norm().item<double>() + 1e-4) << gradients[0][i].name;
  }
}

TEST_P(EveryArchitecture, ACloneIsEqualAndIndependent) {
  const Classifier model = Make(2);
  const Classifier copy = model.Clone();
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = Uniform(3, {1, 3, 32, 32}, -2, 2);
  const at::Tensor before = model.Forward(pictures);
  EXPECT_TRUE(at::equal(copy.Forward(pictures), before));
  for (const NamedTensor& tensor : copy.tensors()) at::Tensor(tensor.value).mul_(0.5);
  EXPECT_FALSE(at::equal(copy.Forward(pictures), before));
  EXPECT_TRUE(at::equal(model.Forward(pictures), before));
}

}  // namespace
}  // namespace hemafed::learning
