// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/classical_segmenter.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "common/error.h"
#include "common/sha256.h"
#include "learning/features/cells/overlap.h"
#include "learning/features/cells/stain.h"
#include "learning/features/cells/star_outline.h"

namespace hemafed::learning {

namespace {

// Counts up when the same settings find something else.
const std::string kVersion = "classical segmenter 2";

constexpr int kRays = 96;       // of an outline; at 256 pixels neighbouring rays of a cell are 2 to 4 pixels apart
constexpr int kMaxStep = 2;     // pixels between the radii of neighbouring rays
constexpr int kNeighbours = 8;  // rays whose reach a ray shares: a bent nucleus is missed by some
constexpr int kMinPlainPixels = 50;
constexpr double kMinRedShare = 0.01;  // of the picture; less is no sample of red cells
constexpr double kNeckShare = 0.75;    // of a nucleus' half width: where it is cut
constexpr double kMinPartShare = 0.2;  // of the nucleus: smaller pieces are lobes' tips
constexpr double kNoOther = -50.0;     // log density where there is neither background nor red cell

cv::Mat Disk(int radius) {
  return cv::getStructuringElement(cv::MORPH_ELLIPSE, cv::Size(2 * radius + 1, 2 * radius + 1));
}

cv::Mat Filled(const cv::Mat& mask) {
  std::vector<std::vector<cv::Point>> outlines;
  cv::findContours(mask, outlines, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
  cv::Mat filled = cv::Mat::zeros(mask.size(), CV_8UC1);
  cv::drawContours(filled, outlines, -1, cv::Scalar(255), cv::FILLED);
  return filled;
}

// 8-connected regions of at least min_area pixels, one mask each.
std::vector<cv::Mat> Regions(const cv::Mat& mask, double min_area) {
  cv::Mat labels, places, middles;
  const int count = cv::connectedComponentsWithStats(mask, labels, places, middles, 8, CV_32S);
  std::vector<cv::Mat> regions;
  for (int i = 1; i < count; ++i) {
    if (places.at<int>(i, cv::CC_STAT_AREA) >= min_area) regions.emplace_back(labels == i);
  }
  return regions;
}

cv::Mat LargestRegion(const cv::Mat& mask) {
  cv::Mat largest = cv::Mat::zeros(mask.size(), CV_8UC1);
  int area = 0;
  for (const cv::Mat& region : Regions(mask, 1)) {
    const int pixels = cv::countNonZero(region);
    if (pixels > area) {
      area = pixels;
      largest = region;
    }
  }
  return largest;
}

// Divides the pixels of `area` among seeds by watershed on level ground: each goes to the seed whose flood is there
// first.
std::vector<cv::Mat> Divided(const cv::Mat& area, const std::vector<cv::Mat>& seeds) {
  cv::Mat markers = cv::Mat::zeros(area.size(), CV_32SC1);
  for (std::size_t i = 0; i < seeds.size(); ++i) markers.setTo(static_cast<int>(i) + 1, seeds[i]);
  const cv::Mat level(area.size(), CV_8UC3, cv::Scalar::all(0));
  cv::watershed(level, markers);
  std::vector<cv::Mat> parts;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    parts.emplace_back(((markers == static_cast<int>(i) + 1) & area) | seeds[i]);
  }
  return parts;
}

// Share of the mask's outline that lies on the border of the picture.
double BorderShare(const cv::Mat& mask) {
  cv::Mat inner, outline;
  cv::erode(mask, inner, Disk(1), cv::Point(-1, -1), 1, cv::BORDER_CONSTANT, cv::Scalar(0));
  cv::subtract(mask, inner, outline);
  const int all = cv::countNonZero(outline);
  if (all == 0) return 1.0;
  const cv::Mat middle = outline(cv::Rect(1, 1, outline.cols - 2, outline.rows - 2));
  return 1.0 - static_cast<double>(cv::countNonZero(middle)) / all;
}

// One picture at the working size.
class Segmentation {
 public:
  Segmentation(const ClassicalSettings& settings, const cv::Mat& rgb);

  struct Cell {
    cv::Mat nucleus, outline;
  };
  [[nodiscard]] std::vector<Cell> Cells() const;
  [[nodiscard]] double Score(const Cell& cell) const;

 private:
  void FindNuclei();
  void WeighPixels();
  [[nodiscard]] cv::Mat OutlineOf(const cv::Mat& nucleus) const;
  [[nodiscard]] bool IsOneCell(const cv::Mat& outline) const;
  void CutNecks(std::vector<Cell>& cells) const;
  [[nodiscard]] bool JoinOnePair(std::vector<Cell>& cells) const;
  [[nodiscard]] double Area(double side_share) const {
    const double side = side_share * settings_.working_side;
    return side * side;
  }

