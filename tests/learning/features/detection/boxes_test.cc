// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/boxes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Units;

// N boxes inside a picture of 100 x 80 pixels, sides from 1 to 40.
at::Tensor SomeBoxes(std::uint64_t seed, std::int64_t count) {
  const at::Tensor u = Units(seed, {count, 4}, 0);
  const at::Tensor x0 = u.select(1, 0) * 60, y0 = u.select(1, 1) * 40;
  return at::stack({x0, y0, x0 + 1 + 39 * u.select(1, 2), y0 + 1 + 39 * u.select(1, 3)}, 1);
}

double SlowIou(const at::Tensor& a, const at::Tensor& b) {
  const auto at_ = [](const at::Tensor& t, int i) { return t[i].item<double>(); };
  const double w = std::min(at_(a, 2), at_(b, 2)) - std::max(at_(a, 0), at_(b, 0));
  const double h = std::min(at_(a, 3), at_(b, 3)) - std::max(at_(a, 1), at_(b, 1));
  const double common = std::max(w, 0.0) * std::max(h, 0.0);
  const double area_a = (at_(a, 2) - at_(a, 0)) * (at_(a, 3) - at_(a, 1));
  const double area_b = (at_(b, 2) - at_(b, 0)) * (at_(b, 3) - at_(b, 1));
  return common / (area_a + area_b - common);
}

TEST(Boxes, OverlapsEqualASlowLoop) {
  const at::Tensor a = SomeBoxes(1, 17), b = SomeBoxes(2, 11);
  const at::Tensor overlaps = IouMatrix(a, b), single = IouMatrix(a.to(at::kFloat), b.to(at::kFloat));
  int some = 0;
  for (std::int64_t i = 0; i < 17; ++i) {
    for (std::int64_t j = 0; j < 11; ++j) {
      const double expected = SlowIou(a[i], b[j]);
      EXPECT_NEAR(overlaps[i][j].item<double>(), expected, 1e-14);
      EXPECT_NEAR(single[i][j].item<double>(), expected, 1e-6);
      some += expected > 0.1 ? 1 : 0;
    }
  }
  EXPECT_GT(some, 20);
}

TEST(Boxes, EmptyOnesOverlapNothing) {
  const at::Tensor point = at::tensor({3.0, 3.0, 3.0, 3.0}).view({1, 4});
  const at::Tensor swapped = at::tensor({9.0, 9.0, 3.0, 3.0}).view({1, 4});
  EXPECT_EQ(IouMatrix(point, point).item<double>(), 0.0);
  EXPECT_EQ(IouMatrix(swapped, at::tensor({0.0, 0.0, 10.0, 10.0}).view({1, 4})).item<double>(), 0.0);
  EXPECT_EQ(BoxAreas(swapped).item<double>(), 0.0);
  EXPECT_EQ(IouMatrix(at::empty({0, 4}), SomeBoxes(1, 3).to(at::kFloat)).sizes(), (std::vector<std::int64_t>{0, 3}));
}

TEST(Boxes, CodingComesBackForEachVariant) {
  const at::Tensor boxes = SomeBoxes(3, 50), references = SomeBoxes(4, 50);
  for (const BoxCoding& coding :
       {BoxCoding::TorchvisionProposals(), BoxCoding::TorchvisionHead(), BoxCoding::Published()}) {
    const at::Tensor back = DecodeBoxes(EncodeBoxes(boxes, references, coding), references, coding);
    EXPECT_LT(LargestDifference(back, boxes), 1e-10);
  }
}

TEST(Boxes, CodingEqualsTheFormula) {
  const at::Tensor boxes = SomeBoxes(3, 20), references = SomeBoxes(4, 20);
  const at::Tensor ours = EncodeBoxes(boxes, references, BoxCoding::TorchvisionHead());
  const at::Tensor published = EncodeBoxes(boxes, references, BoxCoding::Published());
  for (std::int64_t i = 0; i < 20; ++i) {
    std::array<double, 4> b{}, r{};
    for (std::size_t k = 0; k < 4; ++k) {
      b[k] = boxes[i][static_cast<std::int64_t>(k)].item<double>();
      r[k] = references[i][static_cast<std::int64_t>(k)].item<double>();
    }
    const double rw = r[2] - r[0], rh = r[3] - r[1];
    const double dx = ((b[0] + b[2]) / 2 - (r[0] + r[2]) / 2) / rw, dy = ((b[1] + b[3]) / 2 - (r[1] + r[3]) / 2) / rh;
    const double dw = std::log((b[2] - b[0]) / rw), dh = std::log((b[3] - b[1]) / rh);
    EXPECT_NEAR(ours[i][0].item<double>(), 10 * dx, 1e-11);
    EXPECT_NEAR(ours[i][1].item<double>(), 10 * dy, 1e-11);
    EXPECT_NEAR(ours[i][2].item<double>(), 5 * dw, 1e-11);
    EXPECT_NEAR(ours[i][3].item<double>(), 5 * dh, 1e-11);
    // The published code divides by standard deviations, and has y before x.
    EXPECT_NEAR(published[i][0].item<double>(), dy / 0.1, 1e-11);
    EXPECT_NEAR(published[i][1].item<double>(), dx / 0.1, 1e-11);
    EXPECT_NEAR(published[i][2].item<double>(), dh / 0.2, 1e-11);
    EXPECT_NEAR(published[i][3].item<double>(), dw / 0.2, 1e-11);
  }
}

