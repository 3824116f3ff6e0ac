// SPDX-License-Identifier: Apache-2.0
//
// Annotated pictures as tensors for training, and a detector as a finder of cells.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "learning/features/detection/annotated_source.h"
#include "learning/features/detection/detector_finder.h"
#include "learning/features/detection/detector_step.h"
#include "learning/features/detection/exact_masks.h"
#include "learning/features/detection/mask_targets.h"
#include "learning/models/torch_setup.h"
#include "tests/expect_error.h"
#include "tests/learning/features/detection/discs.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::TinyDetector;

// 64 x 48 pixels, two cells.
AnnotatedPicture TwoCells(bool masks) {
  AnnotatedPicture picture;
  picture.rgb = cv::Mat(48, 64, CV_8UC3, cv::Scalar(200, 100, 50));
  picture.rgb.at<cv::Vec3b>(7, 9) = {1, 2, 3};
  picture.has_masks = masks;
  for (const cv::Rect& box : {cv::Rect(4, 6, 20, 16), cv::Rect(40, 20, 12, 18)}) {
    FoundCell cell{.box = cv::Rect2f(box), .score = 1.0F, .mask = {}};
    if (masks) {
      cell.mask = cv::Mat::zeros(picture.rgb.size(), CV_8UC1);
      cv::rectangle(cell.mask, box, cv::Scalar(255), cv::FILLED);
    }
    picture.cells.push_back(cell);
  }
  return picture;
}

TEST(AnnotatedSource, PixelsBoxesAndMasksStayWhereTheyAre) {
  const TrainingPicture picture = ToTrainingPicture(TwoCells(true));
  EXPECT_EQ(picture.picture.sizes(), (std::vector<std::int64_t>{3, 48, 64}));
  for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(picture.picture[c][7][9].item<float>(), static_cast<float>(c + 1));
  EXPECT_EQ(picture.picture[0][0][0].item<float>(), 200.0F);
  EXPECT_TRUE(at::equal(picture.boxes, at::tensor({4.F, 6.F, 24.F, 22.F, 40.F, 20.F, 52.F, 38.F}).view({2, 4})));
  EXPECT_TRUE(at::equal(picture.labels, at::ones({2}, at::kLong)));
  EXPECT_EQ(picture.masks[0].sum().item<float>(), 20.0F * 16.0F);
  EXPECT_EQ(picture.masks[1][20][40].item<float>(), 1.0F);
  EXPECT_EQ(picture.masks[1][19][40].item<float>(), 0.0F);
}

TEST(AnnotatedSource, PartsOfLargerPicturesAreCopiedRight) {
  AnnotatedPicture picture = TwoCells(true);
  const cv::Rect part(2, 3, 30, 31);  // Rows of a part do not follow each other in memory.
  picture.rgb = picture.rgb(part);
  picture.cells.resize(1);
  picture.cells[0].mask = picture.cells[0].mask(part);
  const TrainingPicture result = ToTrainingPicture(picture);
  EXPECT_EQ(result.picture[2][4][7].item<float>(), 3.0F);
  EXPECT_EQ(result.masks[0].sum().item<float>(), 20.0F * 16.0F);
}