  const ClassicalSettings& settings_;
  double reach_;         // pixels
  cv::Mat densities_;    // CV_32FC3
  cv::Mat stain_;        // n of step 2, CV_32FC1
  double stained_from_;  // first Otsu threshold
  cv::Mat dark_;         // nuclear parts before lobes are joined, CV_8UC1
  std::vector<cv::Mat> nuclei_;
  cv::Mat evidence_, slope_;  // CV_32FC1
};

Segmentation::Segmentation(const ClassicalSettings& settings, const cv::Mat& rgb)
    : settings_(settings), reach_(settings.reach_share * settings.working_side), densities_(StainDensities(rgb)) {
  std::vector<cv::Mat> planes;
  cv::split(densities_, planes);
  stain_ = planes[1] + settings_.red_weight * planes[0];
  stained_from_ = OtsuDensity(stain_, cv::Mat(stain_.size(), CV_8UC1, cv::Scalar(255)));
  FindNuclei();
  if (!nuclei_.empty()) WeighPixels();
}

void Segmentation::FindNuclei() {
  const double from = std::max(settings_.min_nucleus_density, OtsuDensity(stain_, cv::Mat(stain_ > stained_from_)));
  cv::Mat dark = stain_ > from, joined, red;
  cv::extractChannel(densities_, red, 0);
  cv::morphologyEx(dark, dark, cv::MORPH_OPEN, Disk(2));
  dark_ = dark;
  const int gap = std::max(1, static_cast<int>(std::lround(settings_.lobe_gap_share * settings_.working_side)));
  cv::morphologyEx(dark, joined, cv::MORPH_CLOSE, Disk(gap), cv::Point(-1, -1), 1, cv::BORDER_CONSTANT, cv::Scalar(0));
  for (const cv::Mat& region : Regions(joined, 1)) {
    const cv::Mat parts = region & dark;
    const bool large = cv::countNonZero(parts) >= Area(settings_.min_nucleus_side_share);
    if (large && cv::mean(red, parts)[0] >= settings_.min_nucleus_red) nuclei_.push_back(region);
  }
}

void Segmentation::WeighPixels() {
  cv::Mat nuclei = cv::Mat::zeros(stain_.size(), CV_8UC1), distance;
  for (const cv::Mat& nucleus : nuclei_) nuclei |= nucleus;
  cv::distanceTransform(~nuclei, distance, cv::DIST_L2, cv::DIST_MASK_PRECISE);

  const cv::Mat plain = (stain_ < settings_.plain_density * stained_from_) & (distance > settings_.plain_from * reach_);
  const cv::Mat reds = (stain_ > settings_.red_density * stained_from_) & (distance > settings_.red_from * reach_);
  const auto background = ColourModel::Fit(densities_, plain, kMinPlainPixels, settings_.colour_spread);
  const auto red = ColourModel::Fit(
      densities_, reds, static_cast<int>(kMinRedShare * static_cast<double>(reds.total())), settings_.colour_spread);
  const double limit = settings_.evidence_limit;
  evidence_.create(stain_.size(), CV_32FC1);
  for (int y = 0; y < stain_.rows; ++y) {
    for (int x = 0; x < stain_.cols; ++x) {
      const auto& colour = densities_.at<cv::Vec3f>(y, x);
      double cell = kNoOther;
      if (background) cell = std::max(cell, background->LogDensity(colour));
      if (red) cell = std::max(cell, red->LogDensity(colour));
      cell = settings_.cell_log_density - cell;
      // Red cells of many shades have a low density everywhere, so nearness counts too.
      if (red) cell = std::min(cell, red->HalfSquare(colour) - settings_.red_nearness);
      evidence_.at<float>(y, x) = static_cast<float>(std::clamp(cell, -limit, limit));
    }
  }
  evidence_.setTo(limit, nuclei);

  cv::Mat smooth, along_x, along_y;
  cv::GaussianBlur(densities_, smooth, cv::Size(), settings_.slope_sigma);
  cv::Sobel(smooth, along_x, CV_32F, 1, 0, 3, 0.125);  // 1/8 makes the kernel a derivative per pixel.
  cv::Sobel(smooth, along_y, CV_32F, 0, 1, 3, 0.125);
  cv::Mat squares = along_x.mul(along_x) + along_y.mul(along_y);
  cv::transform(squares, squares, cv::Matx13f(1, 1, 1));
  cv::sqrt(squares, slope_);
}

cv::Mat Segmentation::OutlineOf(const cv::Mat& nucleus) const {
  const cv::Moments moments = cv::moments(nucleus, true);
  const cv::Point2d middle(moments.m10 / moments.m00, moments.m01 / moments.m00);
  const auto at = [&](int ray, int radius) {
    const double angle = 2 * CV_PI * ray / kRays;
    return cv::Point(static_cast<int>(std::lround(middle.x + radius * std::cos(angle))),
                     static_cast<int>(std::lround(middle.y + radius * std::sin(angle))));
  };
  const cv::Rect picture(cv::Point(0, 0), nucleus.size());
  const int radii = nucleus.cols + nucleus.rows;  // more than the diagonal
  cv::Mat gain = cv::Mat::zeros(kRays, radii, CV_32FC1), edge = cv::Mat::zeros(kRays, radii, CV_32FC1);
  std::vector<int> low(kRays, 0), end(kRays, 0);
  for (int k = 0; k < kRays; ++k) {
    const auto ray = static_cast<std::size_t>(k);
    for (int r = 0; r < radii && picture.contains(at(k, r)); ++r) {
      const cv::Point point = at(k, r);
      gain.at<float>(k, r) = evidence_.at<float>(point);
      edge.at<float>(k, r) = static_cast<float>(settings_.slope_weight) * slope_.at<float>(point);
      end[ray] = r;
      if (nucleus.at<std::uint8_t>(point) != 0) low[ray] = r;
    }
  }
  std::vector<int> high(kRays, 0);
  for (int k = 0; k < kRays; ++k) {
    const auto ray = static_cast<std::size_t>(k);
    for (int off = -kNeighbours; off <= kNeighbours; ++off) {
      const auto other = static_cast<std::size_t>((k + off + kRays) % kRays);
      high[ray] = std::max(high[ray], low[other] + static_cast<int>(reach_) - kMaxStep * std::abs(off));
    }
    high[ray] = std::clamp(high[ray], low[ray], end[ray]);
  }
  const std::vector<int> radius = StarOutline(gain, edge, low, high, kMaxStep);
  std::vector<cv::Point> corners;
  for (int k = 0; k < kRays; ++k) corners.push_back(at(k, radius[static_cast<std::size_t>(k)]));
  cv::Mat outline = cv::Mat::zeros(nucleus.size(), CV_8UC1);
  cv::fillPoly(outline, std::vector<std::vector<cv::Point>>{corners}, cv::Scalar(255));
  return outline | nucleus;
}

bool Segmentation::IsOneCell(const cv::Mat& outline) const {
  std::vector<std::vector<cv::Point>> contours;
  cv::findContours(outline, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
  std::vector<cv::Point> points, hull;
  for (const auto& contour : contours) points.insert(points.end(), contour.begin(), contour.end());
  if (points.size() < 3) return true;
  cv::convexHull(points, hull);
  const double hull_area = cv::contourArea(hull);
  const cv::Size2f size = cv::minAreaRect(points).size;
  const double shorter = std::min(size.width, size.height), longer = std::max(size.width, size.height);
  return longer <= settings_.max_elongation * std::max(1.0, shorter) &&
         cv::countNonZero(outline) >= settings_.min_solidity * hull_area;
}

void Segmentation::CutNecks(std::vector<Cell>& cells) const {
  std::vector<Cell> result;
  for (const Cell& cell : cells) {
    result.push_back(cell);
    if (IsOneCell(cell.outline)) continue;
    cv::Mat distance;
    cv::distanceTransform(cell.nucleus & dark_, distance, cv::DIST_L2, cv::DIST_MASK_PRECISE);
    double widest = 0.0;
    cv::minMaxLoc(distance, nullptr, &widest);
    const std::vector<cv::Mat> seeds = Regions(distance > kNeckShare * widest, 1);
    if (seeds.size() < 2) continue;
    std::vector<Cell> parts;
    for (const cv::Mat& part : Divided(cell.nucleus, seeds)) {
      if (cv::countNonZero(part) < kMinPartShare * cv::countNonZero(cell.nucleus)) continue;
      parts.push_back({part, OutlineOf(part)});
    }
    if (parts.size() < 2) continue;
    result.pop_back();
    result.insert(result.end(), parts.begin(), parts.end());
  }
  cells = std::move(result);
}

bool Segmentation::JoinOnePair(std::vector<Cell>& cells) const {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    for (std::size_t j = 0; j < cells.size(); ++j) {
      if (i == j) continue;
      const int held = cv::countNonZero(cells[i].outline & cells[j].nucleus);
      if (held < settings_.same_cell_share * cv::countNonZero(cells[j].nucleus)) continue;
      const cv::Mat both = cells[i].nucleus | cells[j].nucleus;
      const cv::Mat outline = OutlineOf(both);
      if (!IsOneCell(outline)) continue;
      cells[i] = {both, outline};
      cells.erase(cells.begin() + static_cast<std::ptrdiff_t>(j));
      return true;
    }
  }
  return false;
}

std::vector<Segmentation::Cell> Segmentation::Cells() const {
  std::vector<Cell> cells;
  for (const cv::Mat& nucleus : nuclei_) cells.push_back({nucleus, OutlineOf(nucleus)});
  CutNecks(cells);
  while (JoinOnePair(cells)) {
  }
  if (cells.size() > 1) {
    cv::Mat any = cv::Mat::zeros(stain_.size(), CV_8UC1);
    std::vector<cv::Mat> seeds;
    for (const Cell& cell : cells) {
      any |= cell.outline;
      seeds.push_back(cell.nucleus);
    }
    const std::vector<cv::Mat> parts = Divided(any, seeds);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      // A pixel of one outline alone stays with it, wherever the watershed puts it.
      cv::Mat others = cv::Mat::zeros(stain_.size(), CV_8UC1);
      for (std::size_t j = 0; j < cells.size(); ++j) {
        if (j != i) others |= cells[j].outline;
      }
      cells[i].outline = cells[i].outline & (parts[i] | ~others);
    }
  }
  std::vector<Cell> kept;
  for (Cell& cell : cells) {
    cell.outline = Filled(LargestRegion(cell.outline));
    if (cv::countNonZero(cell.outline) >= Area(settings_.min_cell_side_share)) kept.push_back(cell);
  }
  return kept;
}

double Segmentation::Score(const Cell& cell) const {
  const double denser = cv::mean(stain_, cell.nucleus & (stain_ > stained_from_))[0] - stained_from_;
  return (1.0 - std::exp(-std::max(0.0, denser))) * (1.0 - BorderShare(cell.outline));
}

}  // namespace

