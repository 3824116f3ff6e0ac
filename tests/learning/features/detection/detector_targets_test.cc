// SPDX-License-Identifier: Apache-2.0
//
// Matching, sampling and mask targets: against slow loops and against torchvision's numbers (training_reference.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "learning/features/detection/boxes.h"
#include "learning/features/detection/mask_targets.h"
#include "learning/features/detection/target_matching.h"
#include "learning/features/detection/target_sampling.h"
#include "tests/expect_error.h"
#include "tests/learning/features/detection/waves.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::Wave;
using testing_support::WaveBoxes;

std::vector<std::int64_t> Values(const at::Tensor& tensor) {
  const at::Tensor here = tensor.to(at::kLong).contiguous();
  const auto* data = here.const_data_ptr<std::int64_t>();
  return {data, data + here.numel()};
}

// --- matching ---

// torchvision 0.28.0: Matcher on the same boxes; all the places that are not given are background.
TEST(Matching, EqualsTorchvisionsMatcher) {
  const at::Tensor truth = WaveBoxes(3, 0.2), candidates = WaveBoxes(60, 0.5);
  const auto expect = [&](const MatchRule& rule, const std::map<std::int64_t, std::int64_t>& others) {
    const std::vector<std::int64_t> matches = Values(MatchBoxes(truth, candidates, rule));
    for (std::int64_t i = 0; i < 60; ++i) {
      const auto found = others.find(i);
      EXPECT_EQ(matches[static_cast<std::size_t>(i)], found == others.end() ? kBackground : found->second) << i;
    }
  };
  expect(MatchRule::Proposals(), {{0, -2}, {9, 1}, {39, -2}, {48, 0}, {53, -2}, {54, -2}, {56, 2}});
  expect(MatchRule::Head(), {{0, 0}, {39, 0}, {48, 0}});
}

TEST(Matching, TiesGoToTheFirstTrueBoxAndToEveryEqualCandidate) {
  const at::Tensor truth = at::tensor({0.F, 0.F, 10.F, 10.F, 0.F, 0.F, 10.F, 10.F}).view({2, 4});
  const at::Tensor candidates =
      at::tensor({0.F, 0.F, 10.F, 5.F, 0.F, 5.F, 10.F, 10.F, 0.F, 0.F, 2.F, 2.F}).view({3, 4});
  EXPECT_EQ(Values(MatchBoxes(truth, candidates, MatchRule::Proposals())), (std::vector<std::int64_t>{0, 0, -1}));
}

TEST(Matching, ATrueBoxThatNothingTouchesMakesNoCandidatePositive) {
  const at::Tensor truth = at::tensor({500.F, 500.F, 510.F, 510.F}).view({1, 4});
  for (const std::int64_t match : Values(MatchBoxes(truth, WaveBoxes(20, 0.1), MatchRule::Proposals()))) {
    EXPECT_EQ(match, kBackground);
  }
}

TEST(Matching, WithoutTrueBoxesEverythingIsBackground) {
  EXPECT_EQ(Values(MatchBoxes(at::empty({0, 4}), WaveBoxes(3, 0.1), MatchRule::Head())),
            (std::vector<std::int64_t>{-1, -1, -1}));
  EXPECT_EQ(MatchBoxes(WaveBoxes(3, 0.1), at::empty({0, 4}), MatchRule::Head()).numel(), 0);
}

TEST(Matching, ThresholdsOutOfOrderAreRefused) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "negative <= positive",
               (void)MatchBoxes(WaveBoxes(1, 0), WaveBoxes(2, 0), {0.3, 0.7, true}));
}

// --- sampling ---

at::Tensor SomeMatches(std::int64_t positives, std::int64_t background, std::int64_t ignored) {
  std::vector<std::int64_t> matches;
  for (std::int64_t i = 0; i < positives + background + ignored; ++i) {
    matches.push_back(i < ignored ? kIgnored : (i < ignored + positives ? i % 3 : kBackground));
  }
  return at::tensor(matches, at::kLong);
}

struct SampleCase {
  SampleRule rule;
  std::int64_t positives, background;           // there
  std::int64_t want_positives, want_negatives;  // sampled
};