TEST(AnnotatedSource, WithoutMasksThereAreNoneAndWithoutCellsEmptyOnes) {
  EXPECT_FALSE(ToTrainingPicture(TwoCells(false)).masks.defined());
  AnnotatedPicture empty = TwoCells(true);
  empty.cells.clear();
  const TrainingPicture result = ToTrainingPicture(empty);
  EXPECT_EQ(result.boxes.sizes(), (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(result.masks.sizes(), (std::vector<std::int64_t>{0, 48, 64}));
}

TEST(AnnotatedSource, SliversAreLeftOut) {
  AnnotatedPicture picture = TwoCells(true);
  picture.cells[0].box.width = 0.5F;
  EXPECT_EQ(ToTrainingPicture(picture).boxes.size(0), 1);
  EXPECT_EQ(ToTrainingPicture(picture).masks.size(0), 1);
}

// Of a disc that a box encloses: the target as a head should draw it, and pasted back.
at::Tensor Disc(double x, double y, double radius) {
  const at::Tensor rows = at::arange(48, at::kFloat).unsqueeze(1) + 0.5, columns = at::arange(64, at::kFloat) + 0.5;
  return (rows - y).square() + (columns - x).square() <= radius * radius;
}

TEST(ExactMasks, PutBackWhatTheAlignedTargetsCutOut) {
  for (const double radius : {6.0, 9.3, 14.5, 20.2}) {
    const double x = 30.3, y = 23.8;
    const at::Tensor disc = Disc(x, y, radius);
    const at::Tensor box = at::tensor({x - radius, y - radius, x + radius, y + radius}).to(at::kFloat).view({1, 4});
    const at::Tensor target =
        MaskTargets(disc.to(at::kFloat).unsqueeze(0), at::zeros({1}, at::kLong), box, 28, MaskSampling::kAligned);
    const at::Tensor pasted = PasteMasksExactly(target, box, 48, 64)[0] > 0;
    const double common = (pasted & disc).sum().item<double>(), either = (pasted | disc).sum().item<double>();
    EXPECT_GT(common / either, 0.97) << radius;
  }
}

TEST(ExactMasks, EqualASlowLoopOverPixels) {
  const at::Tensor probabilities = testing_support::Units(3, {2, 7, 7}, 0).to(at::kFloat);
  const at::Tensor boxes = at::tensor({-5.5F, 3.2F, 20.1F, 30.0F, 40.4F, 10.F, 80.F, 20.9F}).view({2, 4});
  const at::Tensor masks = PasteMasksExactly(probabilities, boxes, 48, 64);
  std::int64_t inside = 0;
  for (std::int64_t n = 0; n < 2; ++n) {
    const auto grid = [&](std::int64_t r, std::int64_t c) {
      return r < 0 || c < 0 || r > 6 || c > 6 ? 0.0 : probabilities[n][r][c].item<double>();
    };
    const auto corner = [&](int k) { return boxes[n][k].item<double>(); };
    for (std::int64_t r = 0; r < 48; ++r) {
      for (std::int64_t c = 0; c < 64; ++c) {
        const double v = (static_cast<double>(r) + 0.5 - corner(1)) / (corner(3) - corner(1)) * 7 - 0.5;
        const double u = (static_cast<double>(c) + 0.5 - corner(0)) / (corner(2) - corner(0)) * 7 - 0.5;
        const double v0 = std::floor(v), u0 = std::floor(u), fv = v - v0, fu = u - u0;
        const auto i = static_cast<std::int64_t>(v0), j = static_cast<std::int64_t>(u0);
        const double value = (1 - fv) * ((1 - fu) * grid(i, j) + fu * grid(i, j + 1)) +
                             fv * ((1 - fu) * grid(i + 1, j) + fu * grid(i + 1, j + 1));
        if (std::abs(value - 0.5) < 1e-5) continue;  // Rounding decides.
        ASSERT_EQ(masks[n][r][c].item<int>(), value > 0.5 ? 255 : 0) << n << " " << r << " " << c;
        inside += value > 0.5 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(inside, 100);
}

TEST(ExactMasks, OfBoxesOutsideThePictureAreEmpty) {
  const at::Tensor boxes =
      at::tensor({-30.F, 3.F, -2.F, 30.F, 10.F, 10.F, 10.F, 20.F, 70.F, 3.F, 1e9F, 30.F}).view({3, 4});
  EXPECT_EQ(PasteMasksExactly(at::ones({3, 28, 28}), boxes, 48, 64).sum().item<std::int64_t>(), 0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one grid", (void)PasteMasksExactly(at::ones({2, 28, 28}), boxes, 48, 64));
}

TEST(DetectorFinder, GivesWhatTheDetectorFindsFromTheScoreOn) {
  ConfigureTorch(1);
  Detector detector = InitialDetector(TinyDetector(), 3);
  const AnnotatedPicture picture = TwoCells(false);
  const Detections all = detector.Detect({PictureTensor(picture.rgb)}).front();
  ASSERT_GE(all.size(), 2);
  const double between = (all.scores[0].item<double>() + all.scores[all.size() - 1].item<double>()) / 2;
  const std::int64_t expected = (all.scores >= between).sum().item<std::int64_t>();
  ASSERT_LT(expected, all.size());

  DetectorFinder finder(std::move(detector), between, "random");
  const std::vector<FoundCell> found = finder.Find(picture.rgb);
  ASSERT_EQ(static_cast<std::int64_t>(found.size()), expected);
  const PreparedPictures prepared = finder.detector().Prepare({PictureTensor(picture.rgb)});
  const std::vector<at::Tensor> pyramid = finder.detector().Pyramid(prepared.frames);
  const at::Tensor logits = finder.detector().MaskLogits(pyramid, {all.frame_boxes}, prepared);
  const at::Tensor masks = PasteMasksExactly(at::sigmoid(logits.select(1, 1)).detach(), all.boxes, 48, 64);
  EXPECT_GT(masks[0].sum().item<std::int64_t>(), 0);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    EXPECT_EQ(found[i].score, all.scores[n].item<float>());
    EXPECT_EQ(found[i].box.x, all.boxes[n][0].item<float>());
    EXPECT_NEAR(Bottom(found[i].box), all.boxes[n][3].item<float>(), 1e-4);
    ASSERT_EQ(found[i].mask.size(), picture.rgb.size());
    const at::Tensor mask = at::from_blob(found[i].mask.data, {48, 64}, at::kByte);
    // A convolution over fewer regions may round differently; a pixel at 0.5 may then turn.
    EXPECT_LE((mask != masks[n]).sum().item<std::int64_t>(), 2);
  }
  EXPECT_NE(finder.Description().find("efficientnet_lite0"), std::string::npos);
  EXPECT_EQ(finder.Description().find('\n'), std::string::npos);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "8-bit RGB", (void)finder.Find(cv::Mat(4, 4, CV_8UC1)));
}

// The small picture set beside the repository.
TEST(AnnotatedSource, RealPicturesGiveLossesWithAndWithoutMasks) {
  const char* folder = std::getenv("HEMAFED_PICTURES");
  const Path data = folder != nullptr ? Path(folder) : Path(HEMAFED_SOURCE_DIR) / "../shared/data";
  if (!RealFileSystem().Exists(data / "jtsc")) {
    GTEST_SKIP() << "no pictures in " << data << "; set HEMAFED_PICTURES to the folder that holds them";
  }
  ConfigureTorch(1);
  const AnnotatedDomain masked(RealFileSystem(), data / "jtsc"), boxed(RealFileSystem(), data / "bccd");
  AnnotatedSource source({.apply =
                              [](const AnnotatedPicture& picture, std::uint64_t place, std::uint64_t epoch) {
                                AnnotatedPicture changed = picture;
                                changed.rgb = picture.rgb + cv::Scalar::all(static_cast<double>(place + epoch));
                                return changed;
                              },
                          .description = "brighter"});
  source.Add(masked, {masked.Positions(Split::kTrain).front()}, 2);
  source.Add(boxed, {boxed.Positions(Split::kTrain).front()});
  ASSERT_EQ(source.size(), 3u);
  EXPECT_TRUE(source.HasMasks(0));
  EXPECT_TRUE(source.HasMasks(1));
  EXPECT_FALSE(source.HasMasks(2));
  const TrainingPicture first = source.Get(0, 0), later = source.Get(0, 5);
  EXPECT_TRUE(at::equal(first.masks, later.masks));
  EXPECT_TRUE(at::equal((first.picture + 5).clamp_max(255), later.picture));
  EXPECT_NE(source.Description().find("brighter"), std::string::npos);

  const Detector detector = InitialDetector(TinyDetector(), 3);
  const DetectorLosses losses = LossesOf(detector, {source.Get(0, 0), source.Get(2, 0)}, TargetRules{}, 1, 0);
  EXPECT_GT(losses.masks.item<double>(), 0.0);
  EXPECT_TRUE(std::isfinite(losses.Total().item<double>()));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has no picture", source.Add(masked, {100000}));
}

}  // namespace
}  // namespace hemafed::learning