ClassicalSegmenter::ClassicalSegmenter(const ClassicalSettings& settings) : settings_(settings) {
  if (settings_.working_side < 64 || settings_.working_side > 1024) {
    throw Error(ErrorCode::kInvalidInput, "working_side of the classical segmenter must be 64 to 1024 pixels");
  }
  const auto is_share = [](double value) { return value > 0.0 && value <= 1.0; };
  if (!is_share(settings_.reach_share) || !is_share(settings_.min_nucleus_side_share) ||
      !is_share(settings_.min_cell_side_share) || !is_share(settings_.lobe_gap_share) || !(settings_.blur_sigma > 0) ||
      !(settings_.slope_sigma > 0) || !(settings_.colour_spread > 0)) {
    throw Error(ErrorCode::kInvalidInput,
                "shares of the classical segmenter must be above 0 and at most 1, its sigmas and spread above 0");
  }
}

std::string ClassicalSegmenter::Description() const {
  const ClassicalSettings& s = settings_;
  const nlohmann::json settings = {s.working_side,        s.blur_sigma,       s.red_weight,
                                   s.min_nucleus_density, s.min_nucleus_red,  s.min_nucleus_side_share,
                                   s.lobe_gap_share,      s.plain_density,    s.plain_from,
                                   s.red_density,         s.red_from,         s.red_nearness,
                                   s.colour_spread,       s.cell_log_density, s.evidence_limit,
                                   s.reach_share,         s.slope_sigma,      s.slope_weight,
                                   s.same_cell_share,     s.max_elongation,   s.min_solidity,
                                   s.min_cell_side_share};
  return kVersion + (", settings " + Sha256Of(settings.dump()).Hex().substr(0, 16));
}

