// learning/features/detection/detector.h
// SPDX-License-Identifier: Apache-2.0
//
// Mask R-CNN (detector_settings.h): finds cells in pictures as boxes with scores and masks, and hands out the features
// of the found regions.
//
//     pictures -> Prepare -> frames -> Pyramid -> P2..P6 -> Propose -> proposals (boxes of the frame)
//     proposals -> BoxHead -> classes and boxes -> detections -> MaskLogits, FeaturesAt
//
// Detect does all of it. The single steps are for training (detector_step.h) and for tests; all of them but Propose and
// Finish are differentiable in the tensors of the detector.
//
// Shapes: N pictures; a picture is [3, H, W] float32, RGB, 0..255, on the detector's device; boxes [n, 4] float32 as
// x0, y0, x1, y1 in pixels (of the frame inside the network, of the picture in Detections); R the boxes of all
// pictures, those of the first picture first; C classes with background; A anchors of all levels.
//
// Errors: Error(kInvalidInput) that names the picture, tensor or setting.
// Thread-safety: everything const may run concurrently while nobody trains; everything else belongs to one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "learning/features/detection/boxes.h"
#include "learning/features/detection/detector_settings.h"
#include "learning/features/detection/picture_frame.h"
#include "learning/models/classifier.h"  // NamedTensor

namespace hemafed::learning {

class DetectorNetwork;  // detector_network.h

// How the deltas of the two stages are coded.
//
// matterport's normalised coordinates divide by side - 1 and put x1 at its last pixel: seen in pixels, boxes whose x1
// and y1 are one less. Its network decodes against such boxes, and the head's proposals are matched with true boxes and
// coded by them (head_targets.h; the RPN's targets are made from plain boxes). LastPixelCorners makes them; in the
// torchvision form it returns its argument.
[[nodiscard]] BoxCoding RpnCoding(DetectorForm form);
[[nodiscard]] BoxCoding HeadCoding(DetectorForm form);
[[nodiscard]] at::Tensor LastPixelCorners(DetectorForm form, const at::Tensor& boxes);

// What the RPN says about every anchor, levels from fine to coarse, within a level by row, column and ratio.
struct RpnOutput {
  at::Tensor objectness;  // [N, A]: sigmoid gives the score. Of the published form: foreground minus background logit.
  at::Tensor deltas;      // [N, A, 4], columns as in RpnCoding
};

// The anchors of a frame in the order of RpnOutput.
struct AnchorSet {
  at::Tensor boxes;                  // [A, 4]
  std::vector<std::int64_t> levels;  // number of anchors of each level that has any, fine to coarse
};

// What the box head says about every given box.
struct BoxHeadOutput {
  at::Tensor logits;  // [R, C]: softmax over classes
  at::Tensor deltas;  // [R, C, 4], columns as in HeadCoding
};

struct Proposals {
  std::vector<at::Tensor> boxes;   // per picture [n, 4], best first
  std::vector<at::Tensor> scores;  // per picture [n], 0..1
};

// What was found in one picture, best score first.
struct Detections {
  at::Tensor boxes;        // [n, 4] in the picture as given
  at::Tensor scores;       // [n], 0..1
  at::Tensor labels;       // [n] int64, 1..C-1
  at::Tensor masks;        // [n, H, W] uint8, 0 or 255, of the picture's size on the CPU; undefined if not asked for
  at::Tensor features;     // [n, channels, 14, 14]; undefined if not asked for
  at::Tensor grids;        // [n, 28, 28], 0..1 on the CPU: what masks are pasted from; undefined if not asked for
  at::Tensor frame_boxes;  // [n, 4] in the frame: what features and masks were taken at

