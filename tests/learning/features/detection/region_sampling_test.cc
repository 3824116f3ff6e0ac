// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/region_sampling.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "learning/features/detection/region_crops.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Uniform;

// One place of a map by torchvision's compiled operator: 0 beyond one place outside, else moved inside and bilinear.
double At(const at::TensorAccessor<float, 2>& map, double y, double x) {
  const auto height = static_cast<double>(map.size(0)), width = static_cast<double>(map.size(1));
  if (y < -1 || y > height || x < -1 || x > width) return 0;
  y = std::clamp(y, 0.0, height - 1);
  x = std::clamp(x, 0.0, width - 1);
  const auto y0 = static_cast<std::int64_t>(y), x0 = static_cast<std::int64_t>(x);
  const std::int64_t y1 = std::min(y0 + 1, map.size(0) - 1), x1 = std::min(x0 + 1, map.size(1) - 1);
  const double v = y - static_cast<double>(y0), u = x - static_cast<double>(x0);
  return (1 - v) * ((1 - u) * double{map[y0][x0]} + u * double{map[y0][x1]}) +
         v * ((1 - u) * double{map[y1][x0]} + u * double{map[y1][x1]});
}

// The formula of the header, written as loops in double precision.
at::Tensor SlowRoiAlign(const at::Tensor& features, const at::Tensor& boxes, const at::Tensor& pictures,
                        std::int64_t side, const RoiAlignRule& rule) {
  at::Tensor out = at::zeros({boxes.size(0), features.size(1), side, side}, at::kDouble);
  auto result = out.accessor<double, 4>();
  const auto box = boxes.accessor<float, 2>();
  for (std::int64_t r = 0; r < boxes.size(0); ++r) {
    const double offset = rule.aligned ? 0.5 : 0;
    const double x0 = double{box[r][0]} * rule.scale - offset, y0 = double{box[r][1]} * rule.scale - offset;
    double w = double{box[r][2]} * rule.scale - offset - x0, h = double{box[r][3]} * rule.scale - offset - y0;
    if (!rule.aligned) {
      w = std::max(w, 1.0);
      h = std::max(h, 1.0);
    }
    const auto bins = static_cast<double>(side);
    const int rows = rule.samples > 0 ? rule.samples : static_cast<int>(std::ceil(h / bins));
    const int columns = rule.samples > 0 ? rule.samples : static_cast<int>(std::ceil(w / bins));
    for (std::int64_t c = 0; c < features.size(1); ++c) {
      const at::Tensor map = features[pictures[r].item<std::int64_t>()][c];
      const auto values = map.accessor<float, 2>();
      for (std::int64_t p = 0; p < side; ++p) {
        for (std::int64_t q = 0; q < side; ++q) {
          double sum = 0;
          for (int i = 0; i < rows; ++i) {
            for (int j = 0; j < columns; ++j) {
              sum += At(values, y0 + (static_cast<double>(p) + (i + 0.5) / rows) * h / bins,
                        x0 + (static_cast<double>(q) + (j + 0.5) / columns) * w / bins);
            }
          }
          result[r][c][p][q] = sum / std::max(rows * columns, 1);
        }
      }
    }
  }
  return out;
}

// Boxes inside, across every border, beyond it, without area, and larger than the frame.
at::Tensor HardBoxes() {
  return at::tensor({3.0f,   5.0f,  30.0f,  21.5f, 0.0f,  0.0f,   64.0f,  48.0f,  -20.0f, -9.0f, 10.0f,
                     60.0f,  60.0f, 40.f,   90.0f, 70.0f, 11.25f, 11.25f, 11.25f, 11.25f, -80.f, 5.0f,
                     -40.0f, 20.0f, -30.0f, -40.,  300.f, 200.f,  5.0f,   3.0f,   6.0f,   47.0f})
      .view({8, 4})
      .to(at::kFloat);
}
at::Tensor PicturesOfHardBoxes() { return at::tensor({0, 1, 0, 1, 1, 0, 1, 0}, at::kLong); }

struct Rule {
  const char* name;
  RoiAlignRule rule;
  std::int64_t side;
  std::int64_t channels;
};

class RoiAlignOf : public testing::TestWithParam<Rule> {};

