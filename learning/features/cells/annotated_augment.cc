// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/annotated_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/cells/overlap.h"

namespace hemafed::learning {

namespace {

constexpr std::size_t kWords = 8;

double Unit(std::uint32_t word) { return static_cast<double>(word >> 8) / static_cast<double>(1u << 24); }
double Signed(std::uint32_t word) { return 2 * Unit(word) - 1; }
bool Bit(std::uint32_t word, unsigned bit) { return ((word >> bit) & 1u) != 0; }

void Require(bool holds, const char* what) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, std::string("augmentation of annotated pictures: ") + what);
}

// x' = a x + b y + c, y' = d x + e y + f in continuous pixels: the middle of the first pixel is (0.5, 0.5).
using Affine = cv::Matx23d;

Affine After(const Affine& second, const Affine& first) {
  const auto square = [](const Affine& m) {
    return cv::Matx33d(m(0, 0), m(0, 1), m(0, 2), m(1, 0), m(1, 1), m(1, 2), 0, 0, 1);
  };
  const cv::Matx33d both = square(second) * square(first);
  return {both(0, 0), both(0, 1), both(0, 2), both(1, 0), both(1, 1), both(1, 2)};
}

// Mirrors and quarter turns, exact; `size` becomes that of the result.
Affine ExactPart(const AnnotatedVariant& variant, cv::Size& size) {
  Affine map(1, 0, 0, 0, 1, 0);
  const double width = size.width, height = size.height;
  if (variant.mirror_x) map = After(Affine(-1, 0, width, 0, 1, 0), map);
  if (variant.mirror_y) map = After(Affine(1, 0, 0, 0, -1, height), map);
  for (int turn = 0; turn < variant.quarter_turns; ++turn) {
    map = After(Affine(0, 1, 0, -1, 0, size.width), map);  // The right border becomes the upper one.
    std::swap(size.width, size.height);
  }
  return map;
}

cv::Mat ExactlyTurned(const cv::Mat& picture, const AnnotatedVariant& variant) {
  cv::Mat result = picture;
  const auto step = [&result](const auto& change) {
    cv::Mat changed;
    change(result, changed);
    result = changed;
  };
  if (variant.mirror_x) step([](const cv::Mat& from, cv::Mat& to) { cv::flip(from, to, 1); });
  if (variant.mirror_y) step([](const cv::Mat& from, cv::Mat& to) { cv::flip(from, to, 0); });
  for (int turn = 0; turn < variant.quarter_turns; ++turn) {
    step([](const cv::Mat& from, cv::Mat& to) { cv::rotate(from, to, cv::ROTATE_90_COUNTERCLOCKWISE); });
  }
  return result;
}

// Rotation and zoom about the middle.
Affine WarpPart(const AnnotatedVariant& variant, const cv::Size& size) {
  const double angle = variant.angle * CV_PI / 180;
  const double c = variant.zoom * std::cos(angle), s = variant.zoom * std::sin(angle);
  const double x = size.width / 2.0, y = size.height / 2.0;
  // Rows point downwards, so counter-clockwise as seen is (c, s; -s, c).
  return {c, s, x - c * x - s * y, -s, c, y + s * x - c * y};
}

cv::Mat Warped(const cv::Mat& picture, const Affine& map, const cv::Scalar& outside) {
  // OpenCV counts from the middle of the first pixel.
  const Affine indices = After(Affine(1, 0, -0.5, 0, 1, -0.5), After(map, Affine(1, 0, 0.5, 0, 1, 0.5)));
  cv::Mat warped;
  cv::warpAffine(picture, warped, indices, picture.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT, outside);
  return warped;
}

cv::Scalar MedianOfBorder(const cv::Mat& rgb) {
  std::array<std::vector<std::uint8_t>, 3> values;
  const auto take = [&](int y, int x) {
    for (int c = 0; c < 3; ++c) values[static_cast<std::size_t>(c)].push_back(rgb.at<cv::Vec3b>(y, x)[c]);
  };
  for (int x = 0; x < rgb.cols; ++x) {
    take(0, x);
    take(rgb.rows - 1, x);
  }
  for (int y = 0; y < rgb.rows; ++y) {
    take(y, 0);
    take(y, rgb.cols - 1);
  }
  cv::Scalar median;
  for (int c = 0; c < 3; ++c) {
    auto& v = values[static_cast<std::size_t>(c)];
    const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
    std::nth_element(v.begin(), middle, v.end());
    median[c] = *middle;
  }
  return median;
}

cv::Rect2f Clipped(double x0, double y0, double x1, double y1, const cv::Size& size) {
  x0 = std::clamp(x0, 0.0, static_cast<double>(size.width));
  x1 = std::clamp(x1, 0.0, static_cast<double>(size.width));
  y0 = std::clamp(y0, 0.0, static_cast<double>(size.height));
  y1 = std::clamp(y1, 0.0, static_cast<double>(size.height));
  return {static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1 - x0), static_cast<float>(y1 - y0)};
}

// The box of the image of the ellipse that `box` encloses: centre m, half axes a and b along x and y become half sides
// sqrt((M00 a)^2 + (M01 b)^2) and sqrt((M10 a)^2 + (M11 b)^2). Exact for mirrors and quarter turns of any shape.
struct TurnedBox {
  cv::Rect2f clipped;
  double visible = 0.0;  // share of its area
};
TurnedBox Turned(const cv::Rect2f& box, const Affine& map, const cv::Size& size) {
  const double a = box.width / 2.0, b = box.height / 2.0, x = box.x + a, y = box.y + b;
  const double mx = map(0, 0) * x + map(0, 1) * y + map(0, 2), my = map(1, 0) * x + map(1, 1) * y + map(1, 2);
  const double w = std::hypot(map(0, 0) * a, map(0, 1) * b), h = std::hypot(map(1, 0) * a, map(1, 1) * b);
  TurnedBox result{Clipped(mx - w, my - h, mx + w, my + h, size)};
  if (w > 0 && h > 0) result.visible = result.clipped.area() / (4 * w * h);
  return result;
}

