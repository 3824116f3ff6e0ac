// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/finder_score.h"

#include "common/error.h"
#include "learning/features/cells/overlap.h"

namespace hemafed::learning {

namespace {

OverlapBox ToOverlapBox(const cv::Rect2f& box) {
  return {.x0 = box.x, .y0 = box.y, .x1 = double{box.x} + box.width, .y1 = double{box.y} + box.height};
}

BitMask ToBitMask(const cv::Mat& mask, const cv::Size& size) {
  // A cell that was found without a mask has none of the pixels.
  const cv::Mat pixels = mask.empty() ? cv::Mat::zeros(size, CV_8UC1) : mask.isContinuous() ? mask : mask.clone();
  return BitMask(size.width, size.height, {pixels.data, pixels.total()});
}

}  // namespace

void FinderTally::Add(const AnnotatedPicture& picture, const std::vector<FoundCell>& found) {
  ++score_.pictures;
  ++(found.empty() ? score_.with_none : found.size() == 1 ? score_.with_one : score_.with_several);
  const std::vector<int> match = MatchCells(picture.cells, found);
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < match.size(); ++i) {
    ++score_.annotated;
    if (picture.has_masks) ++score_.masked;
    if (match[i] < 0) continue;
    ++hits;
    const FoundCell& cell = found[static_cast<std::size_t>(match[i])];
    score_.box_iou_sum += BoxIou(picture.cells[i].box, cell.box);
    if (picture.has_masks && !cell.mask.empty()) score_.mask_iou_sum += MaskIou(picture.cells[i].mask, cell.mask);
  }
  score_.found += hits;
  score_.extra += found.size() - hits;

  std::vector<double> scores;
  std::vector<OverlapBox> found_boxes, annotated_boxes;
  for (const FoundCell& cell : found) {
    scores.push_back(double{cell.score});
    found_boxes.push_back(ToOverlapBox(cell.box));
  }
  for (const FoundCell& cell : picture.cells) annotated_boxes.push_back(ToOverlapBox(cell.box));
  boxes_.push_back(OverlapsOfBoxes(found_boxes, scores, annotated_boxes));
  if (picture.has_masks) {
    std::vector<BitMask> found_masks, annotated_masks;
    for (const FoundCell& cell : found) found_masks.push_back(ToBitMask(cell.mask, picture.rgb.size()));
    for (const FoundCell& cell : picture.cells) annotated_masks.push_back(ToBitMask(cell.mask, picture.rgb.size()));
    masks_.push_back(OverlapsOfMasks(found_masks, scores, annotated_masks));
  }
}

FinderScore FinderTally::Score() const {
  FinderScore score = score_;
  score.boxes = CocoAveragePrecision(boxes_);
  score.masks = CocoAveragePrecision(masks_);
  return score;
}

void FindInDomain(CellFinder& finder, const AnnotatedDomain& domain, Split split, const FoundInPicture& take,
                  const ScoreProgress& progress) {
  const std::vector<std::size_t> positions = domain.Positions(split);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const AnnotatedPicture picture = domain.Read(positions[i]);
    take(picture, finder.Find(picture.rgb));
    if (progress && !progress(i + 1, positions.size())) {
      throw Error(ErrorCode::kInterrupted, "stopped after " + std::to_string(i + 1) + " of " +
                                               std::to_string(positions.size()) + " pictures of " + domain.name());
    }
  }
}

FinderScore ScoreFinder(CellFinder& finder, const AnnotatedDomain& domain, Split split, const ScoreProgress& progress) {
  FinderTally tally;
  const auto add = [&](const AnnotatedPicture& picture, const std::vector<FoundCell>& found) {
    tally.Add(picture, found);
  };
  FindInDomain(finder, domain, split, add, progress);
  return tally.Score();
}

}  // namespace hemafed::learning
