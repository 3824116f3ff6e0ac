// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "common/safetensors.h"
#include "learning/features/detection/anchors.h"
#include "learning/features/detection/detector_file.h"
#include "learning/features/detection/paste_masks.h"
#include "tests/expect_error.h"
#include "tests/learning/features/detection/recipe_detector.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeDetector;
using testing_support::RecipePicture;
using testing_support::TinySettings;

TEST(Anchors, OfThePublishedFormAre261888) {
  const DetectorSettings settings = PublishedDetector(DetectorBody::kResNet101);
  std::int64_t count = 0;
  for (std::size_t level = 0; level < kPyramidLevels; ++level) {
    const std::int64_t side = 1024 / kPyramidStrides[level];
    count += LevelAnchors(settings, level, {side, side}, {1024, 1024}, at::kFloat).size(0);
  }
  EXPECT_EQ(count, 261'888);
  // Second row, first column, ratio 0.5 = width / height of the finest level: 32 sqrt(0.5) by 32 / sqrt(0.5) at (0, 4).
  const at::Tensor anchor = LevelAnchors(settings, 0, {256, 256}, {1024, 1024}, at::kFloat)[256 * 3];
  const double half_width = 16 * std::sqrt(0.5), half_height = 16 / std::sqrt(0.5);
  EXPECT_NEAR(anchor[0].item<double>(), -half_width, 1e-4);
  EXPECT_NEAR(anchor[1].item<double>(), 4 - half_height, 1e-4);
  EXPECT_NEAR(anchor[2].item<double>(), half_width, 1e-4);
  EXPECT_NEAR(anchor[3].item<double>(), 4 + half_height, 1e-4);
}

TEST(PictureFrame, OfThePublishedFormIsCentredIn1024WithShiftedZeros) {
  const DetectorSettings settings = PublishedDetector(DetectorBody::kResNet50);
  const at::Tensor picture = at::full({3, 363, 360}, 200.0);
  const PreparedPictures prepared = PreparePictures(settings.form, settings.frame, {picture});
  EXPECT_EQ(prepared.frames.sizes(), (std::vector<std::int64_t>{1, 3, 1024, 1024}));
  EXPECT_EQ(prepared.places[0].content_height, 900);
  EXPECT_EQ(prepared.places[0].content_width, 900);
  EXPECT_EQ(prepared.places[0].top, 62);
  EXPECT_EQ(prepared.places[0].left, 62);
  EXPECT_NEAR(prepared.frames[0][0][61][500].item<double>(), -123.7, 1e-4);
  EXPECT_NEAR(prepared.frames[0][0][62][62].item<double>(), 200 - 123.7, 1e-4);
  EXPECT_NEAR(prepared.frames[0][2][961][961].item<double>(), 200 - 103.9, 1e-4);
  EXPECT_NEAR(prepared.frames[0][2][962][500].item<double>(), -103.9, 1e-4);
}

TEST(PictureFrame, BoxesComeBackFromTheFrame) {
  const at::Tensor boxes = at::tensor({0.0f, 0.0f, 360.0f, 363.0f, 17.5f, 20.0f, 99.0f, 250.25f}).view({2, 4});
  for (const DetectorSettings& settings : {PublishedDetector(DetectorBody::kResNet50), SmallMachineDetector()}) {
    const FramePlace place = PlaceInFrame(settings.form, settings.frame, 363, 360);
    const at::Tensor frame = place.ToFrame(boxes);
    EXPECT_LT(LargestDifference(place.ToPicture(frame), boxes), 1e-3);
    // The whole picture is the whole content.
    const at::Tensor whole = at::tensor({static_cast<float>(place.left), static_cast<float>(place.top),
                                         static_cast<float>(place.left + place.content_width),
                                         static_cast<float>(place.top + place.content_height)});
    EXPECT_LT(LargestDifference(frame[0], whole), 1e-3);
  }
}

TEST(PictureFrame, RefusesWhatIsNoPicture) {
  const FrameRule rule;
  const auto prepare = [&](const std::vector<at::Tensor>& pictures) {
    (void)PreparePictures(DetectorForm::kTorchvision, rule, pictures);
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "without pictures", prepare({}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "picture 1", prepare({at::zeros({3, 8, 8}), at::zeros({1, 8, 8})}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "each side", prepare({at::zeros({3, 0, 8})}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "each side",
               (void)PlaceInFrame(DetectorForm::kTorchvision, rule, kMaxPictureSide + 1, 5));
}

TEST(PasteMasks, FillsTheBoxAndNothingElse) {
  const at::Tensor boxes = at::tensor({10.0f, 5.0f, 30.0f, 25.0f, -6.0f, -6.0f, 8.0f, 8.0f}).view({2, 4});
  for (const DetectorForm form : kDetectorForms) {
    const at::Tensor masks = PasteMasks(form, at::ones({2, 28, 28}), boxes, 40, 50);
    ASSERT_EQ(masks.sizes(), (std::vector<std::int64_t>{2, 40, 50}));
    EXPECT_EQ(masks[0].slice(0, 6, 24).slice(1, 11, 29).min().item<int>(), 255);
    at::Tensor rest = masks[0].clone();
    rest.slice(0, 4, 27).slice(1, 9, 32).zero_();
    EXPECT_EQ(rest.max().item<int>(), 0);
    EXPECT_EQ(masks[1][0][0].item<int>(), 255);
    EXPECT_EQ(masks[1][0][20].item<int>(), 0);
    EXPECT_EQ(PasteMasks(form, at::zeros({2, 28, 28}), boxes, 40, 50).max().item<int>(), 0);
    EXPECT_EQ(PasteMasks(form, at::ones({1, 28, 28}), boxes.slice(0, 0, 1) + 1000, 40, 50).max().item<int>(), 0);
  }
}

TEST(PasteMasks, PublishedFormFillsExactlyTheRoundedBox) {
  const at::Tensor box = at::tensor({10.4f, 5.6f, 30.4f, 25.0f}).view({1, 4});
  const at::Tensor mask = PasteMasks(DetectorForm::kPublished, at::ones({1, 28, 28}), box, 40, 50)[0];
  EXPECT_EQ((mask > 0).sum().item<std::int64_t>(), 20 * 19);
  EXPECT_EQ(mask.slice(0, 6, 25).slice(1, 10, 30).min().item<int>(), 255);
}

TEST(Detector, GivesBoxesMasksAndFeaturesOfThePicturesSize) {
  DetectorSettings settings = TinySettings();
  settings.detections.min_score = 0;
  settings.detections.most = 7;
  const Detector detector = RecipeDetector(settings);
  const std::vector<Detections> found =
      detector.Detect({RecipePicture(0, 50, 70), RecipePicture(1, 64, 40)}, {.masks = true, .features = true});
  ASSERT_EQ(found.size(), 2u);
  const std::vector<std::pair<std::int64_t, std::int64_t>> sizes = {{50, 70}, {64, 40}};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto [height, width] = sizes[i];
    ASSERT_EQ(found[i].size(), 7);
    EXPECT_EQ(found[i].masks.sizes(), (std::vector<std::int64_t>{7, height, width}));
    EXPECT_EQ(found[i].features.sizes(), (std::vector<std::int64_t>{7, 16, 14, 14}));
    const at::Tensor x = found[i].boxes.index({torch::indexing::Slice(), torch::tensor({0, 2})});
    const at::Tensor y = found[i].boxes.index({torch::indexing::Slice(), torch::tensor({1, 3})});
    EXPECT_GE(x.min().item<double>(), -1e-3);
    EXPECT_LE(x.max().item<double>(), static_cast<double>(width) + 1e-3);
    EXPECT_GE(y.min().item<double>(), -1e-3);
    EXPECT_LE(y.max().item<double>(), static_cast<double>(height) + 1e-3);
    EXPECT_TRUE((found[i].scores.slice(0, 0, 6) >= found[i].scores.slice(0, 1, 7)).all().item<bool>());
  }
}

TEST(Detector, GridsAreWhatMasksArePastedFromAndTheSureOnesComeFirst) {
  DetectorSettings settings = TinySettings();
  settings.detections.min_score = 0;
  settings.detections.most = 7;
  const Detector detector = RecipeDetector(settings);
  const std::vector<at::Tensor> pictures = {RecipePicture(0, 50, 70), RecipePicture(1, 64, 40)};
  const std::vector<Detections> found = detector.Detect(pictures, {.masks = true, .grids = true});
  for (const Detections& of_picture : found) {
    ASSERT_EQ(of_picture.grids.sizes(), (std::vector<std::int64_t>{7, kMaskSide, kMaskSide}));
    const at::Tensor pasted = PasteMasks(settings.form, of_picture.grids, of_picture.boxes, of_picture.masks.size(1),
                                         of_picture.masks.size(2));
    EXPECT_TRUE(at::equal(pasted, of_picture.masks));
  }
  const double score = found[0].scores[2].item<double>();
  const std::vector<Detections> sure =
      detector.Detect(pictures, {.masks = false, .features = true, .grids = true, .min_score = score});
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t count = (found[i].scores >= score).sum().item<std::int64_t>();
    ASSERT_EQ(sure[i].size(), count);
    EXPECT_FALSE(sure[i].masks.defined());
    EXPECT_EQ(sure[i].features.size(0), count);
    EXPECT_TRUE(at::equal(sure[i].boxes, found[i].boxes.slice(0, 0, count)));
    EXPECT_LT(LargestDifference(sure[i].grids, found[i].grids.slice(0, 0, count)), 1e-5);
  }
  EXPECT_GE(sure[0].size(), 3);
  EXPECT_LT(sure[0].size() + sure[1].size(), 14);
}

TEST(Detector, RefusesMoreMasksThanMemoryIsSetAsideFor) {
  DetectorSettings settings = TinySettings();
  settings.proposals = {
      .before_testing = 2000, .after_testing = kMaxDetections, .overlap = 1, .min_side = 0};  // Whatever there is.
  settings.detections = {.min_score = 0, .overlap = 1, .min_side = 0, .most = kMaxDetections};
  const Detector detector = RecipeDetector(settings);
  const at::Tensor large = at::full({3, 2000, 2000}, 100.0F);
  const Detections found = detector.Detect({large}, {.masks = false, .grids = true}).front();
  ASSERT_GT(found.size() * 2000 * 2000, kMaxMaskBytes);
  EXPECT_EQ(found.grids.size(0), found.size());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a lower detections.most", (void)detector.Detect({large}));
}

TEST(Detector, FindsTheSameAloneAndInABatchOfOneSize) {
  DetectorSettings settings = TinySettings();
  settings.detections.min_score = 0;
  const Detector detector = RecipeDetector(settings);
  const std::vector<at::Tensor> pictures = {RecipePicture(0, 64, 64), RecipePicture(1, 64, 64)};
  const std::vector<Detections> together = detector.Detect(pictures);
  for (std::size_t i = 0; i < 2; ++i) {
    const Detections alone = detector.Detect({pictures[i]})[0];
    ASSERT_EQ(alone.size(), together[i].size());
    EXPECT_LT(LargestDifference(alone.scores, together[i].scores), 1e-4);
    EXPECT_LT(LargestDifference(alone.boxes, together[i].boxes), 1e-2);
  }
}

TEST(Detector, WithoutDetectionsGivesEmptyTensors) {
  DetectorSettings settings = TinySettings();
  settings.detections.min_score = 1;
  const Detections found =
      RecipeDetector(settings).Detect({RecipePicture(0, 50, 70)}, {.masks = true, .features = true})[0];
  EXPECT_EQ(found.size(), 0);
  EXPECT_EQ(found.boxes.sizes(), (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(found.masks.sizes(), (std::vector<std::int64_t>{0, 50, 70}));
  EXPECT_EQ(found.features.sizes(), (std::vector<std::int64_t>{0, 16, 14, 14}));
}

TEST(Detector, OfThePublishedFormFindsInsideThePictureAndAtLeastItsScore) {
  DetectorSettings settings = PublishedDetector(DetectorBody::kResNet50);
  settings.channels = 8;
  settings.rpn_channels = 8;
  settings.head_width = 16;
  settings.frame = {
      .first_side = 100, .min_side = 112, .max_side = 128, .mean = settings.frame.mean, .deviation = {1, 1, 1}};
  settings.detections.min_score = 0.5;
  const Detector detector = RecipeDetector(settings);
  const Detections found = detector.Detect({RecipePicture(0, 120, 90)}, {.masks = true, .features = true})[0];
  ASSERT_GT(found.size(), 0);
  EXPECT_GE(found.scores.min().item<double>(), 0.5);
  EXPECT_GE(found.boxes.min().item<double>(), -1e-3);
  EXPECT_LE(found.boxes.select(1, 2).max().item<double>(), 90 + 1e-3);
  EXPECT_LE(found.boxes.select(1, 3).max().item<double>(), 120 + 1e-3);
  EXPECT_EQ(found.features.size(1), 8);
  EXPECT_TRUE(found.features.isfinite().all().item<bool>());
}

// Of either form, and small; a box may have any size.
DetectorSettings SettingsForRules(DetectorForm form) {
  DetectorSettings settings = TinySettings();
  if (form == DetectorForm::kPublished) {
    settings = PublishedDetector(DetectorBody::kResNet50);
    settings.channels = 8;
    settings.rpn_channels = 8;
    settings.head_width = 16;
    settings.frame = {
        .first_side = 100, .min_side = 112, .max_side = 128, .mean = settings.frame.mean, .deviation = {1, 1, 1}};
  }
  settings.proposals.min_side = 0;
  settings.detections.min_side = 0;
  settings.detections.min_score = 0.5;
  return settings;
}

TEST(Detector, ProposesNothingThatIsNotFinite) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  for (const DetectorForm form : kDetectorForms) {
    DetectorSettings settings = SettingsForRules(form);
    settings.proposals.before_testing = 4;
    const Detector detector = RecipeDetector(settings);
    const PreparedPictures prepared = detector.Prepare({RecipePicture(0, 64, 64)});
    const at::Tensor left = at::arange(7, at::kFloat) * 8, top = at::full({7}, 4.0F);
    const AnchorSet anchors{at::stack({left, top, left + 6, top + 6}, 1), {7}};
    RpnOutput rpn{at::tensor({kNan, kInfinity, 5.0F, -kInfinity, 3.0F, 4.0F, 2.0F}).view({1, 7}), at::zeros({1, 7, 4})};
    rpn.deltas[0][5].fill_(kNan);
    rpn.deltas[0][6].fill_(kInfinity);
    // Of the four best that are finite, 2, 5, 4 and 6, two have boxes that are not.
    const Proposals proposals = detector.Propose(rpn, anchors, prepared, false);
    ASSERT_EQ(proposals.boxes[0].size(0), 2) << DetectorFormName(form);
    EXPECT_LT(LargestDifference(proposals.boxes[0], anchors.boxes.index_select(0, at::tensor({2, 4}, at::kLong))),
              1e-4);
    EXPECT_LT(LargestDifference(proposals.scores[0], at::sigmoid(at::tensor({5.0F, 3.0F}))), 1e-6);
    // A network that says nothing else proposes nothing.
    rpn.objectness.fill_(kNan);
    EXPECT_EQ(detector.Propose(rpn, anchors, prepared, false).boxes[0].size(0), 0);
  }
}

TEST(Detector, FindsNothingThatIsNotFinite) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  for (const DetectorForm form : kDetectorForms) {
    const Detector detector = RecipeDetector(SettingsForRules(form));
    const PreparedPictures prepared = detector.Prepare({RecipePicture(0, 64, 64)});
    const at::Tensor boxes = at::tensor({10.0F, 10.0F, 20.0F, 20.0F, 25.0F, 10.0F, 35.0F, 20.0F, 40.0F, 10.0F, 50.0F,
                                         20.0F, 10.0F, 30.0F, 20.0F, 40.0F})
                                 .view({4, 4});
    BoxHeadOutput head{at::tensor({0.0F, 8.0F}).repeat({4, 1}), at::zeros({4, 2, 4})};
    head.logits[1].fill_(kNan);
    head.deltas[2].fill_(kInfinity);
    head.deltas[3].fill_(kNan);
    const Detections found = detector.Finish(head, {boxes}, prepared).front();
    ASSERT_EQ(found.size(), 1) << DetectorFormName(form);
    EXPECT_LT(LargestDifference(found.frame_boxes, boxes.slice(0, 0, 1)), 1e-4);
    EXPECT_TRUE(at::isfinite(found.boxes).all().item<bool>());
  }
}

TEST(Detector, GradientsReachExactlyTheTrainedTensors) {
  Detector detector = RecipeDetector(TinySettings());
  for (const bool mask_head : {true, false}) {
    const std::vector<NamedTensor> trained =
        detector.BeginTraining({.affine = false, .frozen_stages = 2, .mask_head = mask_head});
    const PreparedPictures prepared = detector.Prepare({RecipePicture(0, 64, 64)});
    const std::vector<at::Tensor> pyramid = detector.Pyramid(prepared.frames);
    const RpnOutput rpn = detector.Rpn(pyramid);
    const std::vector<at::Tensor> boxes = {
        at::tensor({3.0f, 5.0f, 60.0f, 60.0f, 10.0f, 0.0f, 20.0f, 9.0f}).view({2, 4})};
    const BoxHeadOutput head = detector.BoxHead(pyramid, boxes, prepared);
    at::Tensor loss = rpn.objectness.square().sum() + rpn.deltas.square().sum() + head.logits.square().sum() +
                      head.deltas.square().sum();
    if (mask_head) loss = loss + detector.MaskLogits(pyramid, boxes, prepared).square().sum();
    loss.backward();
    std::map<std::string, bool> is_trained;
    for (const NamedTensor& tensor : trained) is_trained[tensor.name] = true;
    for (const NamedTensor& tensor : detector.tensors()) {
      ASSERT_EQ(tensor.value.grad().defined(), is_trained.contains(tensor.name)) << tensor.name;
    }
    EXPECT_FALSE(is_trained.contains("backbone.body.stem.conv.weight"));
    EXPECT_FALSE(is_trained.contains("backbone.body.blocks.15.project.norm.weight"));
    EXPECT_TRUE(is_trained.contains("backbone.body.blocks.15.project.conv.weight"));
    EXPECT_EQ(is_trained.contains("roi_heads.mask_head.0.0.weight"), mask_head);
    detector.EndTraining();
  }
  for (const NamedTensor& tensor : detector.tensors()) {
    EXPECT_FALSE(tensor.value.requires_grad());
    EXPECT_FALSE(tensor.value.grad().defined());
  }
}

TEST(Detector, StartsFromTheTrunkOfAClassifierAndFromTheSeed) {
  const Classifier model = testing_support::RecipeModel(Architecture::kEfficientNetLite0, 0);
  const Detector first = InitialDetector(TinySettings(), 5, model.tensors());
  const Detector again = InitialDetector(TinySettings(), 5, model.tensors());
  const Detector other = InitialDetector(TinySettings(), 6, model.tensors());
  std::map<std::string, at::Tensor> of_model;
  for (const NamedTensor& tensor : model.tensors()) of_model["backbone.body." + tensor.name] = tensor.value;
  int taken = 0, differing = 0;
  for (std::size_t i = 0; i < first.tensors().size(); ++i) {
    const NamedTensor& tensor = first.tensors()[i];
    EXPECT_TRUE(at::equal(tensor.value, again.tensors()[i].value)) << tensor.name;
    if (!at::equal(tensor.value, other.tensors()[i].value)) ++differing;
    if (!tensor.name.starts_with("backbone.body.")) continue;
    ++taken;
    EXPECT_TRUE(at::equal(tensor.value, of_model.at(tensor.name))) << tensor.name;
  }
  EXPECT_EQ(taken, static_cast<int>(of_model.size()) - 5);  // All but the last convolution, which no level uses.
  EXPECT_EQ(differing, 8 + 3 + 4 + 6);                      // Weights of pyramid, RPN, box head and mask head.
  const std::vector<NamedTensor> wrong = testing_support::RecipeModel(Architecture::kSmallCnn, 0).tensors();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another network", (void)InitialDetector(TinySettings(), 5, wrong));
}

TEST(Detector, RefusesTensorsThatDoNotFit) {
  const auto tensors = [] {
    std::vector<NamedTensor> all;
    for (const DetectorTensor& spec : DetectorTensors(TinySettings()))
      all.push_back({spec.name, at::zeros(spec.shape)});
    return all;
  };
  std::vector<NamedTensor> missing = tensors();
  missing.pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is missing", Detector(TinySettings(), missing));
  std::vector<NamedTensor> surplus = tensors();
  surplus.push_back({"surplus", at::zeros({1})});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'surplus'", Detector(TinySettings(), surplus));
  std::vector<NamedTensor> shape = tensors();
  shape[3].value = at::zeros({1, 2, 3});
  EXPECT_ERROR(ErrorCode::kInvalidInput, shape[3].name, Detector(TinySettings(), shape));
  std::vector<NamedTensor> twice = tensors();
  twice.push_back(twice.front());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "twice", Detector(TinySettings(), twice));
  const Detector detector(TinySettings(), tensors());
  EXPECT_ERROR(ErrorCode::kInvalidInput, "type or device", (void)detector.Detect({at::zeros({3, 8, 8}, at::kDouble)}));
}

class DetectorFile : public testing::Test {
 protected:
  hemafed::testing_support::Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
};

TEST_F(DetectorFile, EveryTensorAndSettingComesBack) {
  DetectorSettings settings = TinySettings();
  settings.detections.min_score = 0.25;
  const Detector detector = RecipeDetector(settings);
  const Digest digest = SaveDetector(files_, scratch_ / "a.safetensors", detector, {{"source", "test"}});
  EXPECT_EQ(SaveDetector(files_, scratch_ / "b.safetensors", detector, {{"source", "test"}}), digest);
  const Detector back = LoadDetector(files_, scratch_ / "a.safetensors");
  EXPECT_EQ(DetectorSettingsText(back.settings()), DetectorSettingsText(settings));
  ASSERT_EQ(back.tensors().size(), detector.tensors().size());
  for (std::size_t i = 0; i < back.tensors().size(); ++i) {
    EXPECT_EQ(back.tensors()[i].name, detector.tensors()[i].name);
    EXPECT_TRUE(at::equal(back.tensors()[i].value, detector.tensors()[i].value)) << back.tensors()[i].name;
  }
}

TEST_F(DetectorFile, IsRefusedWithTensorAndReason) {
  const Detector detector = RecipeDetector(TinySettings());
  const std::string settings = DetectorSettingsText(TinySettings());
  const auto write = [&](const std::map<std::string, at::Tensor>& changes, const std::string& metadata) {
    std::map<std::string, at::Tensor> tensors;
    for (const NamedTensor& tensor : detector.tensors()) tensors[tensor.name] = tensor.value;
    for (const auto& [name, value] : changes) {
      if (value.defined()) {
        tensors[name] = value;
      } else {
        tensors.erase(name);
      }
    }
    std::vector<TensorInfo> infos;
    for (const auto& [name, value] : tensors) {
      infos.push_back({.name = name, .dtype = DType::kF32, .shape = value.sizes().vec()});
    }
    SafetensorsWriter writer(files_, scratch_ / "x.safetensors", std::move(infos), {{"hemafed.detector", metadata}});
    for (const auto& [name, value] : tensors) {
      const at::Tensor plain = value.contiguous();
      writer.Append(name, {static_cast<const std::uint8_t*>(plain.const_data_ptr()), plain.nbytes()});
    }
    (void)writer.Finish();
  };
  const auto load = [&] { (void)LoadDetector(files_, scratch_ / "x.safetensors"); };
  write({}, settings);
  load();
  write({{"rpn.head.conv.0.0.bias", at::Tensor()}}, settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rpn.head.conv.0.0.bias", load());
  write({{"rpn.head.conv.0.0.bias", at::zeros({17})}}, settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another shape", load());
  write({{"rpn.head.conv.0.0.bias", at::full({16}, std::nan(""))}}, settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number", load());
  write({{"backbone.body.stem.norm.running_var", at::full({32}, -1.0)}}, settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "negative variance", load());
  write({{"zzz", at::zeros({1})}}, settings);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'zzz'", load());
  write({}, "{}");
  EXPECT_ERROR(ErrorCode::kInvalidInput, "x.safetensors", load());
  write({}, std::string(kMaxDetectorSettingsBytes + 1, ' '));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too long", load());
}

}  // namespace
}  // namespace hemafed::learning
