// SPDX-License-Identifier: Apache-2.0
#include "learning/models/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Uniform;

TEST(SamePadding, CoversTheInputWithCeilOfLengthOverStridePlaces) {
  for (const int kernel : {1, 3, 5}) {
    for (const int stride : {1, 2}) {
      for (std::int64_t length = 1; length <= 40; ++length) {
        const SamePadding padding = SamePaddingOf(length, kernel, stride);
        std::int64_t places = 0;  // As TensorFlow says it: one place for each stride that begins inside the input.
        for (std::int64_t start = 0; start < length; start += stride) ++places;
        EXPECT_EQ(padding.out, places);
        // The window of the last place ends with the last padded pixel, unless no zeros are needed at all.
        const std::int64_t padded = length + padding.before + padding.after;
        const std::int64_t used = (places - 1) * stride + kernel;
        EXPECT_TRUE(padded == used || (padded == length && used < length)) << length << " " << kernel << " " << stride;
        EXPECT_TRUE(padding.after == padding.before || padding.after == padding.before + 1);
      }
    }
  }
  // Known cases: even side and stride 2 pad one more behind; odd side pads alike.
  EXPECT_EQ(SamePaddingOf(224, 3, 2).before, 0);
  EXPECT_EQ(SamePaddingOf(224, 3, 2).after, 1);
  EXPECT_EQ(SamePaddingOf(125, 3, 2).before, 1);
  EXPECT_EQ(SamePaddingOf(125, 3, 2).after, 1);
}

// Depthwise convolution, one output value at a time, with the clamp if asked for.
at::Tensor SlowDepthwise(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, int stride, bool relu6) {
  const int kernel = static_cast<int>(w.size(2));
  const SamePadding rows = SamePaddingOf(x.size(2), kernel, stride);
  const SamePadding columns = SamePaddingOf(x.size(3), kernel, stride);
  at::Tensor y = at::empty({x.size(0), x.size(1), rows.out, columns.out}, at::kDouble);
  const auto in = x.accessor<double, 4>();
  const auto weight = w.accessor<double, 4>();
  auto out = y.accessor<double, 4>();
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    for (std::int64_t c = 0; c < x.size(1); ++c) {
      for (std::int64_t p = 0; p < rows.out; ++p) {
        for (std::int64_t q = 0; q < columns.out; ++q) {
          double sum = b[c].item<double>();
          for (int i = 0; i < kernel; ++i) {
            for (int j = 0; j < kernel; ++j) {
              const std::int64_t row = p * stride + i - rows.before;
              const std::int64_t column = q * stride + j - columns.before;
              if (row < 0 || row >= x.size(2) || column < 0 || column >= x.size(3)) continue;
              sum += in[n][c][row][column] * weight[c][0][i][j];
            }
          }
          out[n][c][p][q] = relu6 ? std::clamp(sum, 0.0, 6.0) : sum;
        }
      }
    }
  }
  return y;
}

struct DepthwiseCase {
  const char* name;
  std::int64_t channels, height, width;
  int kernel, stride;
};

class Depthwise : public testing::TestWithParam<DepthwiseCase> {
 protected:
  Depthwise() {
    const DepthwiseCase& c = GetParam();
    x_ = Uniform(1, {2, c.channels, c.height, c.width}, -2, 2, at::kDouble);
    w_ = Uniform(2, {c.channels, 1, c.kernel, c.kernel}, -1.5, 1.5, at::kDouble);
    b_ = Uniform(3, {c.channels}, -1, 2, at::kDouble);
  }

  at::Tensor x_, w_, b_;
};

TEST_P(Depthwise, EqualsASlowComputation) {
  const at::Tensor y = ConvolveSame(x_.to(at::kFloat), w_.to(at::kFloat), b_.to(at::kFloat), GetParam().stride,
                                    GetParam().channels, Activation::kRelu6);
  EXPECT_LT(LargestDifference(y, SlowDepthwise(x_, w_, b_, GetParam().stride, true)), 1e-5);
}

TEST_P(Depthwise, GradientsEqualThoseOfTheLibraryInFloat64) {
  const auto gradients = [&](at::ScalarType type) {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& value : {x_, w_, b_}) leaves.push_back(value.to(type).clone().requires_grad_());
    const at::Tensor y =
        ConvolveSame(leaves[0], leaves[1], leaves[2], GetParam().stride, GetParam().channels, Activation::kRelu6);
    // A different weight for each output, so that no two can be mixed up unseen.
    (y * Uniform(4, y.sizes().vec(), -1, 1, type)).sum().backward();
    return std::vector<at::Tensor>{leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
  };
  const std::vector<at::Tensor> own = gradients(at::kFloat);
  const std::vector<at::Tensor> library = gradients(at::kDouble);
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double scale = library[i].abs().max().item<double>();
    EXPECT_LT(LargestDifference(own[i], library[i]), 1e-5 * std::max(scale, 1.0)) << "gradient " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Depthwise,
                         testing::ValuesIn(std::vector<DepthwiseCase>{{"Even3", 32, 8, 8, 3, 1},
                                                                      {"Even3Stride2", 16, 8, 10, 3, 2},
                                                                      {"Odd3Stride2", 16, 7, 9, 3, 2},
                                                                      {"Even5", 48, 6, 6, 5, 1},
                                                                      {"Odd5", 16, 5, 7, 5, 1},
                                                                      {"Even5Stride2", 16, 12, 6, 5, 2},
                                                                      {"Odd5Stride2", 32, 9, 11, 5, 2},
                                                                      {"OnePixel5", 16, 1, 1, 5, 1},
                                                                      {"OnePixelStride2", 16, 1, 2, 3, 2},
                                                                      {"NarrowerThanKernel", 16, 3, 2, 5, 2},
                                                                      {"NotAMultipleOfTheTile", 20, 6, 6, 3, 1}}),
                         [](const auto& row) { return row.param.name; });

