// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>
#include <utility>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/detection/boxes.h"
#include "learning/features/detection/head_targets.h"

namespace hemafed::learning {

namespace {

// Batches of a training run are far smaller; the streams of two steps must not meet.
constexpr std::uint64_t kMaxBatch = 1 << 16;

void RequireFitting(const TrainingPicture& picture, std::size_t place, int classes) {
  const auto require = [&](bool holds, const char* what) {
    if (holds) return;
    throw Error(ErrorCode::kInvalidInput, "training picture " + std::to_string(place) + " of the batch: " + what);
  };
  require(picture.picture.dim() == 3 && picture.picture.size(0) == 3, "the picture must be [3,H,W]");
  RequireBoxes(picture.boxes, "true boxes");
  const std::int64_t count = picture.boxes.size(0);
  require(picture.labels.dim() == 1 && picture.labels.size(0) == count && picture.labels.scalar_type() == at::kLong,
          "there must be one label for each box");
  if (picture.masks.defined()) {
    require(picture.masks.dim() == 3 && picture.masks.size(0) == count &&
                picture.masks.size(1) == picture.picture.size(1) && picture.masks.size(2) == picture.picture.size(2),
            "there must be one mask of the picture's size for each box");
  }
  if (count == 0) return;
  require(at::logical_and(picture.labels >= 1, picture.labels < classes).all().item<bool>(),
          "a label is not one of the detector's classes");
  const at::Tensor sides = picture.boxes.slice(1, 2, 4) - picture.boxes.slice(1, 0, 2);
  require((sides > 0).all().item<bool>(), "a box has no extent");
  const at::Tensor clipped = ClipBoxes(picture.boxes, static_cast<double>(picture.picture.size(1)),
                                       static_cast<double>(picture.picture.size(2)));
  require((clipped - picture.boxes).abs().max().item<double>() <= 1.0, "a box lies outside the picture");
}

// Of one picture, on the detector's device.
struct Truth {
  at::Tensor boxes;  // in the frame
  at::Tensor labels;
  at::Tensor masks;  // undefined without masks
};

struct ProposalTargets {
  std::vector<at::Tensor> logits, positive, deltas, targets;
};

// HeadTargets of all pictures, one entry each.
struct AllHeadTargets {
  std::vector<at::Tensor> boxes, classes, deltas, owners;
};

RandomStream Stream(std::uint64_t seed, const char* purpose, std::uint64_t step, std::size_t place) {
  return RandomStream(DeriveSeed(seed, purpose), step * kMaxBatch + place);
}

void AddProposalTargets(ProposalTargets& all, const RpnOutput& rpn, const AnchorSet& anchors, const Truth& truth,
                        std::int64_t n, const TargetRules& rules, const BoxCoding& coding, RandomStream random) {
  const at::Tensor matches = MatchBoxes(truth.boxes, anchors.boxes, rules.proposal_match);
  const SampledTargets sampled = SampleTargets(matches, rules.proposal_sample, random);
  const at::Tensor places = sampled.All();
  all.logits.push_back(rpn.objectness[n].index_select(0, places));
  all.positive.push_back(matches.index_select(0, places) >= 0);
  all.deltas.push_back(rpn.deltas[n].index_select(0, sampled.positive));
  const at::Tensor owners = matches.index_select(0, sampled.positive);
  all.targets.push_back(
      EncodeBoxes(truth.boxes.index_select(0, owners), anchors.boxes.index_select(0, sampled.positive), coding));
}

void AddHeadTargets(AllHeadTargets& all, HeadTargets one) {
  all.boxes.push_back(std::move(one.boxes));
  all.classes.push_back(std::move(one.classes));
  all.deltas.push_back(std::move(one.deltas));
  all.owners.push_back(std::move(one.owners));
}

at::Tensor MaskLossOf(const Detector& detector, const std::vector<at::Tensor>& pyramid,
                      const PreparedPictures& prepared, const std::vector<Truth>& truths, const AllHeadTargets& head,
                      MaskSampling sampling) {
  std::vector<at::Tensor> rois, classes, targets;
  for (std::size_t n = 0; n < truths.size(); ++n) {
    const at::Tensor& owners = head.owners[n];
    const std::int64_t taken = truths[n].masks.defined() ? owners.size(0) : 0;
    const at::Tensor boxes = head.boxes[n].slice(0, 0, taken);
    rois.push_back(boxes);
    if (taken == 0) continue;
    classes.push_back(head.classes[n].slice(0, 0, taken));
    targets.push_back(MaskTargets(truths[n].masks, owners, prepared.places[n].ToPicture(boxes), kMaskSide, sampling));
  }
  if (classes.empty()) return at::zeros({}, pyramid.front().options());
  return MaskLoss(detector.MaskLogits(pyramid, rois, prepared), at::cat(classes), at::cat(targets));
}

}  // namespace

DetectorLosses LossesOf(const Detector& detector, const std::vector<TrainingPicture>& batch, const TargetRules& rules,
                        std::uint64_t seed, std::uint64_t step) {
  if (batch.empty() || batch.size() > kMaxBatch) {
    throw Error(ErrorCode::kInvalidInput, "a training batch must have 1 to " + std::to_string(kMaxBatch) + " pictures");
  }
  const DetectorForm form = detector.settings().form;
  const at::Device device = detector.device();
  std::vector<at::Tensor> pictures;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    RequireFitting(batch[n], n, detector.settings().classes);
    pictures.push_back(batch[n].picture.to(device));
  }
  const PreparedPictures prepared = detector.Prepare(pictures);
  std::vector<Truth> truths;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    truths.push_back({prepared.places[n].ToFrame(batch[n].boxes.to(device)), batch[n].labels.to(device),
                      batch[n].masks.defined() ? batch[n].masks.to(device) : at::Tensor()});
  }

  const std::vector<at::Tensor> pyramid = detector.Pyramid(prepared.frames);
  const RpnOutput rpn = detector.Rpn(pyramid);
  const AnchorSet anchors = detector.Anchors(pyramid, prepared);
  ProposalTargets proposal;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    AddProposalTargets(proposal, rpn, anchors, truths[n], static_cast<std::int64_t>(n), rules, RpnCoding(form),
                       Stream(seed, "anchors", step, n));
  }
  const Proposals proposals = detector.Propose(rpn, anchors, prepared, true);
  AllHeadTargets head;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    AddHeadTargets(head, MakeHeadTargets(form, proposals.boxes[n].detach(), truths[n].boxes, truths[n].labels, rules,
                                         Stream(seed, "proposals", step, n)));
  }
  const BoxHeadOutput output = detector.BoxHead(pyramid, head.boxes, prepared);

  // Places of the positives among the sampled of all pictures.
  std::vector<at::Tensor> positive;
  std::int64_t before = 0;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    positive.push_back(at::arange(before, before + head.owners[n].size(0), head.owners[n].options()));
    before += head.boxes[n].size(0);
  }
  const at::Tensor places = at::cat(positive), classes = at::cat(head.classes);
  const at::Tensor deltas = OfTrueClass(output.deltas.index_select(0, places), classes.index_select(0, places));

  const at::Tensor objectness = at::cat(proposal.logits);
  return {.objectness = ObjectnessLoss(objectness, at::cat(proposal.positive)),
          .proposal_boxes =
              BoxLoss(at::cat(proposal.deltas), at::cat(proposal.targets), objectness.size(0), rules.proposal_loss),
          .classes = ClassLoss(output.logits, classes),
          .boxes = BoxLoss(deltas, at::cat(head.deltas), before, rules.head_loss),
          .masks = MaskLossOf(detector, pyramid, prepared, truths, head, rules.mask_sampling)};
}

}  // namespace hemafed::learning