  [[nodiscard]] std::int64_t size() const { return scores.size(0); }
};

struct DetectOptions {
  bool masks = true;  // a byte a pixel of the picture for each detection, at most kMaxMaskBytes for all pictures
  bool features = false;
  bool grids = false;      // to paste masks one at a time (paste_masks.h, exact_masks.h)
  double min_score = 0.0;  // detections below are left out, beside the rules' own threshold
};

// Which tensors a training step may change. Running statistics never do: batch norm is frozen.
struct TrainedParts {
  bool affine = false;    // scales and shifts of batch norms: false in torchvision, true in the published form
  int frozen_stages = 2;  // stem and stages of the body that stay: 0 none, 1 the stem, .. 5 all. torchvision trains 3
                          // of 5 parts, hence 2.
  bool mask_head = true;  // false: for pictures with boxes alone
};

class Detector {
 public:
  // Takes over the tensors of DetectorTensors(settings) (body_plan.h), in any order; names, shapes, a common
  // floating type and device are checked.
  Detector(DetectorSettings settings, std::vector<NamedTensor> tensors);
  ~Detector();
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;

  // A copy with tensors of its own, not training.
  [[nodiscard]] Detector Clone() const;
  [[nodiscard]] Detector To(at::Device device) const;

  [[nodiscard]] const DetectorSettings& settings() const { return settings_; }
  // For rules alone (score threshold, picture size): what the tensors depend on must not change.
  void SetRules(const FrameRule& frame, const ProposalRule& proposals, const DetectionRule& detections);
  [[nodiscard]] at::Device device() const { return tensors_.front().value.device(); }
  // In ascending byte order of their names. Change them in place, never replace them.
  [[nodiscard]] const std::vector<NamedTensor>& tensors() const { return tensors_; }

  // --- the whole way, without gradients ---
  [[nodiscard]] std::vector<Detections> Detect(const std::vector<at::Tensor>& pictures,
                                               const DetectOptions& options = {}) const;

  // --- single steps ---
  // Differing sizes become one batch: frames are padded to the largest.
  [[nodiscard]] PreparedPictures Prepare(const std::vector<at::Tensor>& pictures) const;
  // P2..P6, each [N, channels, h, w].
  [[nodiscard]] std::vector<at::Tensor> Pyramid(const at::Tensor& frames) const;
  [[nodiscard]] RpnOutput Rpn(const std::vector<at::Tensor>& pyramid) const;
  [[nodiscard]] AnchorSet Anchors(const std::vector<at::Tensor>& pyramid, const PreparedPictures& prepared) const;
  // `training` chooses the numbers of ProposalRule. No gradients.
  [[nodiscard]] Proposals Propose(const RpnOutput& rpn, const AnchorSet& anchors, const PreparedPictures& prepared,
                                  bool training) const;
  // `boxes` per picture, in the frame.
  [[nodiscard]] BoxHeadOutput BoxHead(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                      const PreparedPictures& prepared) const;
  // [R, C, 28, 28].
  [[nodiscard]] at::Tensor MaskLogits(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                      const PreparedPictures& prepared) const;
  // [R, channels, side, side]: the form's own crop (torchvision: RoIAlign, 2 x 2 samples a bin; published:
  // crop_and_resize) at the level that the form's rule names. With side 14 at detections' frame_boxes: the feature of
  // AE-CFE.
  [[nodiscard]] at::Tensor FeaturesAt(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                      const PreparedPictures& prepared, std::int64_t side = kFeatureSide) const;
  // From box head output at proposals to boxes, scores, labels and frame_boxes. No gradients.
  [[nodiscard]] std::vector<Detections> Finish(const BoxHeadOutput& output, const std::vector<at::Tensor>& proposals,
                                               const PreparedPictures& prepared) const;

  // --- training ---
  // Marks the tensors that may change and returns them in canonical order.
  [[nodiscard]] std::vector<NamedTensor> BeginTraining(const TrainedParts& parts);
  // Unmarks them and forgets gradients.
  void EndTraining();

 private:
  DetectorSettings settings_;
  std::vector<NamedTensor> tensors_;
  std::unique_ptr<const DetectorNetwork> network_;
};

// First weights for training, from `seed` alone (Philox; detector_init.cc has the rules, torchvision's where it has
// any). `body` is a model's tensors (LoadModel of imported weights: efficientnet_lite0 or resnet50) whose trunk is
// taken over, or empty: then the body is random with batch statistics 0 and 1, which no one should train but tests.
[[nodiscard]] Detector InitialDetector(const DetectorSettings& settings, std::uint64_t seed,
                                       const std::vector<NamedTensor>& body = {});

}  // namespace hemafed::learning