cv::Mat Recoloured(const cv::Mat& rgb, const AnnotatedVariant& variant) {
  const std::array factors = {1 + variant.warmth, 1.0, 1 - variant.warmth};
  cv::Mat table(1, 256, CV_8UC3);
  for (int v = 0; v < 256; ++v) {
    for (int c = 0; c < 3; ++c) {
      const double value = 127 + variant.contrast * (v * factors[static_cast<std::size_t>(c)] - 127);
      table.at<cv::Vec3b>(v)[c] = cv::saturate_cast<std::uint8_t>(value);
    }
  }
  cv::Mat result;
  cv::LUT(rgb, table, result);
  return result;
}

}  // namespace

AnnotatedVariant DrawAnnotatedVariant(const AnnotatedAugmentation& settings, std::uint64_t seed, std::uint32_t picture,
                                      std::uint32_t epoch) {
  const auto within = [](double value, double low, double high) { return value >= low && value <= high; };
  Require(within(settings.changed_share, 0, 1), "changed_share must be 0 to 1");
  Require(within(settings.max_angle, 0, 180), "max_angle must be 0 to 180 degrees");
  Require(within(settings.zoom, 0, 0.9) && within(settings.temperature, 0, 0.9) && within(settings.contrast, 0, 0.9),
          "zoom, temperature and contrast must be 0 to 0.9");
  Require(within(settings.blur_levels, 0, 255), "blur_levels must be 0 to 255");
  Require(settings.blur_diameter >= 1 && settings.blur_diameter <= 15, "blur_diameter must be 1 to 15 pixels");

  std::array<std::uint32_t, kWords> words{};
  const std::uint64_t key = DeriveSeed(seed, "annotated augmentation 1");
  for (std::uint32_t block = 0; block < kWords / 4; ++block) {
    const PhiloxBlock drawn = Philox4x32(key, {block, picture, epoch, 0});
    std::copy(drawn.begin(), drawn.end(), words.begin() + 4 * block);
  }
  AnnotatedVariant variant;
  if (Unit(words[0]) >= settings.changed_share) return variant;
  variant.mirror_x = settings.flips && Bit(words[1], 0);
  variant.mirror_y = settings.flips && Bit(words[1], 1);
  if (settings.quarter_turns) variant.quarter_turns = static_cast<int>((words[1] >> 2) & 3u);
  if (Bit(words[1], 4)) {
    variant.angle = Signed(words[2]) * settings.max_angle;
    variant.zoom = 1 + Signed(words[3]) * settings.zoom;
  }
  if (Bit(words[1], 5)) variant.warmth = Signed(words[4]) * settings.temperature;
  if (Bit(words[1], 6)) variant.contrast = 1 + Signed(words[5]) * settings.contrast;
  if (Bit(words[1], 7)) {
    variant.blur_levels = Unit(words[6]) * settings.blur_levels;
    variant.blur_diameter = settings.blur_diameter;
  }
  return variant;
}

VariantOfPicture ApplyAnnotatedVariant(const cv::Mat& rgb, const std::vector<FoundCell>& cells,
                                       const AnnotatedVariant& variant) {
  Require(!rgb.empty() && rgb.type() == CV_8UC3, "a picture must be 8-bit RGB");
  Require(variant.quarter_turns >= 0 && variant.quarter_turns <= 3, "quarter turns must be 0 to 3");
  Require(variant.zoom > 0 && std::isfinite(variant.zoom) && std::isfinite(variant.angle),
          "zoom must be above 0, zoom and angle finite");
  cv::Size size = rgb.size();
  Affine map = ExactPart(variant, size);
  const bool warps = variant.angle != 0.0 || variant.zoom != 1.0;
  const Affine warp = WarpPart(variant, size);
  if (warps) map = After(warp, map);

  VariantOfPicture result{ExactlyTurned(rgb, variant), {}};
  if (warps) result.rgb = Warped(result.rgb, warp, MedianOfBorder(result.rgb));
  if (variant.warmth != 0.0 || variant.contrast != 1.0) result.rgb = Recoloured(result.rgb, variant);
  if (variant.blur_levels > 0.0 && variant.blur_diameter > 1) {
    cv::Mat blurred;
    cv::bilateralFilter(result.rgb, blurred, variant.blur_diameter, variant.blur_levels, variant.blur_diameter / 2.0);
    result.rgb = blurred;
  }
  for (const FoundCell& cell : cells) {
    const TurnedBox turned = Turned(cell.box, map, size);
    if (turned.visible < kMinVisibleShare) continue;
    FoundCell changed{turned.clipped, cell.score, {}};
    if (!cell.mask.empty()) {
      Require(cell.mask.size() == rgb.size() && cell.mask.type() == CV_8UC1, "a mask must have its picture's size");
      changed.mask = ExactlyTurned(cell.mask, variant);
      // By a new Mat: an expression assigned to `mask` would be written into the pixels that the input still holds.
      if (warps) changed.mask = cv::Mat(Warped(changed.mask, warp, cv::Scalar(0)) >= 128);
      changed.box = BoxOfMask(changed.mask);
      if (changed.box.empty()) continue;
    }
    result.cells.push_back(changed);
  }
  return result;
}

}  // namespace hemafed::learning