TEST(Sampling, TakesAsManyAsTheRuleSays) {
  const std::vector<SampleCase> cases = {
      {SampleRule::Proposals(), 500, 5000, 128, 128},    {SampleRule::Proposals(), 10, 5000, 10, 246},
      {SampleRule::Proposals(), 10, 50, 10, 50},         {SampleRule::TorchvisionHead(), 200, 2000, 128, 384},
      {SampleRule::PublishedHead(), 200, 2000, 66, 134}, {SampleRule::PublishedHead(), 10, 2000, 10, 20},
      {SampleRule::PublishedHead(), 0, 2000, 0, 0},      {SampleRule::Proposals(), 0, 0, 0, 0},
  };
  for (const SampleCase& c : cases) {
    const at::Tensor matches = SomeMatches(c.positives, c.background, 40);
    RandomStream random(5, 1);
    const SampledTargets sampled = SampleTargets(matches, c.rule, random);
    EXPECT_EQ(sampled.positive.size(0), c.want_positives);
    EXPECT_EQ(sampled.negative.size(0), c.want_negatives);
    for (const std::int64_t i : Values(sampled.positive)) EXPECT_GE(matches[i].item<std::int64_t>(), 0);
    for (const std::int64_t i : Values(sampled.negative)) EXPECT_EQ(matches[i].item<std::int64_t>(), kBackground);
    const std::vector<std::int64_t> all = Values(sampled.All());
    EXPECT_EQ(std::set<std::int64_t>(all.begin(), all.end()).size(), all.size()) << "drawn twice";
  }
}

TEST(Sampling, DependsOnTheStreamAlone) {
  const at::Tensor matches = SomeMatches(300, 3000, 0);
  const auto draw = [&](std::uint64_t stream) {
    RandomStream random(5, stream);
    return SampleTargets(matches, SampleRule::Proposals(), random).All();
  };
  EXPECT_TRUE(at::equal(draw(1), draw(1)));
  EXPECT_FALSE(at::equal(draw(1), draw(2)));
}

TEST(Sampling, EveryCandidateHasTheSameChance) {
  // 40 of 100 positives, 2,000 times: each is drawn 800 times on average, standard deviation sqrt(2000 * .4 * .6) = 22.
  const at::Tensor matches = SomeMatches(100, 0, 0);
  std::vector<int> drawn(100, 0);
  for (std::uint64_t stream = 0; stream < 2000; ++stream) {
    RandomStream random(9, stream);
    for (const std::int64_t i : Values(SampleTargets(matches, {80, 0.5, false}, random).positive)) {
      ++drawn[static_cast<std::size_t>(i)];
    }
  }
  EXPECT_GT(*std::min_element(drawn.begin(), drawn.end()), 800 - 5 * 22);
  EXPECT_LT(*std::max_element(drawn.begin(), drawn.end()), 800 + 5 * 22);
}

// --- mask targets ---

// Two filled ellipses in 40 rows and 60 columns, as in training_reference.py.
at::Tensor Ellipses() {
  const at::Tensor rows = at::arange(40, at::kFloat).unsqueeze(1), columns = at::arange(60, at::kFloat);
  const at::Tensor one = ((rows - 18) / 12).square() + ((columns - 30) / 20).square() <= 1;
  const at::Tensor other = ((rows - 25) / 9).square() + ((columns - 12) / 7).square() <= 1;
  return at::stack({one, other}).to(at::kFloat);
}

at::Tensor Rois() {
  return at::tensor(
             {8.3F, 4.1F, 52.7F, 31.9F, 2.0F, 10.5F, 22.5F, 36.0F, -3.0F, -2.F, 61.F, 39.F, 20.2F, 18.8F, 20.9F, 19.1F})
      .view({4, 4});
}

// torchvision 0.28.0: project_masks_on_boxes, sums of each target and its row 6.
TEST(MaskTargets, EqualTorchvisions) {
  const at::Tensor targets =
      MaskTargets(Ellipses(), at::tensor({0, 1, 0, 0}, at::kLong), Rois(), 28, MaskSampling::kTorchvision);
  const std::array sums = {475.72034, 296.60635, 223.92471, 784.0};
  for (std::int64_t n = 0; n < 4; ++n) {
    EXPECT_NEAR(targets[n].sum().item<double>(), sums[static_cast<std::size_t>(n)], 2e-3);
  }
  const at::Tensor middle = at::tensor({0.093670346F, 0.40090948F, 0.4196434F, 0.4196434F, 0.50773329F, 0.93263757F,
                                        0.64245874F, 0.4196434F, 0.4196434F, 0.4196434F, 0.19108739F});
  const at::Tensor row = at::cat({at::zeros({8}), middle, at::zeros({9})});
  EXPECT_LT(LargestDifference(targets[1][6], row), 1e-5);
}

