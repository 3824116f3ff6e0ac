// learning/metrics/average_precision.h
// SPDX-License-Identifier: Apache-2.0
//
// Average precision and recall of detections of one class, as COCO defines them (Lin et al., "Microsoft COCO", ECCV
// 2014; detection evaluation of cocodataset.org). The numbers are those of pycocotools' COCOeval.
//
// For an overlap t and a range of areas, the detections of a picture, best score first, each take the free annotated
// item with the largest overlap of at least t; items of the range come before ignored ones. Ignored are crowds, which
// may be taken any number of times, and items outside the range; detections that take an ignored item, or none and lie
// outside the range, count neither right nor wrong. Over all pictures, in order of score:
//
//     precision(r) = the largest right / (right + wrong) at any recall >= r
//     AP_t = mean of precision(r) over r = 0, 0.01, ..., 1          AP = mean of AP_t over t = 0.50, 0.55, ..., 0.95
//     AR_n = mean over t of the final recall with at most n detections of each picture
//
// Overlap is intersection over union; with a crowd, intersection over the detection's area.
// A figure without any annotated item that counts is kUndefined (-1, as COCO prints it).
//
// Plain C++: boxes and bit masks, no pictures. Errors: Error(kInvalidInput) for sizes that do not fit, scores, areas or
// boxes that are not finite. Thread-safety: free functions and value types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hemafed::learning {

// x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
struct OverlapBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  [[nodiscard]] double Area() const { return (x1 - x0) * (y1 - y0); }
};

// Which pixels belong to something, one bit each.
class BitMask {
 public:
  // pixels: width * height bytes by rows, not 0 is inside.
  BitMask(int width, int height, std::span<const std::uint8_t> pixels);

  [[nodiscard]] std::uint64_t Area() const { return area_; }
  // Pixels in both; sizes must be equal.
  [[nodiscard]] std::uint64_t Common(const BitMask& other) const;

 private:
  int width_ = 0, height_ = 0;
  std::uint64_t area_ = 0;
  std::vector<std::uint64_t> words_;
};

struct ScoredItem {
  double score = 0;
  double area = 0;  // pixels
};

struct AnnotatedItem {
  double area = 0;  // pixels
  bool crowd = false;
};

// One picture's part. overlap[d * annotated.size() + a] is that of detection d with item a.
struct PictureOverlaps {
  std::vector<ScoredItem> detections;
  std::vector<AnnotatedItem> annotated;
  std::vector<double> overlap;
};

// `crowd` may be empty (none is) or has one entry for each annotated item.
[[nodiscard]] PictureOverlaps OverlapsOfBoxes(std::span<const OverlapBox> detections, std::span<const double> scores,
                                              std::span<const OverlapBox> annotated,
                                              const std::vector<bool>& crowd = {});
[[nodiscard]] PictureOverlaps OverlapsOfMasks(std::span<const BitMask> detections, std::span<const double> scores,
                                              std::span<const BitMask> annotated, const std::vector<bool>& crowd = {});

inline constexpr double kUndefined = -1.0;

struct AveragePrecision {
  double ap = kUndefined;    // at 0.50:0.95, all areas, 100 detections of a picture
  double ap50 = kUndefined;  // at 0.50
  double ap75 = kUndefined;  // at 0.75
  double ap_small = kUndefined, ap_medium = kUndefined, ap_large = kUndefined;
  double ar_1 = kUndefined, ar_10 = kUndefined, ar_100 = kUndefined;
  double ar_small = kUndefined, ar_medium = kUndefined, ar_large = kUndefined;
};

// COCO's bounds between small, medium and large, in pixels; an area on a bound belongs to both sides.
inline constexpr double kSmallArea = 32.0 * 32.0;
inline constexpr double kLargeArea = 96.0 * 96.0;

// Ties in score keep the order of pictures, then of detections.
[[nodiscard]] AveragePrecision CocoAveragePrecision(std::span<const PictureOverlaps> pictures);

}  // namespace hemafed::learning
