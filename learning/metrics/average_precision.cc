// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/average_precision.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr std::size_t kThresholds = 10;  // 0.50, 0.55, ..., 0.95
constexpr std::size_t kRecalls = 101;    // 0, 0.01, ..., 1
constexpr std::size_t kMaxDetections = 100;

struct AreaRange {
  double low, high;
  [[nodiscard]] bool Holds(double area) const { return area >= low && area <= high; }
};
constexpr double kAnyArea = 1e10;
constexpr AreaRange kAll{0, kAnyArea}, kSmall{0, kSmallArea}, kMedium{kSmallArea, kLargeArea},
    kLarge{kLargeArea, kAnyArea};

// The same doubles as numpy.linspace(0.5, 0.95, 10), so that an overlap on a threshold is decided alike.
double Threshold(std::size_t i) {
  return i + 1 == kThresholds ? 0.95 : 0.5 + static_cast<double>(i) * ((0.95 - 0.5) / (kThresholds - 1));
}

double Recall(std::size_t i) { return static_cast<double>(i) * 0.01; }

[[noreturn]] void Fail(const char* problem) { throw Error(ErrorCode::kInvalidInput, problem); }

void Check(const PictureOverlaps& picture) {
  if (picture.overlap.size() != picture.detections.size() * picture.annotated.size()) {
    Fail("the table of overlaps needs one number for each detection and annotated item");
  }
  const auto finite = [](double value) { return std::isfinite(value); };
  for (const ScoredItem& item : picture.detections) {
    if (!finite(item.score) || !finite(item.area)) Fail("a detection's score or area is not finite");
  }
  for (const AnnotatedItem& item : picture.annotated) {
    if (!finite(item.area)) Fail("an annotated item's area is not finite");
  }
  if (!std::all_of(picture.overlap.begin(), picture.overlap.end(), finite)) Fail("an overlap is not finite");
}

// Positions of the detections that count at all: best first, at most kMaxDetections.
std::vector<std::size_t> BestDetections(const PictureOverlaps& picture) {
  std::vector<std::size_t> order(picture.detections.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return picture.detections[a].score > picture.detections[b].score;
  });
  if (order.size() > kMaxDetections) order.resize(kMaxDetections);
  return order;
}

enum class Verdict : std::uint8_t { kRight, kWrong, kIgnored };

struct Judged {
  double score;
  std::size_t rank;  // among the picture's detections, 0 is the best
  Verdict verdict;
};

// All pictures' detections for one threshold and range.
struct Matching {
  std::vector<Judged> judged;
  std::size_t items = 0;  // annotated ones that count
};

void MatchPicture(const PictureOverlaps& picture, double threshold, const AreaRange& range, Matching& out) {
  const std::size_t items = picture.annotated.size();
  std::vector<bool> ignored(items);
  for (std::size_t a = 0; a < items; ++a) {
    ignored[a] = picture.annotated[a].crowd || !range.Holds(picture.annotated[a].area);
    if (!ignored[a]) ++out.items;
  }
  std::vector<std::size_t> order(items);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_partition(order.begin(), order.end(), [&](std::size_t a) { return !ignored[a]; });
  std::vector<bool> taken(items, false);
  const std::vector<std::size_t> best = BestDetections(picture);
  for (std::size_t rank = 0; rank < best.size(); ++rank) {
    const std::size_t d = best[rank];
    double overlap = std::min(threshold, 1 - 1e-10);
    std::size_t match = items;
    for (const std::size_t a : order) {
      if (taken[a] && !picture.annotated[a].crowd) continue;
      if (match < items && !ignored[match] && ignored[a]) break;
      const double here = picture.overlap[d * items + a];
      if (here < overlap) continue;
      overlap = here;
      match = a;
    }
    Verdict verdict = range.Holds(picture.detections[d].area) ? Verdict::kWrong : Verdict::kIgnored;
    if (match < items) {
      taken[match] = true;
      verdict = ignored[match] ? Verdict::kIgnored : Verdict::kRight;
    }
    out.judged.push_back({picture.detections[d].score, rank, verdict});
  }
}

struct Curve {
  double precision = kUndefined;  // mean over the recalls
  double recall = kUndefined;     // the last
};

Curve CurveOf(const Matching& matching, std::size_t max_detections) {
  if (matching.items == 0) return {};
  std::vector<Judged> judged;
  std::copy_if(matching.judged.begin(), matching.judged.end(), std::back_inserter(judged),
               [&](const Judged& one) { return one.rank < max_detections; });
  std::stable_sort(judged.begin(), judged.end(), [](const Judged& a, const Judged& b) { return a.score > b.score; });
  std::vector<double> precision, recall;
  double right = 0, wrong = 0;
  for (const Judged& one : judged) {
    if (one.verdict == Verdict::kRight) ++right;
    if (one.verdict == Verdict::kWrong) ++wrong;
    recall.push_back(right / static_cast<double>(matching.items));
    // The epsilon is pycocotools'; it decides 0 / 0 while only ignored detections have been seen.
    precision.push_back(right / (right + wrong + std::numeric_limits<double>::epsilon()));
  }
  for (std::size_t i = precision.size(); i > 1; --i) precision[i - 2] = std::max(precision[i - 2], precision[i - 1]);
  double sum = 0;
  for (std::size_t i = 0; i < kRecalls; ++i) {
    const auto at = std::lower_bound(recall.begin(), recall.end(), Recall(i)) - recall.begin();
    if (static_cast<std::size_t>(at) < precision.size()) sum += precision[static_cast<std::size_t>(at)];
  }
  return {sum / static_cast<double>(kRecalls), recall.empty() ? 0.0 : recall.back()};
}

