// SPDX-License-Identifier: Apache-2.0
#include "learning/metrics/average_precision.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/expect_error.h"

namespace hemafed::learning {
namespace {

constexpr int kWidth = 260, kHeight = 220, kPictures = 6;

struct Annotated {
  int picture;
  std::array<int, 4> box;  // x0, y0, x1, y1
  bool crowd;
};
struct Found {
  int picture;
  std::array<int, 4> box;
  double score;
};

// Inputs and numbers: average_precision_reference.py beside this file, pycocotools 2.0.11.
const std::vector<Annotated> kAnnotated = {
    {0, {14, 87, 117, 215}, false},   {0, {42, 39, 61, 50}, false},     {0, {30, 4, 158, 165}, false},
    {1, {97, 6, 220, 26}, false},     {1, {177, 108, 190, 117}, false}, {1, {132, 58, 161, 81}, false},
    {1, {62, 29, 76, 55}, false},     {1, {116, 16, 224, 173}, false},  {2, {175, 137, 205, 147}, true},
    {2, {123, 65, 150, 95}, false},   {2, {78, 109, 169, 131}, false},  {2, {7, 18, 137, 157}, true},
    {2, {96, 15, 178, 141}, false},   {2, {96, 115, 111, 145}, false},  {3, {124, 148, 135, 162}, true},
    {3, {26, 49, 112, 152}, false},   {3, {118, 58, 140, 82}, true},    {3, {31, 7, 61, 25}, false},
    {5, {184, 169, 207, 180}, false}, {5, {133, 196, 158, 214}, true},  {5, {140, 140, 225, 190}, false},
    {5, {38, 12, 229, 159}, true},
};
const std::vector<Found> kFound = {
    {0, {44, 45, 64, 56}, 0.55},     {0, {40, 40, 64, 52}, 0.4},      {0, {29, 6, 158, 160}, 0.8},
    {0, {34, 4, 153, 168}, 0.7},     {0, {90, 76, 142, 98}, 0.1},     {1, {103, 11, 215, 21}, 0.4},
    {1, {181, 107, 195, 121}, 0.45}, {1, {66, 31, 74, 56}, 0.75},     {1, {115, 16, 225, 171}, 0.9},
    {1, {118, 14, 223, 172}, 0.8},   {1, {24, 141, 169, 166}, 0.06},  {2, {122, 66, 151, 95}, 0.65},
    {2, {8, 14, 140, 153}, 0.6},     {2, {100, 11, 174, 143}, 0.55},  {2, {91, 10, 178, 138}, 0.85},
    {2, {96, 115, 111, 145}, 0.5},   {2, {98, 118, 111, 145}, 0.4},   {2, {18, 135, 35, 146}, 0.4},
    {3, {123, 147, 135, 163}, 0.85}, {3, {126, 146, 134, 161}, 0.75}, {3, {23, 45, 116, 157}, 0.75},
    {3, {26, 48, 113, 153}, 0.85},   {3, {30, 7, 61, 25}, 0.9},       {3, {32, 10, 64, 27}, 0.85},
    {4, {111, 4, 140, 28}, 0.55},    {4, {54, 87, 199, 195}, 0.31},
};
constexpr std::array kBoxNumbers = {0.349496289804, 0.457702829106, 0.367056705671, 0.262931793179,
                                    0.257425742574, 0.669966996700, 0.231250000000, 0.437500000000,
                                    0.437500000000, 0.412500000000, 0.250000000000, 0.675000000000};
constexpr std::array kMaskNumbers = {0.359518848944, 0.457702829106, 0.367056705671, 0.266208549426,
                                     0.355445544554, 0.663366336634, 0.237500000000, 0.450000000000,
                                     0.450000000000, 0.412500000000, 0.380000000000, 0.666666666667};

OverlapBox BoxOf(const std::array<int, 4>& b) {
  return {static_cast<double>(b[0]), static_cast<double>(b[1]), static_cast<double>(b[2]), static_cast<double>(b[3])};
}

// The ellipse that the box encloses, as the Python side draws it.
BitMask MaskOf(const std::array<int, 4>& b) {
  const auto [x0, y0, x1, y1] = b;
  const long w = x1 - x0, h = y1 - y0;
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const long dx = 2 * x + 1 - x0 - x1, dy = 2 * y + 1 - y0 - y1;
      pixels.push_back(dx * dx * h * h + dy * dy * w * w <= w * w * h * h ? 1 : 0);
    }
  }
  return BitMask(kWidth, kHeight, pixels);
}

template <typename Shape, typename Make, typename Overlaps>
std::vector<PictureOverlaps> Pictures(const Make& make, const Overlaps& overlaps) {
  std::vector<PictureOverlaps> pictures;
  for (int picture = 0; picture < kPictures; ++picture) {
    std::vector<Shape> annotated, found;
    std::vector<double> scores;
    std::vector<bool> crowd;
    for (const Annotated& item : kAnnotated) {
      if (item.picture != picture) continue;
      annotated.push_back(make(item.box));
      crowd.push_back(item.crowd);
    }
    for (const Found& item : kFound) {
      if (item.picture != picture) continue;
      found.push_back(make(item.box));
      scores.push_back(item.score);
    }
    pictures.push_back(overlaps(found, scores, annotated, crowd));
  }
  return pictures;
}

