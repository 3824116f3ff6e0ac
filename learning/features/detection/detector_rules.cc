// SPDX-License-Identifier: Apache-2.0
//
// The rules of the two forms about boxes: what the RPN proposes and what is a detection in the end.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "common/error.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/nms.h"

namespace hemafed::learning {

namespace {

at::Tensor CornerShift(const at::Tensor& boxes) {
  return at::tensor({0.0, 0.0, 1.0, 1.0}, at::kDouble).to(boxes.options());
}

// The published form decodes boxes by their last pixels; everywhere else boxes end behind it.
at::Tensor Decode(DetectorForm form, const at::Tensor& deltas, const at::Tensor& references, const BoxCoding& coding) {
  const at::Tensor boxes = DecodeBoxes(deltas, LastPixelCorners(form, references), coding);
  return form == DetectorForm::kPublished ? boxes + CornerShift(boxes) : boxes;
}

struct Window {
  std::int64_t left, top, right, bottom;
};

at::Tensor ClipTo(const at::Tensor& boxes, DetectorForm form, const Window& window) {
  // In last pixels, the published form clips to [low, high - 1]; so a box beside the window is one pixel wide in ours.
  const std::int64_t pixel = form == DetectorForm::kPublished ? 1 : 0;
  const auto clip = [](const at::Tensor& x, std::int64_t low, std::int64_t high) { return x.clamp(low, high); };
  return at::stack({clip(boxes.select(-1, 0), window.left, window.right - pixel),
                    clip(boxes.select(-1, 1), window.top, window.bottom - pixel),
                    clip(boxes.select(-1, 2), window.left + pixel, window.right),
                    clip(boxes.select(-1, 3), window.top + pixel, window.bottom)},
                   -1);
}

Window ContentOf(const FramePlace& place) {
  return {place.left, place.top, place.left + place.content_width, place.top + place.content_height};
}

// A network whose values overflow says NaN or infinity somewhere. Such an anchor proposes nothing: it comes last here,
// so that it takes no other's place, and is left out below.
at::Tensor FiniteOrLeast(const at::Tensor& objectness) {
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
  return at::nan_to_num(objectness, kLeast, kLeast, kLeast);
}

// Asked before boxes are clipped, which would make a whole frame of an infinite one.
at::Tensor AreFinite(const at::Tensor& boxes) { return at::isfinite(boxes).all(1); }

at::Tensor BestPlaces(const at::Tensor& scores, std::int64_t most) {
  return std::get<1>(scores.topk(std::min(most, scores.size(0))));
}

// What suppression compares: the published form overlaps boxes by their last pixels, too.
at::Tensor Suppress(DetectorForm form, const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups,
                    double overlap, std::int64_t most) {
  return SuppressOverlaps(LastPixelCorners(form, boxes), scores, groups, overlap, most);
}

// One picture's proposals.
std::pair<at::Tensor, at::Tensor> ProposeOne(const DetectorSettings& settings, const at::Tensor& answers,
                                             const at::Tensor& deltas, const AnchorSet& anchors, const Window& window,
                                             bool training) {
  const ProposalRule& rule = settings.proposals;
  const at::Tensor objectness = FiniteOrLeast(answers);
  const std::int64_t before = training ? rule.before_training : rule.before_testing;
  const std::int64_t after = training ? rule.after_training : rule.after_testing;
  at::Tensor places, groups;
  if (settings.form == DetectorForm::kPublished) {
    places = BestPlaces(objectness, before);
  } else {
    std::vector<at::Tensor> of_levels, levels;
    std::int64_t first = 0;
    for (std::size_t level = 0; level < anchors.levels.size(); ++level) {
      of_levels.push_back(BestPlaces(objectness.slice(0, first, first + anchors.levels[level]), before) + first);
      levels.push_back(at::full_like(of_levels.back(), static_cast<std::int64_t>(level)));
      first += anchors.levels[level];
    }
    places = at::cat(of_levels);
    groups = at::cat(levels);
  }
  const at::Tensor chosen = objectness.index_select(0, places);
  at::Tensor scores = at::sigmoid(chosen);
  at::Tensor boxes = Decode(settings.form, deltas.index_select(0, places), anchors.boxes.index_select(0, places),
                            RpnCoding(settings.form));
  const auto keep = [&](const at::Tensor& which) {
    boxes = boxes.index_select(0, which);
    scores = scores.index_select(0, which);
    if (groups.defined()) groups = groups.index_select(0, which);
  };
  keep(at::nonzero(AreFinite(boxes).logical_and(at::isfinite(chosen))).squeeze(1));
  boxes = ClipTo(boxes, settings.form, window);
  if (rule.min_side > 0) keep(PlacesOfLargeBoxes(boxes, rule.min_side));
  const at::Tensor kept = Suppress(settings.form, boxes, scores, groups, rule.overlap, after);
  return {boxes.index_select(0, kept), scores.index_select(0, kept)};
}

struct Candidates {
  at::Tensor boxes, scores, labels;