double MeanOf(const std::array<double, kThresholds>& values) {
  if (values[0] == kUndefined) return kUndefined;  // All of them are: the items that count are the same.
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(kThresholds);
}

template <typename Shape, typename Overlap>
PictureOverlaps Tabulate(std::span<const Shape> detections, std::span<const double> scores,
                         std::span<const Shape> annotated, const std::vector<bool>& crowd, const Overlap& common) {
  if (detections.size() != scores.size()) Fail("each detection needs one score");
  if (!crowd.empty() && crowd.size() != annotated.size()) Fail("each annotated item needs one crowd flag");
  PictureOverlaps picture;
  for (std::size_t d = 0; d < detections.size(); ++d) {
    picture.detections.push_back({scores[d], static_cast<double>(detections[d].Area())});
  }
  for (std::size_t a = 0; a < annotated.size(); ++a) {
    picture.annotated.push_back({static_cast<double>(annotated[a].Area()), !crowd.empty() && crowd[a]});
  }
  for (std::size_t d = 0; d < detections.size(); ++d) {
    for (std::size_t a = 0; a < annotated.size(); ++a) {
      const double both = common(detections[d], annotated[a]);
      const double own = picture.detections[d].area;
      const double any = picture.annotated[a].crowd ? own : own + picture.annotated[a].area - both;
      picture.overlap.push_back(both > 0 && any > 0 ? both / any : 0.0);
    }
  }
  return picture;
}

}  // namespace

BitMask::BitMask(int width, int height, std::span<const std::uint8_t> pixels) : width_(width), height_(height) {
  if (width < 0 || height < 0 || pixels.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {
    Fail("a bit mask needs width * height pixels");
  }
  words_.resize((pixels.size() + 63) / 64, 0);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (pixels[i] != 0) words_[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  for (const std::uint64_t word : words_) area_ += static_cast<std::uint64_t>(std::popcount(word));
}

std::uint64_t BitMask::Common(const BitMask& other) const {
  if (width_ != other.width_ || height_ != other.height_) Fail("masks that are compared must have one size");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    count += static_cast<std::uint64_t>(std::popcount(words_[i] & other.words_[i]));
  }
  return count;
}

PictureOverlaps OverlapsOfBoxes(std::span<const OverlapBox> detections, std::span<const double> scores,
                                std::span<const OverlapBox> annotated, const std::vector<bool>& crowd) {
  for (const auto boxes : {detections, annotated}) {
    for (const OverlapBox& box : boxes) {
      if (!std::isfinite(box.Area()) || box.x1 < box.x0 || box.y1 < box.y0) Fail("a box is turned over or not finite");
    }
  }
  return Tabulate(detections, scores, annotated, crowd, [](const OverlapBox& a, const OverlapBox& b) {
    const double width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
    const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
    return width > 0 && height > 0 ? width * height : 0.0;
  });
}

PictureOverlaps OverlapsOfMasks(std::span<const BitMask> detections, std::span<const double> scores,
                                std::span<const BitMask> annotated, const std::vector<bool>& crowd) {
  return Tabulate(detections, scores, annotated, crowd,
                  [](const BitMask& a, const BitMask& b) { return static_cast<double>(a.Common(b)); });
}

AveragePrecision CocoAveragePrecision(std::span<const PictureOverlaps> pictures) {
  for (const PictureOverlaps& picture : pictures) Check(picture);
  struct Figures {
    std::array<double, kThresholds> precision{}, recall{}, recall_1{}, recall_10{};
  };
  const auto figures_of = [&](const AreaRange& range) {
    Figures figures;
    for (std::size_t i = 0; i < kThresholds; ++i) {
      Matching matching;
      for (const PictureOverlaps& picture : pictures) MatchPicture(picture, Threshold(i), range, matching);
      const Curve curve = CurveOf(matching, kMaxDetections);
      figures.precision[i] = curve.precision;
      figures.recall[i] = curve.recall;
      figures.recall_1[i] = CurveOf(matching, 1).recall;
      figures.recall_10[i] = CurveOf(matching, 10).recall;
    }
    return figures;
  };
  const Figures all = figures_of(kAll), small = figures_of(kSmall), medium = figures_of(kMedium),
                large = figures_of(kLarge);
  return {.ap = MeanOf(all.precision),
          .ap50 = all.precision[0],
          .ap75 = all.precision[5],
          .ap_small = MeanOf(small.precision),
          .ap_medium = MeanOf(medium.precision),
          .ap_large = MeanOf(large.precision),
          .ar_1 = MeanOf(all.recall_1),
          .ar_10 = MeanOf(all.recall_10),
          .ar_100 = MeanOf(all.recall),
          .ar_small = MeanOf(small.recall),
          .ar_medium = MeanOf(medium.recall),
          .ar_large = MeanOf(large.recall)};
}

}  // namespace hemafed::learning
