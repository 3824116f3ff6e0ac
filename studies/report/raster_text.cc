// SPDX-License-Identifier: Apache-2.0
#include "studies/report/raster_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/report/markup.h"
#include "common/report/text_metrics.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

namespace {

// Hershey's capitals are 21 units high; at font scale 1 a unit is one pixel.
constexpr double kHersheyCapUnits = 21;
// Hershey's letters are wider than Helvetica's of the same height, by this much on average over the alphabet.
constexpr double kNarrowing = 0.84;
// Thickness of a stroke as a part of the font size.
constexpr double kRegularStroke = 0.085;
constexpr double kBoldStroke = 0.125;
constexpr double kBoldFactor = 1.07;  // As in text_metrics.cc.
constexpr int kShift = 4;             // OpenCV's fixed-point digits.

cv::Point Fixed(double x, double y) {
  return {static_cast<int>(std::lround(x * (1 << kShift))), static_cast<int>(std::lround(y * (1 << kShift)))};
}

// Draws letters into a mask that is wider than the text by 1 / kNarrowing; the blend squeezes it.
class MaskWriter {
 public:
  MaskWriter(const std::vector<char32_t>& points, double size, bool bold)
      : size_(size), factor_(bold ? kBoldFactor : 1.0), thickness_(Thickness(size, bold)) {
    for (const char32_t point : points) width_ += AdvanceOf(point) * size_ * factor_;
    margin_ = std::ceil(size_ * 0.5);
    base_ = std::ceil(size_) + margin_;
    mask_ = cv::Mat::zeros(static_cast<int>(std::ceil(base_ + size_ * 0.5 + margin_)),
                           static_cast<int>(std::ceil(width_ / kNarrowing + 2 * margin_)), CV_8UC1);
    for (const char32_t point : points) Write(point);
  }

  [[nodiscard]] const cv::Mat& mask() const { return mask_; }
  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] double margin() const { return margin_; }
  [[nodiscard]] double base() const { return base_; }

 private:
  static int Thickness(double size, bool bold) {
    return std::max(1, static_cast<int>(std::lround(size * (bold ? kBoldStroke : kRegularStroke))));
  }

  void Write(char32_t point) {
    const double cell = AdvanceOf(point) * size_ * factor_ / kNarrowing;
    const double middle = margin_ + pen_ + cell / 2;
    const double half = std::min(cell * 0.4, size_ * 0.3);
    const double cap = kCapHeight * size_;
    switch (point) {
      case U'\u00B1':  // Plus-minus.
        Bar(middle - half, base_ - cap * 0.55, middle + half, base_ - cap * 0.55);
        Bar(middle, base_ - cap * 0.90, middle, base_ - cap * 0.20);
        Bar(middle - half, base_, middle + half, base_);
        break;
      case U'-':  // Hershey's own plus, minus and equals signs are half as wide again as their cells.
        Bar(middle - cell * 0.3, base_ - cap * 0.35, middle + cell * 0.3, base_ - cap * 0.35);
        break;
      case U'+':
        Bar(middle - half, base_ - cap * 0.40, middle + half, base_ - cap * 0.40);
        Bar(middle, base_ - cap * 0.75, middle, base_ - cap * 0.05);
        break;
      case U'=':
        Bar(middle - half, base_ - cap * 0.55, middle + half, base_ - cap * 0.55);
        Bar(middle - half, base_ - cap * 0.25, middle + half, base_ - cap * 0.25);
        break;
      case U'\u2013':  // Dashes and the minus sign.
      case U'\u2014':
      case U'\u2212': Bar(middle - half, base_ - cap * 0.40, middle + half, base_ - cap * 0.40); break;
      case U'\u00D7':  // Multiplication sign.
        Bar(middle - half * 0.8, base_ - cap * 0.70, middle + half * 0.8, base_ - cap * 0.15);
        Bar(middle - half * 0.8, base_ - cap * 0.15, middle + half * 0.8, base_ - cap * 0.70);
        break;
      case U'\u00B7': Bar(middle, base_ - cap * 0.4, middle, base_ - cap * 0.4); break;
      case U'\u2026':
        for (const double step : {-1.0, 0.0, 1.0})
          Bar(middle + step * half * 0.8, base_, middle + step * half * 0.8, base_);
        break;
      case U'\u2192':  // Arrow to the right.
        Bar(middle - half, base_ - cap * 0.45, middle + half, base_ - cap * 0.45);
        Bar(middle + half, base_ - cap * 0.45, middle + half * 0.3, base_ - cap * 0.75);
        Bar(middle + half, base_ - cap * 0.45, middle + half * 0.3, base_ - cap * 0.15);
        break;
      case U'\t':
      case U'\n': break;
      default: Letter(point, middle);
    }
    pen_ += cell;
  }