  [[nodiscard]] Candidates At(const at::Tensor& places) const {
    return {boxes.index_select(0, places), scores.index_select(0, places), labels.index_select(0, places)};
  }
};

// torchvision: every class of every proposal is a candidate.
Candidates EveryClass(const at::Tensor& probabilities, const at::Tensor& boxes) {
  const std::int64_t count = boxes.size(0), objects = boxes.size(1) - 1;
  const at::Tensor labels = at::arange(1, objects + 1, boxes.options().dtype(at::kLong)).unsqueeze(0);
  return {boxes.slice(1, 1).reshape({-1, 4}), probabilities.slice(1, 1).reshape({-1}),
          labels.expand({count, objects}).reshape({-1})};
}

// matterport: a proposal's best class alone, unless that is background.
Candidates BestClass(const at::Tensor& probabilities, const at::Tensor& boxes) {
  const at::Tensor labels = probabilities.argmax(1);
  const at::Tensor rows = at::arange(labels.size(0), labels.options());
  const Candidates all{boxes.index({rows, labels}), probabilities.index({rows, labels}), labels};
  return all.At(at::nonzero(labels > 0).squeeze(1));
}

}  // namespace

Proposals Detector::Propose(const RpnOutput& rpn, const AnchorSet& anchors, const PreparedPictures& prepared,
                            bool training) const {
  const at::NoGradGuard no_gradients;
  const at::Tensor objectness = rpn.objectness.detach();
  const at::Tensor deltas = rpn.deltas.detach();
  Proposals proposals;
  for (std::size_t i = 0; i < prepared.places.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    const bool whole_frame = settings_.form == DetectorForm::kPublished;
    const Window window =
        whole_frame ? Window{0, 0, prepared.width(), prepared.height()} : ContentOf(prepared.places[i]);
    auto [boxes, scores] = ProposeOne(settings_, objectness[n], deltas[n], anchors, window, training);
    proposals.boxes.push_back(std::move(boxes));
    proposals.scores.push_back(std::move(scores));
  }
  return proposals;
}

std::vector<Detections> Detector::Finish(const BoxHeadOutput& output, const std::vector<at::Tensor>& proposals,
                                         const PreparedPictures& prepared) const {
  const at::NoGradGuard no_gradients;
  const DetectionRule& rule = settings_.detections;
  const bool published = settings_.form == DetectorForm::kPublished;
  std::vector<Detections> all;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    const std::int64_t last = first + proposals[i].size(0);
    const at::Tensor probabilities = at::softmax(output.logits.slice(0, first, last).detach(), 1);
    const at::Tensor boxes = Decode(settings_.form, output.deltas.slice(0, first, last).detach(),
                                    proposals[i].unsqueeze(1), HeadCoding(settings_.form));
    Candidates found = published ? BestClass(probabilities, boxes) : EveryClass(probabilities, boxes);
    const at::Tensor sure = published ? found.scores >= rule.min_score : found.scores > rule.min_score;  // Not NaN.
    found = found.At(at::nonzero(sure.logical_and(AreFinite(found.boxes))).squeeze(1));
    found.boxes = ClipTo(found.boxes, settings_.form, ContentOf(prepared.places[i]));
    if (rule.min_side > 0) found = found.At(PlacesOfLargeBoxes(found.boxes, rule.min_side));
    found = found.At(Suppress(settings_.form, found.boxes, found.scores, found.labels, rule.overlap, rule.most));
    all.push_back({.boxes = prepared.places[i].ToPicture(found.boxes),
                   .scores = found.scores,
                   .labels = found.labels,
                   .masks = {},
                   .features = {},
                   .grids = {},
                   .frame_boxes = found.boxes});
    first = last;
  }
  return all;
}

}  // namespace hemafed::learning