double Bilinear(const at::Tensor& mask, double y, double x) {
  const auto height = static_cast<double>(mask.size(0)), width = static_cast<double>(mask.size(1));
  if (y < -1 || y > height || x < -1 || x > width) return 0;
  y = std::clamp(y, 0.0, height - 1);
  x = std::clamp(x, 0.0, width - 1);
  const auto y0 = static_cast<std::int64_t>(y), x0 = static_cast<std::int64_t>(x);
  const std::int64_t y1 = std::min(y0 + 1, mask.size(0) - 1), x1 = std::min(x0 + 1, mask.size(1) - 1);
  const double fy = y - static_cast<double>(y0), fx = x - static_cast<double>(x0);
  const auto at_ = [&](std::int64_t r, std::int64_t c) { return mask[r][c].item<double>(); };
  return (1 - fy) * ((1 - fx) * at_(y0, x0) + fx * at_(y0, x1)) + fy * ((1 - fx) * at_(y1, x0) + fx * at_(y1, x1));
}

TEST(MaskTargets, AlignedEqualASlowLoopOverSamples) {
  const at::Tensor masks = Ellipses().to(at::kDouble), rois = Rois().to(at::kDouble);
  constexpr std::int64_t kSide = 7;
  const at::Tensor targets =
      MaskTargets(masks, at::tensor({0, 1, 0, 0}, at::kLong), rois, kSide, MaskSampling::kAligned);
  for (std::int64_t n = 0; n < 4; ++n) {
    const at::Tensor& mask = masks[n == 1 ? 1 : 0];
    const auto roi = [&](int k) { return rois[n][k].item<double>(); };
    const double bin_w = (roi(2) - roi(0)) / kSide, bin_h = (roi(3) - roi(1)) / kSide;
    const int across = std::max(1, static_cast<int>(std::ceil(bin_w)));
    const int down = std::max(1, static_cast<int>(std::ceil(bin_h)));
    for (std::int64_t i = 0; i < kSide; ++i) {
      for (std::int64_t j = 0; j < kSide; ++j) {
        double sum = 0;
        for (int a = 0; a < down; ++a) {
          for (int b = 0; b < across; ++b) {
            sum += Bilinear(mask, roi(1) - 0.5 + (static_cast<double>(i) + (a + 0.5) / down) * bin_h,
                            roi(0) - 0.5 + (static_cast<double>(j) + (b + 0.5) / across) * bin_w);
          }
        }
        EXPECT_NEAR(targets[n][i][j].item<double>(), sum / (across * down), 1e-12) << n << " " << i << " " << j;
      }
    }
  }
}

TEST(MaskTargets, AlignedOnesOfAMirroredMaskAreMirrored) {
  const at::Tensor mask = Ellipses().slice(0, 0, 1);
  const at::Tensor roi = at::tensor({7.F, 3.F, 40.F, 31.F}).view({1, 4});
  const at::Tensor mirrored_roi = at::tensor({20.F, 3.F, 53.F, 31.F}).view({1, 4});  // of 60 columns
  const at::Tensor owner = at::zeros({1}, at::kLong);
  const at::Tensor plain = MaskTargets(mask, owner, roi, 28, MaskSampling::kAligned);
  const at::Tensor mirrored = MaskTargets(mask.flip({2}), owner, mirrored_roi, 28, MaskSampling::kAligned);
  EXPECT_LT(LargestDifference(mirrored, plain.flip({2})), 1e-5);
}

// Published rule: the check of the publication, 8 rows, y from 0.25 to 0.75 of the frame, 3 samples:
// rows 1.75, 3.5, 5.25.
TEST(MaskTargets, PublishedOnesSampleWhereTheCodeDoes) {
  const at::Tensor mask = (at::arange(8, at::kFloat).unsqueeze(1) >= 2).expand({8, 8}).to(at::kFloat).unsqueeze(0);
  const at::Tensor roi = at::tensor({2.F, 2.F, 6.F, 6.F}).view({1, 4});
  const at::Tensor crop = MaskTargets(mask, at::zeros({1}, at::kLong), roi, 3, MaskSampling::kPublished);
  // Row 1.75 is a quarter from row 1 (0) and three quarters from row 2 (1): 0.75, which rounds to 1; row 1.4 would not.
  EXPECT_TRUE(at::equal(crop[0], at::ones({3, 3})));
  const at::Tensor higher = at::tensor({2.F, 1.6F, 6.F, 6.F}).view({1, 4});
  EXPECT_TRUE(at::equal(MaskTargets(mask, at::zeros({1}, at::kLong), higher, 3, MaskSampling::kPublished)[0][0],
                        at::zeros({3})));
}

TEST(MaskTargets, OfNoRoiAreNone) {
  EXPECT_EQ(MaskTargets(Ellipses(), at::empty({0}, at::kLong), at::empty({0, 4}), 28, MaskSampling::kAligned).sizes(),
            (std::vector<std::int64_t>{0, 28, 28}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one owner",
               (void)MaskTargets(Ellipses(), at::empty({1}, at::kLong), Rois(), 28, MaskSampling::kAligned));
}

}  // namespace
}  // namespace hemafed::learning
