// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "common/clock.h"
#include "learning/features/detection/boxes.h"
#include "learning/features/detection/detector_step.h"
#include "learning/features/detection/detector_trainer.h"
#include "learning/models/torch_setup.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/features/detection/discs.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::DiscPicture;
using testing_support::DiscSource;
using testing_support::LargestDifference;
using testing_support::TinyDetector;

class DetectorTraining : public testing::Test {
 protected:
  void SetUp() override { ConfigureTorch(1); }
};

// All parts are trained: a random body has nothing worth keeping.
DetectorTrainingSettings TinyTraining(std::uint64_t steps) {
  DetectorTrainingSettings settings = SmallMachineTraining(steps);
  settings.parts = {.affine = true, .frozen_stages = 0};
  settings.optimiser.learning_rate = 2e-3;
  settings.warm_up_steps = std::min<std::uint64_t>(5, steps);
  settings.batch = 2;
  settings.checkpoint_every = 3;
  return settings;
}

class NoOutput final : public ProgressOutput {
 public:
  void Write(std::string_view /*text*/) override {}
  [[nodiscard]] std::size_t Columns() const override { return 0; }
};

void ExpectSameValues(const Detector& a, const Detector& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    EXPECT_TRUE(at::equal(a.tensors()[i].value, b.tensors()[i].value)) << a.tensors()[i].name;
  }
}

double SizeOfGradients(const Detector& detector, const std::string& prefix) {
  double sum = 0;
  for (const NamedTensor& tensor : detector.tensors()) {
    if (!tensor.name.starts_with(prefix) || !tensor.value.grad().defined()) continue;
    sum += tensor.value.grad().abs().sum().item<double>();
  }
  return sum;
}

double MaskIou(const at::Tensor& a, const at::Tensor& b) {
  const double either = at::logical_or(a > 0, b > 0).sum().item<double>();
  return at::logical_and(a > 0, b > 0).sum().item<double>() / either;
}

TEST_F(DetectorTraining, LearnsToFindDrawnDiscs) {
  constexpr std::uint64_t kSteps = 150;
  Detector detector = InitialDetector(TinyDetector(), 3);
  const DiscSource source(400, 1);
  DetectorTrainer trainer(detector, source, TinyTraining(kSteps));
  while (!trainer.Done()) (void)trainer.Step();
  const auto mean_of = [&](std::size_t first, std::size_t loss) {
    double sum = 0;
    for (std::size_t i = first; i < first + 10; ++i) sum += trainer.losses()[i][loss];
    return sum / 10;
  };
  double first = 0;
  for (std::size_t loss = 0; loss < kDetectorLosses; ++loss) first += mean_of(0, loss);
  EXPECT_LT(trainer.RecentLoss(10), 0.5 * first);
  // Objectness, classes and masks; the head's box loss first rises, as better proposals give it more positives.
  for (const std::size_t loss : {0u, 2u, 4u}) EXPECT_LT(mean_of(kSteps - 10, loss), 0.5 * mean_of(0, loss)) << loss;

  int discs = 0, found = 0, detections = 0;
  double overlap = 0;
  for (std::uint64_t number = 900000; number < 900020; ++number) {  // Never trained on.
    const TrainingPicture truth = DiscPicture(number, true);
    const Detections seen = detector.Detect({truth.picture}).front();
    const at::Tensor sure = at::nonzero(seen.scores >= 0.5).squeeze(1);
    const at::Tensor overlaps = IouMatrix(truth.boxes, seen.boxes.index_select(0, sure));
    detections += static_cast<int>(sure.size(0));
    for (std::int64_t d = 0; d < truth.boxes.size(0); ++d) {
      ++discs;
      if (sure.size(0) == 0 || overlaps[d].max().item<double>() < 0.5) continue;
      ++found;
      const std::int64_t best = sure[overlaps[d].argmax().item<std::int64_t>()].item<std::int64_t>();
      overlap += MaskIou(seen.masks[best], truth.masks[d]);
    }
  }
  EXPECT_GE(found, discs * 9 / 10);
  EXPECT_LE(detections, discs * 13 / 10);
  EXPECT_GT(overlap / found, 0.75);
}

