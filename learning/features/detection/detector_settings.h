// learning/features/detection/detector_settings.h
// SPDX-License-Identifier: Apache-2.0
//
// What a Mask R-CNN (He et al., ICCV 2017, with the feature pyramid of Lin et al., CVPR 2017) consists of and by which
// rules it works. Value types without LibTorch; the named constructors at the end are the variants that exist.
//
// Two forms of the same network:
//   torchvision  maskrcnn_resnet50_fpn of torchvision 0.28: convolutions of the body without bias, stride on the 3x3,
//                RPN of 256 channels, plain box and mask heads. Its published weights fit name for name.
//   published    the form that AE-CFE used (matterport's Keras code; published-systems 3.1): convolutions with bias,
//                stride on the first 1x1, RPN of 512 channels, batch norm in both heads, epsilon 1e-3.
//                63,733,406 values with ResNet-101 and two classes, of them 111,488 running statistics; 44,662,942 with
//                ResNet-50.
//
// Three bodies: resnet50, resnet101, and efficientnet_lite0 (torchvision form only): its blocks at strides 4, 8, 16 and
// 32 (24, 40, 112 and 320 channels) under the same pyramid, with the ImageNet weights that these machines can reach.
//
// "Frame" is the picture as the network sees it: resized and padded. All lengths are pixels of the frame unless said
// otherwise. Boxes are x0, y0, x1, y1 with x1 = x0 + width.
//
// Thread-safety: value types and free functions without state.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hemafed::learning {

enum class DetectorBody : std::uint8_t { kEfficientNetLite0, kResNet50, kResNet101 };
inline constexpr std::array kDetectorBodies = {DetectorBody::kEfficientNetLite0, DetectorBody::kResNet50,
                                               DetectorBody::kResNet101};
enum class DetectorForm : std::uint8_t { kTorchvision, kPublished };
inline constexpr std::array kDetectorForms = {DetectorForm::kTorchvision, DetectorForm::kPublished};

[[nodiscard]] std::string_view DetectorBodyName(DetectorBody body);  // "efficientnet_lite0", "resnet50", "resnet101"
[[nodiscard]] std::string_view DetectorFormName(DetectorForm form);  // "torchvision", "published"
// Throw Error(kInvalidInput) that lists the known names.
[[nodiscard]] DetectorBody DetectorBodyFromName(std::string_view name);
[[nodiscard]] DetectorForm DetectorFormFromName(std::string_view name);

// Levels of the pyramid by their stride: P2 (4) to P6 (64).
inline constexpr std::size_t kPyramidLevels = 5;
inline constexpr std::size_t kRoiLevels = 4;  // P6 serves the RPN alone.
inline constexpr std::array<int, kPyramidLevels> kPyramidStrides = {4, 8, 16, 32, 64};
inline constexpr std::int64_t kBoxCropSide = 7;  // Of what the box head is given.
inline constexpr std::int64_t kMaskCropSide = 14;
inline constexpr std::int64_t kMaskSide = 28;  // Of the mask head's output.
inline constexpr int kMaskLayers = 4;          // 3 x 3 convolutions of the mask head, before it doubles the side.
inline constexpr std::int64_t kFeatureSide = 14;

// Largest side of a picture or frame in pixels: bounds what one picture can make us hold (a 4096 x 4096 frame has 200
// MB of float32 pixels and needs some GB in the network).
inline constexpr std::int64_t kMaxPictureSide = 16384;
inline constexpr std::int64_t kMaxFrameSide = 4096;
// Detections of a picture: what segment_journal.h and annotated_picture.h take of one, and more than the some hundred
// cells of a 12-megapixel field of view. Each takes 0.8 MB behind the mask head's doubling (256 x 28 x 28 float32), all
// of them 1.6 GB.
inline constexpr std::int64_t kMaxDetections = 2000;
// Bytes of masks of a picture's own size that are held at once, a byte a pixel and mask: 12 megapixels with 100
// detections, the most of both published forms, take 1.2 GB.
inline constexpr std::int64_t kMaxMaskBytes = std::int64_t{2} << 30;