TEST_P(RoiAlignOf, EqualsLoopsInDoublePrecision) {
  const at::Tensor features = Uniform(3, {2, GetParam().channels, 12, 16}, -1, 1);
  const at::Tensor got = RoiAlign(features, HardBoxes(), PicturesOfHardBoxes(), GetParam().side, GetParam().rule);
  const at::Tensor want = SlowRoiAlign(features, HardBoxes(), PicturesOfHardBoxes(), GetParam().side, GetParam().rule);
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LT(LargestDifference(got, want), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Table, RoiAlignOf,
                         testing::Values(Rule{"BoxHead", {0.25, 2, false}, 7, 96},
                                         Rule{"Aligned", {0.25, 2, true}, 7, 19},
                                         Rule{"OneSample", {0.25, 1, false}, 14, 16},
                                         Rule{"AsManyAsTheBoxIsLarge", {0.25, 0, false}, 3, 5},
                                         Rule{"AlignedAsMany", {0.25, 0, true}, 2, 5}),
                         [](const auto& row) { return row.param.name; });

TEST(RoiAlign, OwnKernelAndTensorOperationsAgreeInValuesAndGradients) {
  const at::Tensor rows = Uniform(5, {6, 14}, -4, 11), columns = Uniform(6, {6, 14}, -4, 15);
  const at::Tensor y = at::where(rows < 0, at::full_like(rows, -1), rows);
  const at::Tensor x = at::where(columns < 0, at::full_like(columns, -1), columns);
  const at::Tensor pictures = at::tensor({1, 0, 0, 1, 1, 0}, at::kLong);
  const at::Tensor weights = Uniform(8, {6, 70, 7, 7}, -1, 1);
  std::vector<at::Tensor> values, gradients;
  for (const bool own : {true, false}) {
    at::Tensor features = Uniform(4, {2, 70, 12, 16}, -1, 1).requires_grad_(true);
    const at::Tensor regions = SampleRegions(features, pictures, y, x, 7, own);
    (regions * weights).sum().backward();
    values.push_back(regions.detach());
    gradients.push_back(features.grad());
  }
  EXPECT_LT(LargestDifference(values[0], values[1]), 1e-5);
  EXPECT_LT(LargestDifference(gradients[0], gradients[1]), 1e-4);
  EXPECT_GT(gradients[0].abs().max().item<double>(), 0.1);
}

TEST(RoiAlign, GradientIsTheSlopeOfFiniteDifferences) {
  // Linear in the features: the slope along any direction is the same everywhere.
  const at::Tensor features = Uniform(4, {2, 5, 12, 16}, -1, 1);
  const at::Tensor direction = Uniform(9, {2, 5, 12, 16}, -1, 1);
  const at::Tensor weights = Uniform(8, {8, 5, 7, 7}, -1, 1);
  const auto value = [&](const at::Tensor& at) {
    return (RoiAlign(at, HardBoxes(), PicturesOfHardBoxes(), 7, {.scale = 0.25}) * weights).sum();
  };
  at::Tensor start = features.clone().requires_grad_(true);
  value(start).backward();
  const double slope = (start.grad() * direction).sum().item<double>();
  const double difference = (value(features + direction) - value(features)).item<double>();
  EXPECT_NEAR(slope, difference, 1e-3 * std::abs(difference) + 1e-3);
}

TEST(RoiAlign, NumberOfThreadsDoesNotChangeBits) {
  const at::Tensor features = Uniform(4, {2, 70, 12, 16}, -1, 1);
  std::vector<at::Tensor> values, gradients;
  const int before = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    at::Tensor start = features.clone().requires_grad_(true);
    const at::Tensor regions = RoiAlign(start, HardBoxes(), PicturesOfHardBoxes(), 7, {.scale = 0.25});
    regions.square().sum().backward();
    values.push_back(regions.detach());
    gradients.push_back(start.grad());
  }
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(values[0], values[1]));
  EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
}

TEST(CropAndResize, ReadsThePublishedRows) {
  // Eight rows, normalised 0.25 to 0.75, three bins: rows 1.75, 3.5 and 5.25. Each row of the map holds its number.
  const at::Tensor features = at::arange(8, at::kFloat).view({1, 1, 8, 1}).expand({1, 1, 8, 8}).contiguous();
  const float y0 = 0.25f * 7, y1 = 0.75f * 7 + 1;  // in pixels of a frame of 8, behind the last one
  const at::Tensor box = at::tensor({0.0f, y0, 8.0f, y1}).view({1, 4});
  const at::Tensor rows = CropAndResize(features, box, at::zeros({1}, at::kLong), 3, 8, 8)[0][0];
  for (int column = 0; column < 3; ++column) {
    EXPECT_NEAR(rows[0][column].item<double>(), 1.75, 1e-5);
    EXPECT_NEAR(rows[1][column].item<double>(), 3.5, 1e-5);
    EXPECT_NEAR(rows[2][column].item<double>(), 5.25, 1e-5);
  }
}

