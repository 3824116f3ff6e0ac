// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "learning/features/detection/body_plan.h"
#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

TEST(DetectorTensors, HaveThePublishedNumberOfParameters) {
  // published-systems 3.1; the same formula gives the number of matterport's 81-class network.
  DetectorSettings settings = PublishedDetector(DetectorBody::kResNet101);
  EXPECT_EQ(DetectorSizeOf(settings).values, 63'733'406);
  EXPECT_EQ(DetectorSizeOf(settings).buffers, 111'488);
  EXPECT_EQ(DetectorSizeOf(settings).values - DetectorSizeOf(settings).buffers, 63'621'918);
  settings.classes = 81;
  EXPECT_EQ(DetectorSizeOf(settings).values, 64'158'584);
  EXPECT_EQ(DetectorSizeOf(PublishedDetector(DetectorBody::kResNet50)).values, 44'662'942);
}

TEST(DetectorTensors, HaveTorchvisionsNumberOfParameters) {
  // torchvision 0.28.0: sum(p.numel() for p in maskrcnn_resnet50_fpn(weights=None, weights_backbone=None,
  // num_classes=C).parameters()): 44,454,513 with its 91 classes and 43,975,515 with 2. There the norms of the body
  // have trained scale and shift; running statistics come on top, 26,560 means and as many variances.
  DetectorSettings settings = TorchvisionDetector(DetectorBody::kResNet50);
  EXPECT_EQ(DetectorSizeOf(settings).values - DetectorSizeOf(settings).buffers, 43'975'515);
  EXPECT_EQ(DetectorSizeOf(settings).buffers, 2 * 26'560);
  settings.classes = 91;
  EXPECT_EQ(DetectorSizeOf(settings).values - DetectorSizeOf(settings).buffers, 44'454'513);
}

TEST(DetectorTensors, AreSortedAndUnique) {
  for (const DetectorSettings& settings : {PublishedDetector(DetectorBody::kResNet50),
                                           TorchvisionDetector(DetectorBody::kResNet101), SmallMachineDetector()}) {
    std::string before;
    for (const DetectorTensor& tensor : DetectorTensors(settings)) {
      EXPECT_LT(before, tensor.name);
      before = tensor.name;
    }
  }
}

TEST(BodyPlan, PutsTheStrideWhereTheFormHasIt) {
  const auto strides = [](DetectorForm form) {
    std::vector<int> all;
    for (const BodyBlock& block : BodyPlanOf(form, DetectorBody::kResNet50).blocks) {
      if (block.stage == 2 && !block.shortcut.empty()) {
        for (const BodyConvolution& layer : block.branch) all.push_back(layer.stride);
      }
    }
    return all;
  };
  EXPECT_EQ(strides(DetectorForm::kPublished), (std::vector<int>{2, 1, 1}));
  EXPECT_EQ(strides(DetectorForm::kTorchvision), (std::vector<int>{1, 2, 1}));
  const BodyPlan lite0 = BodyPlanOf(DetectorForm::kTorchvision, DetectorBody::kEfficientNetLite0);
  EXPECT_EQ(lite0.channels, (std::array<int, 4>{24, 40, 112, 320}));
}

TEST(DetectorSettings, ComeBackFromTheirText) {
  for (DetectorSettings settings : {PublishedDetector(DetectorBody::kResNet101),
                                    TorchvisionDetector(DetectorBody::kResNet50), SmallMachineDetector()}) {
    settings.detections.min_score = 0.123456789012345;
    const std::string text = DetectorSettingsText(settings);
    EXPECT_EQ(DetectorSettingsText(DetectorSettingsFromText(text)), text);
    const DetectorSettings back = DetectorSettingsFromText(text);
    EXPECT_EQ(back.form, settings.form);
    EXPECT_EQ(back.body, settings.body);
    EXPECT_EQ(back.detections.min_score, settings.detections.min_score);
    EXPECT_EQ(back.proposals.before_training, settings.proposals.before_training);
    EXPECT_EQ(back.frame.mean, settings.frame.mean);
  }
}

struct Wrong {
  const char* name;
  const char* words;
  std::function<void(DetectorSettings&)> change;
};

class WrongSettings : public testing::TestWithParam<Wrong> {};

TEST_P(WrongSettings, AreRefusedByName) {
  DetectorSettings settings = SmallMachineDetector();
  GetParam().change(settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, RequireValid(settings));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "", (void)DetectorSettingsFromText(DetectorSettingsText(settings)));
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongSettings,
    testing::Values(
        Wrong{"OneClass", "classes", [](DetectorSettings& s) { s.classes = 1; }},
        Wrong{"Lite0Published", "residual bodies", [](DetectorSettings& s) { s.form = DetectorForm::kPublished; }},
        Wrong{"NoRatios", "anchor_ratios", [](DetectorSettings& s) { s.anchor_ratios.clear(); }},
        Wrong{"HugeFrame", "frame.max_side", [](DetectorSettings& s) { s.frame.max_side = 1 << 20; }},
        Wrong{"FrameUpsideDown", "frame.max_side", [](DetectorSettings& s) { s.frame.max_side = 100; }},
        Wrong{"NegativeEpsilon", "batch_epsilon", [](DetectorSettings& s) { s.batch_epsilon = -1; }},
        Wrong{"HugeChannels", "channels", [](DetectorSettings& s) { s.channels = 1 << 30; }},
        Wrong{"NoProposals", "proposals", [](DetectorSettings& s) { s.proposals.after_testing = 0; }},
        Wrong{"TooManyDetections", "detections.most", [](DetectorSettings& s) { s.detections.most = 2001; }},
        Wrong{"ZeroDeviation", "deviation", [](DetectorSettings& s) { s.frame.deviation[1] = 0; }},
        Wrong{"LevelBeyond", "first_rpn_level", [](DetectorSettings& s) { s.first_rpn_level = 5; }}),
    [](const auto& row) { return row.param.name; });

TEST(DetectorSettings, RefuseTextThatIsNotTheirs) {
  const std::string good = DetectorSettingsText(SmallMachineDetector());
  std::string surplus = good;
  surplus.insert(1, "\"colour\":3,");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "colour", (void)DetectorSettingsFromText(surplus));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "", (void)DetectorSettingsFromText("{}"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "", (void)DetectorSettingsFromText("nonsense"));
  std::string body = good;
  body.replace(body.find("efficientnet_lite0"), 18, "vgg");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "efficientnet_lite0, resnet50, resnet101",
               (void)DetectorSettingsFromText(body));
}

}  // namespace
}  // namespace hemafed::learning