  void Bar(double x0, double y0, double x1, double y1) {
    cv::line(mask_, Fixed(x0, y0), Fixed(x1, y1), cv::Scalar(255), thickness_, cv::LINE_AA, kShift);
  }

  void Letter(char32_t point, double middle) {
    const std::string letter(1, point >= 0x20 && point <= 0x7E ? static_cast<char>(point) : '?');
    const double font_scale = kCapHeight * size_ / kHersheyCapUnits;
    int below = 0;
    const cv::Size box = cv::getTextSize(letter, cv::FONT_HERSHEY_SIMPLEX, font_scale, 1, &below);
    cv::putText(
        mask_, letter,
        cv::Point(static_cast<int>(std::lround(middle - box.width / 2.0)), static_cast<int>(std::lround(base_))),
        cv::FONT_HERSHEY_SIMPLEX, font_scale, cv::Scalar(255), thickness_, cv::LINE_AA);
  }

  double size_;
  double factor_;
  int thickness_;
  double width_ = 0;   // Of the text, in pixels of the canvas.
  double margin_ = 0;  // Around the letters, which may overhang their cells.
  double base_ = 0;    // Row of the base line.
  double pen_ = 0;
  cv::Mat mask_;
};

// Pixels of the canvas that the turned mask can touch.
cv::Rect CoveredBy(const cv::Mat& mask, const cv::Matx23d& place, const cv::Mat& canvas) {
  std::vector<cv::Point2f> corners;
  for (const double x : {0.0, static_cast<double>(mask.cols)}) {
    for (const double y : {0.0, static_cast<double>(mask.rows)}) {
      corners.emplace_back(static_cast<float>(place(0, 0) * x + place(0, 1) * y + place(0, 2)),
                           static_cast<float>(place(1, 0) * x + place(1, 1) * y + place(1, 2)));
    }
  }
  return cv::boundingRect(corners) & cv::Rect(0, 0, canvas.cols, canvas.rows);
}

void Blend(cv::Mat& area, const cv::Mat& mask, Colour colour) {
  const std::array<double, 3> ink = {static_cast<double>(colour.red), static_cast<double>(colour.green),
                                     static_cast<double>(colour.blue)};
  for (int row = 0; row < area.rows; ++row) {
    for (int column = 0; column < area.cols; ++column) {
      const double cover = mask.at<std::uint8_t>(row, column) / 255.0 * colour.opacity;
      if (cover <= 0) continue;
      auto& pixel = area.at<cv::Vec3b>(row, column);
      for (int i = 0; i < 3; ++i) {
        pixel[i] = cv::saturate_cast<std::uint8_t>(pixel[i] + (ink[static_cast<std::size_t>(i)] - pixel[i]) * cover);
      }
    }
  }
}

}  // namespace

void DrawText(cv::Mat& canvas, const Text& text, double scale) {
  const std::vector<char32_t> points = CleanCodePoints(text.text);
  if (points.empty()) return;
  const MaskWriter writer(points, text.size * scale, text.bold);
  const double start = text.anchor == Anchor::kStart    ? 0
                       : text.anchor == Anchor::kMiddle ? -writer.width() / 2
                                                        : -writer.width();
  // Mask to canvas: squeeze, put the anchor at the origin, turn (rows grow downwards), move to the place.
  const double angle = text.degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double left = start - writer.margin() * kNarrowing;
  const cv::Matx23d place(kNarrowing * cosine, sine, cosine * left - sine * writer.base() + text.at.x * scale,  //
                          -kNarrowing * sine, cosine, -sine * left - cosine * writer.base() + text.at.y * scale);
  const cv::Rect covered = CoveredBy(writer.mask(), place, canvas);
  if (covered.empty()) return;
  cv::Matx23d local = place;
  local(0, 2) -= covered.x;
  local(1, 2) -= covered.y;
  cv::Mat turned;
  cv::warpAffine(writer.mask(), turned, local, covered.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT, cv::Scalar(0));
  cv::Mat area = canvas(covered);
  Blend(area, turned, text.colour);
}

}  // namespace hemafed::studies
