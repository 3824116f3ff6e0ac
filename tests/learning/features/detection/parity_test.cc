// SPDX-License-Identifier: Apache-2.0
//
// The torchvision form against maskrcnn_resnet50_fpn of torchvision 0.28.0: tensors on the way, proposals and
// detections. Numbers and inputs: network_reference.py.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "learning/features/detection/detector.h"
#include "tests/learning/features/detection/recipe_detector.h"

namespace hemafed::learning {
namespace {

using testing_support::RecipeDetector;
using testing_support::RecipePicture;

struct Numbers {
  std::vector<std::int64_t> shape;
  // Sum, sum of magnitudes, then the values at i * (n - 1) / 7 for i = 0..7.
  std::vector<double> values;
};

// What network_reference.py printed.
const std::map<std::string, Numbers>& Torchvision() {
  static const std::map<std::string, Numbers> numbers = {
      {"frames", {{2, 3, 128, 128}, {14663.5, 47853.9, 1.54355, 0, 0, 0.992138, 0, -1.13696, -1.15078, 0}}},
      {"P2",
       {{2, 256, 32, 32},
        {-5366.09, 621933, -0.47105, 2.65204, -2.13457, 0.77217, 3.57641, -0.572531, 3.41558, -0.16211}}},
      {"P3",
       {{2, 256, 16, 16},
        {5806.68, 140918, -1.06631, -1.4055, -0.610355, 1.53043, -1.12037, -0.392822, 1.44193, -0.693318}}},
      {"P4",
       {{2, 256, 8, 8},
        {-1265.87, 26123.7, 0.244341, 0.0990093, -1.35616, 1.76924, -1.63504, -2.42154, 0.162443, 0.0557104}}},
      {"P5",
       {{2, 256, 4, 4},
        {296.358, 3378.11, 0.0481941, -0.244986, 0.122773, 0.442763, 0.569651, -0.372423, -0.685023, 0.241531}}},
      {"P6",
       {{2, 256, 2, 2},
        {89.4844, 837.845, 0.0481941, -0.256501, 0.107722, 0.283714, -0.387027, 0.0344026, -0.0630124, -0.166449}}},
      {"objectness",
       {{2, 4092},
        {-1617.77, 5681.85, 0.146635, -1.26463, -1.08347, -0.175151, -1.05663, -1.15741, 1.54021, -0.00692244}}},
      {"deltas",
       {{2, 4092, 4},
        {-1481.93, 24857, -0.5483, -0.532032, 0.251853, 0.824152, 0.781239, 0.33924, -0.0618511, -0.0940776}}},
      {"anchors", {{4092, 4}, {999936, 1.08074e+06, -23, 19, 9, 48, 28, 79, -37, 426}}},
      {"crops",
       {{5, 256, 7, 7},
        {-542.756, 89759.3, 0.347534, 2.27064, -0.382505, 2.69074, 0.635082, -1.72148, 1.04187, -0.68922}}},
      {"logits",
       {{5, 3},
        {-7.57209, 7.57209, -0.611944, -0.320411, -0.500549, -0.501471, -0.232331, -0.917556, -0.404719, -0.0580942}}},
      {"head deltas",
       {{5, 3, 4}, {2.22636, 37.6727, 1.28999, -1.03082, 0.307817, 0.310887, -1.05547, 0.427502, -0.552443, 1.10531}}},
      {"mask crops",
       {{5, 256, 14, 14},
        {-2146.06, 360302, 0.370646, 2.42596, -0.673369, 2.69247, 0.646616, -2.01689, 1.01824, -0.700575}}},
      {"mask logits",
       {{5, 3, 28, 28},
        {1118.25, 1318.38, 0.058789, -0.087127, 0.0427389, 0.227593, -0.12246, 0.0115817, 0.248411, -0.00503137}}},
      {"proposals 0", {{444, 4}, {84771.1, 84771.1, 0, 48.613, 64.3549, 0, 86.4666, 85, 0, 85}}},
      {"proposals 1", {{591, 4}, {130867, 130867, 0, 80.5359, 61.2995, 42.355, 85, 98.6367, 0, 128}}},
      {"boxes 0", {{100, 4}, {13545.9, 13545.9, 17.9028, 15.3175, 47.7342, 60, 0, 35.4701, 52.8336, 38.9545}}},
      {"scores 0",
       {{100}, {50.8607, 50.8607, 0.612089, 0.551233, 0.528094, 0.50896, 0.499428, 0.477876, 0.472878, 0.458345}}},
      {"labels 0", {{100}, {200, 200, 2, 2, 2, 2, 2, 2, 2, 2}}},
      {"masks 0", {{100, 60, 90}, {39618, 39618, 0, 0, 0, 0, 0, 0, 0, 0}}},
      {"boxes 1", {{100, 4}, {18340.9, 18340.9, 62.9077, 65.7121, 63.6152, 95.961, 0, 37.9387, 38.1972, 40.0469}}},
      {"scores 1",
       {{100}, {50.8144, 50.8144, 0.621503, 0.547151, 0.520936, 0.508567, 0.49317, 0.484122, 0.474907, 0.464354}}},
      {"labels 1", {{100}, {200, 200, 2, 2, 2, 2, 2, 2, 2, 2}}},
      {"masks 1", {{100, 96, 64}, {38751, 38751, 0, 0, 0, 0, 0, 1, 0, 0}}},
  };
  return numbers;
}

// Every value within `tolerance` of torchvision's; sums within its share of the sum of magnitudes.
void ExpectEqual(const std::string& name, const at::Tensor& got, double tolerance = 1e-3) {
  const Numbers& want = Torchvision().at(name);
  ASSERT_EQ(got.sizes().vec(), want.shape) << name;
  const at::Tensor flat = got.detach().to(at::kDouble).contiguous().view({-1});
  const double magnitudes = want.values[1];
  EXPECT_NEAR(flat.sum().item<double>(), want.values[0], 1e-4 * magnitudes) << name;
  EXPECT_NEAR(flat.abs().sum().item<double>(), magnitudes, 1e-4 * magnitudes) << name;
  for (std::int64_t i = 0; i < 8; ++i) {
    const double value = want.values[static_cast<std::size_t>(i) + 2];
    EXPECT_NEAR(flat[i * (flat.size(0) - 1) / 7].item<double>(), value, tolerance * std::max(1.0, std::abs(value)))
        << name << " value " << i;
  }
}

DetectorSettings Settings() {
  DetectorSettings settings = TorchvisionDetector(DetectorBody::kResNet50);
  settings.classes = 3;
  settings.frame.min_side = 96;
  settings.frame.max_side = 128;
  return settings;
}

class Parity : public testing::Test {
 protected:
  static void SetUpTestSuite() { detector_ = new Detector(RecipeDetector(Settings())); }
  static void TearDownTestSuite() {
    delete detector_;
    detector_ = nullptr;
  }
  [[nodiscard]] static const std::vector<at::Tensor> Pictures() {
    return {RecipePicture(0, 60, 90), RecipePicture(1, 96, 64)};
  }