TEST_F(DetectorTraining, GoesOnFromACheckpointWithTheSameBits) {
  const DiscSource source(9, 2);
  Detector whole = InitialDetector(TinyDetector(), 3), broken = whole.Clone(), resumed = whole.Clone();
  {
    DetectorTrainer trainer(whole, source, TinyTraining(6));
    while (!trainer.Done()) (void)trainer.Step();
  }
  Checkpoint saved;
  {
    DetectorTrainer trainer(broken, source, TinyTraining(6));
    for (int i = 0; i < 3; ++i) (void)trainer.Step();
    FaultFileSystem files;
    WriteCheckpoint(files, "/run", trainer.Save());
    saved = ReadCheckpoint(files, "/run");
  }
  DetectorTrainer trainer(resumed, source, TinyTraining(6));
  trainer.Restore(saved);
  EXPECT_EQ(trainer.steps_done(), 3u);
  while (!trainer.Done()) (void)trainer.Step();
  EXPECT_EQ(trainer.losses().size(), 6u);
  ExpectSameValues(resumed, whole);
  EXPECT_GT(LargestDifference(whole.tensors().front().value, broken.tensors().front().value), 0.0)
      << "no step did a thing";
}

TEST_F(DetectorTraining, StopsWhenAskedAndGoesOnLater) {
  const DiscSource source(9, 2);
  FaultFileSystem files;
  SystemClock clock;
  NoOutput output;
  Progress progress(clock, output);
  Detector whole = InitialDetector(TinyDetector(), 3), resumed = whole.Clone();
  const Detector first = whole.Clone();
  TrainDetector(whole, source, TinyTraining(5), {&files, "/whole", &progress, {}});
  int left = 2;
  EXPECT_ERROR(
      ErrorCode::kInterrupted, "2 steps",
      TrainDetector(resumed, source, TinyTraining(5), {&files, "/run", &progress, [&] { return left-- == 0; }}));
  resumed = first.Clone();
  TrainDetector(resumed, source, TinyTraining(5), {&files, "/run", &progress, {}});
  ExpectSameValues(resumed, whole);

  Detector other = first.Clone();
  DetectorTrainingSettings settings = TinyTraining(5);
  settings.seed = 1;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other settings",
               TrainDetector(other, source, settings, {&files, "/run", &progress, {}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "other settings",
               TrainDetector(whole, source, TinyTraining(5), {&files, "/run", &progress, {}}));
}

TEST_F(DetectorTraining, PicturesWithBoxesAloneTrainAllButTheMaskHead) {
  Detector detector = InitialDetector(TinyDetector(), 3);
  (void)detector.BeginTraining({.affine = true, .frozen_stages = 0});
  const DetectorTrainingSettings settings = TinyTraining(1);
  const DetectorLosses boxes =
      LossesOf(detector, {DiscPicture(1, false), DiscPicture(2, false)}, settings.targets, 5, 0);
  EXPECT_EQ(boxes.masks.item<double>(), 0.0);
  boxes.Total().backward();
  EXPECT_EQ(SizeOfGradients(detector, "roi_heads.mask"), 0.0);
  for (const char* part : {"backbone.body", "backbone.fpn", "rpn", "roi_heads.box_head", "roi_heads.box_predictor"}) {
    EXPECT_GT(SizeOfGradients(detector, part), 0.0) << part;
  }
  // Beside a picture with masks they do not change its mask loss.
  const DetectorLosses alone = LossesOf(detector, {DiscPicture(1, true)}, settings.targets, 5, 0);
  const DetectorLosses beside =
      LossesOf(detector, {DiscPicture(1, true), DiscPicture(2, false)}, settings.targets, 5, 0);
  EXPECT_GT(alone.masks.item<double>(), 0.0);
  EXPECT_NEAR(beside.masks.item<double>(), alone.masks.item<double>(), 1e-5);
  alone.Total().backward();
  EXPECT_GT(SizeOfGradients(detector, "roi_heads.mask"), 0.0);
}

TEST_F(DetectorTraining, WithoutAnyMaskTheMaskHeadStaysAsItIs) {
  const DiscSource source(4, 0);
  Detector detector = InitialDetector(TinyDetector(), 3);
  const Detector first = detector.Clone();
  DetectorTrainer trainer(detector, source, TinyTraining(2));
  while (!trainer.Done()) (void)trainer.Step();
  for (std::size_t i = 0; i < first.tensors().size(); ++i) {
    if (!first.tensors()[i].name.starts_with("roi_heads.mask")) continue;
    EXPECT_TRUE(at::equal(first.tensors()[i].value, detector.tensors()[i].value)) << first.tensors()[i].name;
  }
}

TEST_F(DetectorTraining, APictureWithoutCellsTrainsAsBackground) {
  const Detector detector = InitialDetector(TinyDetector(), 3);
  TrainingPicture empty = DiscPicture(1, true);
  empty.boxes = at::empty({0, 4});
  empty.labels = at::empty({0}, at::kLong);
  empty.masks = at::empty({0, 64, 64});
  const DetectorLosses losses = LossesOf(detector, {empty}, TargetRules{}, 5, 0);
  EXPECT_GT(losses.objectness.item<double>(), 0.0);
  EXPECT_GT(losses.classes.item<double>(), 0.0);
  EXPECT_EQ(losses.proposal_boxes.item<double>(), 0.0);
  EXPECT_EQ(losses.boxes.item<double>(), 0.0);
  EXPECT_EQ(losses.masks.item<double>(), 0.0);
}

TEST_F(DetectorTraining, ThePublishedFormAndItsRulesTrain) {
  DetectorSettings settings = PublishedDetector(DetectorBody::kResNet50);
  settings.channels = 8;
  settings.rpn_channels = 8;
  settings.head_width = 16;
  settings.anchor_sides = {16, 24, 32, 64, 128};
  settings.frame.first_side = 64;
  settings.frame.min_side = 128;
  settings.frame.max_side = 128;
  settings.proposals.after_training = 50;
  Detector detector = InitialDetector(settings, 3);
  const DetectorTrainingSettings training = PublishedTraining(2);
  (void)detector.BeginTraining(training.parts);
  TargetRules rules = training.targets;
  rules.truth_joins_proposals = true;  // A random RPN would give the heads no positive.
  const DetectorLosses losses = LossesOf(detector, {DiscPicture(1, true)}, rules, 5, 0);
  losses.Total().backward();
  for (const at::Tensor& loss :
       {losses.objectness, losses.proposal_boxes, losses.classes, losses.boxes, losses.masks}) {
    EXPECT_TRUE(std::isfinite(loss.item<double>()));
    EXPECT_GT(loss.item<double>(), 0.0);
  }
}

TEST_F(DetectorTraining, AnnotationsThatDoNotFitAreRefused) {
  const Detector detector = InitialDetector(TinyDetector(), 3);
  const auto expect = [&](const char* words, auto change) {
    TrainingPicture picture = DiscPicture(1, true);
    change(picture);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words,
                 (void)LossesOf(detector, {DiscPicture(2, true), picture}, TargetRules{}, 5, 0));
  };
  expect("outside the picture", [](TrainingPicture& p) { p.boxes = p.boxes + 60; });
  expect("no extent", [](TrainingPicture& p) { p.boxes = at::zeros_like(p.boxes); });
  expect("picture 1 of the batch", [](TrainingPicture& p) { p.masks = at::zeros({p.boxes.size(0), 32, 64}); });
  expect("one mask of the picture's size", [](TrainingPicture& p) { p.masks = at::zeros({7, 64, 64}); });
  expect("classes", [](TrainingPicture& p) { p.labels = p.labels + 1; });
  expect("one label", [](TrainingPicture& p) { p.labels = at::ones({9}, at::kLong); });
}

TEST_F(DetectorTraining, RatesWarmUpAndFall) {
  DetectorTrainingSettings settings = SmallMachineTraining(100);
  settings.optimiser.learning_rate = 1.0;
  settings.warm_up_steps = 4;
  const double pi = std::acos(-1.0);
  EXPECT_NEAR(RateAt(settings, 0), 0.25, 1e-12);
  EXPECT_NEAR(RateAt(settings, 2), 0.75 * (1 + std::cos(pi * 0.02)) / 2, 1e-12);
  EXPECT_NEAR(RateAt(settings, 50), 0.5, 1e-12);
  EXPECT_EQ(RateAt(PublishedTraining(10), 9), 1e-3);
  EXPECT_NEAR(RateAt(TorchvisionTraining(16, 5000), 999), 0.02, 1e-12);
  settings.steps = 0;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "steps", RequireValid(settings));
}

}  // namespace
}  // namespace hemafed::learning