// torchvision 0.28.0: BoxCoder((10, 10, 5, 5)) on float32, printed by training_reference.py.
TEST(Boxes, CodingEqualsTorchvision) {
  const at::Tensor references = at::tensor({10.F, 20.F, 50.F, 44.F, 0.F, 0.F, 16.F, 32.F}).view({2, 4});
  const at::Tensor boxes = at::tensor({14.F, 18.F, 60.F, 50.F, 3.F, 1.F, 12.F, 40.F}).view({2, 4});
  const at::Tensor deltas =
      at::tensor({1.75F, 0.83333331F, 0.69880962F, 1.4384105F, -0.3125F, 1.40625F, -2.8768208F, 0.98912871F})
          .view({2, 4});
  EXPECT_LT(LargestDifference(EncodeBoxes(boxes, references, BoxCoding::TorchvisionHead()), deltas), 2e-6);
  // A width of e^20 references is held at 1000 / 16 of them.
  const at::Tensor wild = at::tensor({1.F, -2.F, 100.F, 0.5F, 0.3F, 0.7F, -1.F, 200.F}).view({2, 4});
  const at::Tensor decoded =
      at::tensor({-1216.0001F, 13.937949F, 1284.0001F, 40.462051F, 1.9301534F, -981.76007F, 15.029846F, 1018.2401F})
          .view({2, 4});
  EXPECT_LT(LargestDifference(DecodeBoxes(wild, references, BoxCoding::TorchvisionHead()), decoded), 2e-4);
}

TEST(Boxes, AHeadWithClassesDecodesEachAgainstTheSameReference) {
  const at::Tensor deltas = Units(5, {6, 3, 4}, 0) - 0.5, references = SomeBoxes(6, 6);
  const at::Tensor all = DecodeBoxes(deltas, references.unsqueeze(1), BoxCoding::TorchvisionHead());
  for (std::int64_t k = 0; k < 3; ++k) {
    EXPECT_EQ(
        LargestDifference(all.select(1, k), DecodeBoxes(deltas.select(1, k), references, BoxCoding::TorchvisionHead())),
        0.0);
  }
}

TEST(Boxes, AreClippedToThePicture) {
  const at::Tensor boxes = at::tensor({-3.0, 5.0, 120.0, 90.0, 10.0, -9.0, 20.0, -2.0}).view({2, 4});
  const at::Tensor expected = at::tensor({0.0, 5.0, 100.0, 80.0, 10.0, 0.0, 20.0, 0.0}).view({2, 4});
  EXPECT_TRUE(at::equal(ClipBoxes(boxes, 80, 100), expected));
}

TEST(Boxes, AreKeptIfBothSidesAreLargeEnough) {
  const at::Tensor boxes =
      at::tensor({0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.9, 9.0, 5.0, 5.0, 9.0, 6.9, 1.0, 1.0, 8.0, 8.0}).view({4, 4});
  EXPECT_TRUE(at::equal(PlacesOfLargeBoxes(boxes, 2.0), at::tensor({0, 3}, at::kLong)));
  EXPECT_EQ(PlacesOfLargeBoxes(at::empty({0, 4}), 2.0).numel(), 0);
}

TEST(Boxes, OfAnotherFormAreRefused) {
  const at::Tensor good = SomeBoxes(1, 2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "[N,4]", (void)IouMatrix(at::zeros({2, 5}), good));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "[N,4]", (void)BoxAreas(at::zeros({2, 4}, at::kLong)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one reference box", (void)EncodeBoxes(good, SomeBoxes(1, 3), {}));
}

}  // namespace
}  // namespace hemafed::learning
