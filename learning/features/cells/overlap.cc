// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/overlap.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <tuple>

#include "common/error.h"

namespace hemafed::learning {

double BoxIou(const cv::Rect2f& a, const cv::Rect2f& b) {
  const double width = std::min<double>(Right(a), Right(b)) - std::max<double>(a.x, b.x);
  const double height = std::min<double>(Bottom(a), Bottom(b)) - std::max<double>(a.y, b.y);
  if (width <= 0 || height <= 0) return 0.0;
  const double both = width * height;
  const double any = double{a.width} * a.height + double{b.width} * b.height - both;
  return any > 0 ? both / any : 0.0;
}

double MaskIou(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != CV_8UC1 || b.type() != CV_8UC1) {
    throw Error(ErrorCode::kInvalidInput, "masks that are compared must be 8-bit, with one channel, of one size");
  }
  cv::Mat both, any;
  cv::bitwise_and(a, b, both);
  cv::bitwise_or(a, b, any);
  const int pixels = cv::countNonZero(any);
  return pixels > 0 ? static_cast<double>(cv::countNonZero(both)) / pixels : 0.0;
}

cv::Rect2f BoxOfMask(const cv::Mat& mask) { return mask.empty() ? cv::Rect2f() : cv::Rect2f(cv::boundingRect(mask)); }

std::vector<int> MatchCells(const std::vector<FoundCell>& annotated, const std::vector<FoundCell>& found) {
  std::vector<std::tuple<double, int, int>> pairs;  // (-IoU, annotated, found): ascending order is what is wanted.
  for (std::size_t i = 0; i < annotated.size(); ++i) {
    for (std::size_t j = 0; j < found.size(); ++j) {
      const double iou = BoxIou(annotated[i].box, found[j].box);
      if (iou >= kFoundIou) pairs.emplace_back(-iou, static_cast<int>(i), static_cast<int>(j));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  std::vector<int> match(annotated.size(), -1);
  std::vector<bool> used(found.size(), false);
  for (const auto& [order, i, j] : pairs) {
    const auto to = static_cast<std::size_t>(i), from = static_cast<std::size_t>(j);
    if (match[to] >= 0 || used[from]) continue;
    match[to] = j;
    used[from] = true;
  }
  return match;
}

}  // namespace hemafed::learning