TEST(DepthwiseConvolution, BitsDoNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  std::vector<std::vector<at::Tensor>> results;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    std::vector<at::Tensor> leaves = {Uniform(1, {5, 48, 13, 11}, -2, 2).requires_grad_(),
                                      Uniform(2, {48, 1, 5, 5}, -1, 1).requires_grad_(),
                                      Uniform(3, {48}, -1, 2).requires_grad_()};
    const at::Tensor y = ConvolveSame(leaves[0], leaves[1], leaves[2], 1, 48, Activation::kRelu6);
    (y * y).sum().backward();
    results.push_back({y, leaves[0].grad(), leaves[1].grad(), leaves[2].grad()});
  }
  at::set_num_threads(before);
  for (std::size_t run = 1; run < results.size(); ++run) {
    for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(results[run][i], results[0][i])) << run << " " << i;
  }
}

TEST(DepthwiseConvolution, NotANumberStaysVisible) {
  at::Tensor x = at::zeros({1, 16, 4, 4});
  x[0][3][2][2] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = ConvolveSame(x, at::ones({16, 1, 3, 3}), at::zeros({16}), 1, 16, Activation::kRelu6);
  EXPECT_TRUE(y.isnan().any().item<bool>());
}

TEST(PointwiseConvolution, PadsOnlyWhereTheKernelNeedsIt) {
  const at::Tensor x = Uniform(5, {2, 3, 9, 8}, -1, 1);
  const at::Tensor w = Uniform(6, {4, 3, 1, 1}, -1, 1);
  const at::Tensor want = at::einsum("nchw,oc->nohw", {x, w.squeeze(3).squeeze(2)});
  EXPECT_LT(LargestDifference(ConvolveSame(x, w, {}, 1, 1, Activation::kNone), want), 1e-6);
}

TEST(FoldedBatchNorm, ValueAndGradientsEqualTheUnfoldedFormula) {
  const at::Tensor x = Uniform(1, {2, 3, 5, 5}, -1, 1, at::kDouble);
  const at::Tensor mean = Uniform(2, {4}, -1, 1, at::kDouble);
  const at::Tensor variance = Uniform(3, {4}, 0.5, 2, at::kDouble);
  std::vector<std::vector<at::Tensor>> gradients;
  std::vector<at::Tensor> values;
  for (const bool folded : {true, false}) {
    at::Tensor w = Uniform(4, {4, 3, 3, 3}, -1, 1, at::kDouble).requires_grad_();
    at::Tensor gamma = Uniform(5, {4}, 0.5, 2, at::kDouble).requires_grad_();
    at::Tensor beta = Uniform(6, {4}, -1, 1, at::kDouble).requires_grad_();
    at::Tensor y;
    if (folded) {
      const FoldedConvolution convolution = FoldBatchNorm(w, {gamma, beta, mean, variance}, 1e-3);
      y = at::conv2d(x, convolution.weight, convolution.bias);
    } else {
      y = at::batch_norm(at::conv2d(x, w), gamma, beta, mean, variance, /*training=*/false, 0.0, 1e-3, false);
    }
    (y * Uniform(7, y.sizes().vec(), -1, 1, at::kDouble)).sum().backward();
    values.push_back(y.detach());
    gradients.push_back({w.grad(), gamma.grad(), beta.grad()});
  }
  EXPECT_LT(LargestDifference(values[0], values[1]), 1e-12);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(LargestDifference(gradients[0][i], gradients[1][i]), 1e-11) << i;
}

TEST(StandardisedWeight, HasMeanZeroAndVarianceOneInEveryOutputChannel) {
  const at::Tensor w = StandardiseWeight(Uniform(1, {6, 4, 3, 3}, -3, 5, at::kDouble));
  for (std::int64_t c = 0; c < w.size(0); ++c) {
    EXPECT_NEAR(w[c].mean().item<double>(), 0.0, 1e-12);
    EXPECT_NEAR(w[c].square().mean().item<double>(), 1.0, 1e-9);
  }
}

}  // namespace
}  // namespace hemafed::learning