TEST(CropAndResize, EqualsTheFormulaAndIsZeroOutside) {
  constexpr std::int64_t kFrame = 64, kSide = 14;
  const at::Tensor features = Uniform(3, {2, 6, 16, 16}, -1, 1);
  const at::Tensor boxes = HardBoxes(), pictures = PicturesOfHardBoxes();
  const at::Tensor got = CropAndResize(features, boxes, pictures, kSide, kFrame, kFrame);
  const auto box = boxes.accessor<float, 2>();
  const auto values = features.accessor<float, 4>();
  const auto result = got.accessor<float, 4>();
  int outside = 0;
  for (std::int64_t r = 0; r < boxes.size(0); ++r) {
    const std::int64_t n = pictures[r].item<std::int64_t>();
    for (std::int64_t p = 0; p < kSide; ++p) {
      for (std::int64_t q = 0; q < kSide; ++q) {
        const auto place = [](double low, double high, std::int64_t bin) {
          const double first = low / 63, last = (high - 1) / 63;
          return first * 15 + static_cast<double>(bin) * (last - first) * 15 / 13;
        };
        const double y = place(double{box[r][1]}, double{box[r][3]}, p),
                     x = place(double{box[r][0]}, double{box[r][2]}, q);
        const bool inside = y >= 0 && y <= 15 && x >= 0 && x <= 15;
        if (!inside) ++outside;
        for (std::int64_t c = 0; c < 6; ++c) {
          const double want = inside ? At(values[n][c], y, x) : 0;
          ASSERT_NEAR(double{result[r][c][p][q]}, want, 1e-4) << "box " << r << " bin " << p << ", " << q;
        }
      }
    }
  }
  EXPECT_GT(outside, 100);
}

TEST(Regions, RefuseWhatDoesNotFit) {
  const at::Tensor features = at::zeros({1, 2, 4, 4}), box = at::zeros({1, 4});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not in the batch",
               (void)RoiAlign(features, box, at::ones({1}, at::kLong), 7, {.scale = 0.25}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "int64", (void)RoiAlign(features, box, at::zeros({1}), 7, {.scale = 0.25}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "scale",
               (void)RoiAlign(features, box, at::zeros({1}, at::kLong), 7, {.scale = 0}));
  EXPECT_EQ(RoiAlign(features, at::zeros({0, 4}), at::zeros({0}, at::kLong), 7, {.scale = 0.25}).size(0), 0);
}

TEST(LevelsOfBoxes, FollowThePublishedRule) {
  // Sides in the frame of 1024: up to 158.4 from P3, 158.4 to 316.8 from P4, larger ones from P5
  // (published-systems 3.1, which counts sides of normalised boxes: one pixel less than w, times 1024 / 1023).
  const auto level = [](double side) {
    const auto s = static_cast<float>(side * 1023 / 1024 + 1);
    return LevelsOfBoxes(DetectorForm::kPublished, at::tensor({0.0f, 0.0f, s, s}).view({1, 4}), 1024, 1024)
        .item<std::int64_t>();
  };
  EXPECT_EQ(level(20), 0);
  EXPECT_EQ(level(79), 0);
  EXPECT_EQ(level(80), 1);
  EXPECT_EQ(level(158.3), 1);
  EXPECT_EQ(level(158.5), 2);
  EXPECT_EQ(level(316.7), 2);
  EXPECT_EQ(level(316.9), 3);
  EXPECT_EQ(level(1023), 3);
}

TEST(LevelsOfBoxes, FollowTorchvisionsRule) {
  const auto level = [](float w, float h) {
    return LevelsOfBoxes(DetectorForm::kTorchvision, at::tensor({5.0f, 5.0f, 5 + w, 5 + h}).view({1, 4}), 800, 800)
        .item<std::int64_t>();
  };
  EXPECT_EQ(level(111, 111), 0);
  EXPECT_EQ(level(112, 112), 1);
  EXPECT_EQ(level(223, 223), 1);
  EXPECT_EQ(level(224, 224), 2);
  EXPECT_EQ(level(112, 448), 2);
  EXPECT_EQ(level(448, 448), 3);
  EXPECT_EQ(level(2000, 2000), 3);
  EXPECT_EQ(level(0, 10), 0);
}

}  // namespace
}  // namespace hemafed::learning