void ExpectNumbers(const AveragePrecision& got, const std::array<double, 12>& want) {
  const std::array values = {got.ap,   got.ap50,  got.ap75,   got.ap_small, got.ap_medium, got.ap_large,
                             got.ar_1, got.ar_10, got.ar_100, got.ar_small, got.ar_medium, got.ar_large};
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], want[i], 1e-11) << "number " << i;
}

TEST(AveragePrecision, OfBoxesIsPycocotools) {
  ExpectNumbers(
      CocoAveragePrecision(Pictures<OverlapBox>(BoxOf, [](const auto&... parts) { return OverlapsOfBoxes(parts...); })),
      kBoxNumbers);
}

TEST(AveragePrecision, OfMasksIsPycocotools) {
  ExpectNumbers(
      CocoAveragePrecision(Pictures<BitMask>(MaskOf, [](const auto&... parts) { return OverlapsOfMasks(parts...); })),
      kMaskNumbers);
}

const std::vector<OverlapBox> kOneBox = {{10, 10, 60, 60}};

TEST(AveragePrecision, OfTheAnnotationsThemselvesIsOne) {
  const std::vector<double> scores = {1.0};
  const std::vector<PictureOverlaps> pictures = {OverlapsOfBoxes(kOneBox, scores, kOneBox)};
  const AveragePrecision got = CocoAveragePrecision(pictures);
  EXPECT_NEAR(got.ap, 1.0, 1e-12);
  EXPECT_NEAR(got.ar_1, 1.0, 1e-12);
  EXPECT_EQ(got.ap_large, kUndefined);  // 2,500 pixels are medium.
}

TEST(AveragePrecision, OnlyTheBestHundredDetectionsOfAPictureCount) {
  for (const auto& [wrong, in_10, in_100] : {std::array{9, 1, 1}, {10, 0, 1}, {99, 0, 1}, {100, 0, 0}}) {
    std::vector<OverlapBox> found(static_cast<std::size_t>(wrong), {100, 100, 120, 120});
    std::vector<double> scores(found.size(), 0.9);
    found.push_back(kOneBox[0]);
    scores.push_back(0.5);
    const std::vector<PictureOverlaps> pictures = {OverlapsOfBoxes(found, scores, kOneBox)};
    const AveragePrecision got = CocoAveragePrecision(pictures);
    EXPECT_DOUBLE_EQ(got.ar_1, 0.0);
    EXPECT_NEAR(got.ar_10, in_10, 1e-12) << wrong;
    EXPECT_NEAR(got.ar_100, in_100, 1e-12) << wrong;
  }
}

TEST(AveragePrecision, WithoutAnnotationsIsUndefinedNotZero) {
  const std::vector<double> scores = {0.5};
  const std::vector<PictureOverlaps> pictures = {OverlapsOfBoxes(kOneBox, scores, {})};
  EXPECT_EQ(CocoAveragePrecision(pictures).ap, kUndefined);
  EXPECT_EQ(CocoAveragePrecision({}).ar_100, kUndefined);
}

TEST(AveragePrecision, NothingFoundIsZero) {
  const std::vector<PictureOverlaps> pictures = {OverlapsOfBoxes({}, {}, kOneBox)};
  EXPECT_EQ(CocoAveragePrecision(pictures).ap, 0.0);
  EXPECT_EQ(CocoAveragePrecision(pictures).ar_100, 0.0);
}

TEST(AveragePrecision, EmptyMasksOverlapNothing) {
  const std::vector<std::uint8_t> none(64, 0);
  const std::vector<BitMask> empty = {BitMask(8, 8, none)};
  const std::vector<double> scores = {0.5};
  EXPECT_EQ(OverlapsOfMasks(empty, scores, empty).overlap, std::vector<double>{0.0});
}

TEST(AveragePrecision, RefusesWhatDoesNotFit) {
  const std::vector<double> one = {0.5}, two = {0.5, 0.4}, nan = {std::nan("")};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one score", (void)OverlapsOfBoxes(kOneBox, two, kOneBox));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "crowd", (void)OverlapsOfBoxes(kOneBox, one, kOneBox, {true, false}));
  const std::vector<OverlapBox> turned = {{60, 10, 10, 60}};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "turned over", (void)OverlapsOfBoxes(turned, one, kOneBox));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "width * height", (void)BitMask(8, 8, std::vector<std::uint8_t>(63)));
  const std::vector<BitMask> small = {BitMask(8, 8, std::vector<std::uint8_t>(64, 1))};
  const std::vector<BitMask> large = {BitMask(16, 4, std::vector<std::uint8_t>(64, 1))};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one size", (void)OverlapsOfMasks(small, one, large));
  const std::vector<PictureOverlaps> pictures = {OverlapsOfBoxes(kOneBox, nan, kOneBox)};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)CocoAveragePrecision(pictures));
  PictureOverlaps odd = OverlapsOfBoxes(kOneBox, one, kOneBox);
  odd.overlap.clear();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one number for each", (void)CocoAveragePrecision(std::vector{odd}));
}

}  // namespace
}  // namespace hemafed::learning