  static Detector* detector_;  // 44 million made-up values: once for all tests.
};
Detector* Parity::detector_ = nullptr;

TEST_F(Parity, TensorsBeforeSuppressionEqualTorchvisions) {
  const at::NoGradGuard no_gradients;
  const PreparedPictures prepared = detector_->Prepare(Pictures());
  ExpectEqual("frames", prepared.frames);
  EXPECT_EQ(prepared.places[0].content_height, 85);
  EXPECT_EQ(prepared.places[0].content_width, 128);
  EXPECT_EQ(prepared.places[1].content_height, 128);
  EXPECT_EQ(prepared.places[1].content_width, 85);
  const std::vector<at::Tensor> pyramid = detector_->Pyramid(prepared.frames);
  ASSERT_EQ(pyramid.size(), 5u);
  for (std::size_t level = 0; level < pyramid.size(); ++level) {
    ExpectEqual("P" + std::to_string(level + 2), pyramid[level]);
  }
  const RpnOutput rpn = detector_->Rpn(pyramid);
  ExpectEqual("objectness", rpn.objectness);
  ExpectEqual("deltas", rpn.deltas);
  const AnchorSet anchors = detector_->Anchors(pyramid, prepared);
  ExpectEqual("anchors", anchors.boxes);
  EXPECT_EQ(anchors.levels, (std::vector<std::int64_t>{3072, 768, 192, 48, 12}));
  const std::vector<at::Tensor> boxes = {
      at::tensor({3.0f, 5.0f, 40.5f, 60.25f, 0.0f, 0.0f, 128.0f, 85.0f, 100.0f, 20.0f, 101.0f, 21.0f}).view({3, 4}),
      at::tensor({10.0f, 30.0f, 85.0f, 125.0f, 5.5f, 5.5f, 5.5f, 30.0f}).view({2, 4})};
  ExpectEqual("crops", detector_->FeaturesAt(pyramid, boxes, prepared, 7));
  ExpectEqual("mask crops", detector_->FeaturesAt(pyramid, boxes, prepared));
  const BoxHeadOutput head = detector_->BoxHead(pyramid, boxes, prepared);
  ExpectEqual("logits", head.logits);
  ExpectEqual("head deltas", head.deltas);
  ExpectEqual("mask logits", detector_->MaskLogits(pyramid, boxes, prepared));
}

TEST_F(Parity, ProposalsEqualTorchvisions) {
  const at::NoGradGuard no_gradients;
  const PreparedPictures prepared = detector_->Prepare(Pictures());
  const std::vector<at::Tensor> pyramid = detector_->Pyramid(prepared.frames);
  const Proposals proposals =
      detector_->Propose(detector_->Rpn(pyramid), detector_->Anchors(pyramid, prepared), prepared, false);
  ASSERT_EQ(proposals.boxes.size(), 2u);
  for (std::size_t n = 0; n < 2; ++n) ExpectEqual("proposals " + std::to_string(n), proposals.boxes[n]);
}

TEST_F(Parity, DetectionsEqualTorchvisions) {
  const std::vector<Detections> found = detector_->Detect(Pictures());
  ASSERT_EQ(found.size(), 2u);
  for (std::size_t n = 0; n < 2; ++n) {
    const std::string at = " " + std::to_string(n);
    ExpectEqual("boxes" + at, found[n].boxes);
    ExpectEqual("scores" + at, found[n].scores);
    ExpectEqual("labels" + at, found[n].labels);
    EXPECT_EQ(found[n].masks.scalar_type(), at::kByte);
    ExpectEqual("masks" + at, found[n].masks / 255.0);
  }
}

}  // namespace
}  // namespace hemafed::learning