// How a picture becomes a frame.
//   torchvision  (v / 255 - mean) / deviation, the shorter side scaled to min_side unless the longer one would exceed
//                max_side, bilinear; zeros right and below up to a multiple of 32.
//   published    resized to first_side x first_side whatever its shape, scaled to min_side, put into the middle of
//                max_side x max_side zeros, minus mean (0..255), no division.
struct FrameRule {
  std::int64_t first_side = 0;  // published only; 0: not resized first
  std::int64_t min_side = 800;
  std::int64_t max_side = 1333;
  std::array<double, 3> mean = {0.485, 0.456, 0.406};
  std::array<double, 3> deviation = {0.229, 0.224, 0.225};
};

// Which regions the RPN proposes. torchvision takes `before` per picture and level and suppresses within a level;
// published takes them over all levels.
struct ProposalRule {
  std::int64_t before_training = 2000;  // best scored boxes that reach suppression
  std::int64_t before_testing = 1000;
  std::int64_t after_training = 2000;  // boxes of a picture after it
  std::int64_t after_testing = 1000;
  double overlap = 0.7;    // IoU above which the lower score goes
  double min_side = 1e-3;  // smaller boxes go first; 0: none does
};

struct DetectionRule {
  double min_score = 0.05;  // torchvision: a score must exceed it; published: reach it
  double overlap = 0.5;
  double min_side = 1e-2;
  std::int64_t most = 100;  // detections of a picture, at most kMaxDetections
};

struct DetectorSettings {
  DetectorForm form = DetectorForm::kTorchvision;
  DetectorBody body = DetectorBody::kResNet50;
  int classes = 2;              // with background, which is class 0
  double batch_epsilon = 1e-5;  // of the frozen batch norms of the body (and, published, of the heads)
  std::int64_t channels = 256;  // of the pyramid and of the mask head
  std::int64_t rpn_channels = 256;
  std::int64_t head_width = 1024;   // of the two layers of the box head
  std::size_t first_rpn_level = 0;  // 0: P2. Anchors lie on this level and all above.
  std::array<double, kPyramidLevels> anchor_sides = {32, 64, 128, 256, 512};  // by level; below first_rpn_level unused
  std::vector<double> anchor_ratios = {0.5, 1, 2};  // torchvision: height / width; published: width / height
  FrameRule frame;
  ProposalRule proposals;
  DetectionRule detections;
};

// torchvision's defaults; body resnet50 or resnet101 (which torchvision has no weights for). batch_epsilon is 1e-5 as
// after construction; torchvision sets it to 0 when it loads maskrcnn_resnet50_fpn's COCO_V1 weights, and so does
// scripts/import_weights.py in the file that it writes.
[[nodiscard]] DetectorSettings TorchvisionDetector(DetectorBody body);

// published-systems 3.1; body resnet50 or resnet101.
[[nodiscard]] DetectorSettings PublishedDetector(DetectorBody body);

// The default without a GPU: Lite0 under the full 256 channels (the 256 x 14 x 14 feature that the autoencoder takes),
// torchvision's rules with what a picture of a few cells needs: shorter side 256 (a cell of a single-cell picture is
// then 60 to 230 px), anchors on P3 to P6 alone (32 px anchors on P2 find nothing as small as that and cost a third of
// the RPN), 200 proposals in training and 50 in testing from 400 and 200 a level, 20 detections, batch_epsilon 1e-3
// (what Lite0's statistics were made with). A wide picture with cells under 30 px of 256 needs TorchvisionDetector or a
// larger frame.min_side.
[[nodiscard]] DetectorSettings SmallMachineDetector();

// Throws Error(kInvalidInput) naming the first setting that is out of range or does not go with the form.
void RequireValid(const DetectorSettings& settings);

// The settings as canonical JSON, which a detector's file carries in its metadata, and back. Missing, surplus,
// malformed and out-of-range entries are Error(kInvalidInput).
[[nodiscard]] std::string DetectorSettingsText(const DetectorSettings& settings);
[[nodiscard]] DetectorSettings DetectorSettingsFromText(std::string_view text);

}  // namespace hemafed::learning