std::vector<FoundCell> ClassicalSegmenter::Find(const cv::Mat& picture) {
  if (picture.empty() || picture.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "cells are found in 8-bit RGB pictures only");
  }
  const double scale = static_cast<double>(settings_.working_side) / std::max(picture.cols, picture.rows);
  const auto scaled = [scale](int length) { return std::max(3, static_cast<int>(std::lround(length * scale))); };
  cv::Mat rgb;
  cv::resize(picture, rgb, cv::Size(scaled(picture.cols), scaled(picture.rows)), 0, 0,
             scale < 1 ? cv::INTER_AREA : cv::INTER_CUBIC);
  cv::GaussianBlur(rgb, rgb, cv::Size(), settings_.blur_sigma);

  const Segmentation segmentation(settings_, rgb);
  std::vector<FoundCell> found;
  for (const Segmentation::Cell& cell : segmentation.Cells()) {
    cv::Mat mask;
    cv::resize(cell.outline, mask, picture.size(), 0, 0, cv::INTER_LINEAR);
    mask = mask >= 128;
    if (cv::countNonZero(mask) == 0) continue;
    found.push_back({BoxOfMask(mask), static_cast<float>(segmentation.Score(cell)), mask});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const FoundCell& a, const FoundCell& b) { return a.score > b.score; });
  return found;
}

}  // namespace hemafed::learning
