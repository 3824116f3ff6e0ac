// SPDX-License-Identifier: Apache-2.0
//
// Alignment against loops in double precision, and federated alignment against the central one.
#include "learning/features/autoencoder/alignment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/expect_error.h"
#include "tests/learning/features/autoencoder/gradient_check.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using testing_support::ExpectGradient;
using testing_support::LargestDifference;
using testing_support::Units;

using Domains = std::vector<std::uint32_t>;
using Matrix = std::vector<std::vector<double>>;

at::Tensor Latents(std::uint64_t seed, std::int64_t cells, std::int64_t size, double low, double high) {
  return Units(seed, {cells, size}, 0) * (high - low) + low;
}

struct SlowStatistics {
  std::vector<double> mean;
  Matrix p;  // Softmax over rows: each column adds up to 1.
};

void SoftmaxColumns(Matrix& m) {
  for (std::size_t j = 0; j < m.size(); ++j) {
    double sum = 0.0;
    for (std::size_t i = 0; i < m.size(); ++i) sum += std::exp(m[i][j]);
    for (std::size_t i = 0; i < m.size(); ++i) m[i][j] = std::exp(m[i][j]) / sum;
  }
}

SlowStatistics Slow(const at::Tensor& latents) {
  const auto n = static_cast<std::size_t>(latents.size(0)), d = static_cast<std::size_t>(latents.size(1));
  const auto z = latents.accessor<double, 2>();
  const auto at_place = [&](std::size_t k, std::size_t i) {
    return z[static_cast<std::int64_t>(k)][static_cast<std::int64_t>(i)];
  };
  SlowStatistics statistics{std::vector<double>(d), Matrix(d, std::vector<double>(d))};
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t k = 0; k < n; ++k) statistics.mean[i] += at_place(k, i) / static_cast<double>(n);
  }
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t k = 0; k < n; ++k) {
        statistics.p[i][j] += (at_place(k, i) - statistics.mean[i]) * (at_place(k, j) - statistics.mean[j]);
      }
      statistics.p[i][j] /= static_cast<double>(n - 1);
    }
  }
  SoftmaxColumns(statistics.p);
  return statistics;
}

double SlowDivergence(const Matrix& p, const Matrix& q) {
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < p.size(); ++j) sum += p[i][j] * std::log(p[i][j] / q[i][j]);
  }
  return sum / static_cast<double>(p.size() * p.size());
}

double SlowAlignment(const at::Tensor& a, const at::Tensor& b) {
  const SlowStatistics s = Slow(a), t = Slow(b);
  double distance = 0.0;
  for (std::size_t i = 0; i < s.mean.size(); ++i) distance += (s.mean[i] - t.mean[i]) * (s.mean[i] - t.mean[i]);
  return distance / static_cast<double>(s.mean.size()) + (SlowDivergence(s.p, t.p) + SlowDivergence(t.p, s.p)) / 2;
}

TEST(Alignment, EqualsTheSlowDefinition) {
  struct Case {
    std::int64_t a, b, size;
    double scale;
  };
  for (const Case& c : std::vector<Case>{{2, 2, 5, 1}, {9, 7, 50, 1}, {40, 3, 13, 1}, {6, 5, 8, 30}}) {
    const at::Tensor a = Latents(1, c.a, c.size, -c.scale, c.scale), b = Latents(2, c.b, c.size, -0.4, c.scale);
    const double want = SlowAlignment(a, b);
    EXPECT_NEAR(AlignmentOf(StatisticsOf(a), StatisticsOf(b)).item<double>(), want, 1e-12 * (1 + want));
    EXPECT_NEAR(AlignmentOf(StatisticsOf(a.to(at::kFloat)), StatisticsOf(b.to(at::kFloat))).item<double>(), want,
                2e-5 * (1 + want));
  }
}

// autoencoder_reference.py: torch.cov, torch.log_softmax.
TEST(Alignment, AgreesWithAnotherImplementation) {
  const at::Tensor a = 2 * Units(43, {9, 50}, 0) - 1, b = 1.2 * Units(44, {7, 50}, 0) - 0.5;
  EXPECT_NEAR(AlignmentOf(StatisticsOf(a), StatisticsOf(b)).item<double>(), 0.0416074638, 1e-10);
}

TEST(Alignment, IsSymmetricAndZeroForEqualBatches) {
  const at::Tensor a = Latents(1, 12, 20, -1, 1), b = Latents(2, 9, 20, -0.5, 1);
  const LatentStatistics s = StatisticsOf(a), t = StatisticsOf(b);
  EXPECT_EQ(AlignmentOf(s, t).item<double>(), AlignmentOf(t, s).item<double>());
  EXPECT_EQ(AlignmentOf(s, s).item<double>(), 0.0);
  EXPECT_GT(AlignmentOf(s, t).item<double>(), 0.0);
  // Which softmax, over rows or over columns, is a convention: the matrix is symmetric.
  EXPECT_LT(LargestDifference(s.covariance, s.covariance.t()), 1e-16);
}

TEST(Alignment, HasTheGradientOfItsDefinition) {
  const at::Tensor a = Latents(1, 6, 9, -1, 1), b = Latents(2, 5, 9, -0.5, 1);
  const LatentStatistics other = StatisticsOf(b);
  ExpectGradient(a, [&](const at::Tensor& t) { return 10 * AlignmentOf(StatisticsOf(t), other); });
  ExpectGradient(a, [&](const at::Tensor& t) { return 10 * AlignmentOf(other, StatisticsOf(t)); });
  ExpectGradient(a, [&](const at::Tensor& t) { return 10 * NormalAlignmentOf(StatisticsOf(t)); });
  const at::Tensor all = at::cat({a, b});
  const Domains of = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1};
  ExpectGradient(
      all,
      [&](const at::Tensor& t) {
        return 10 * AlignDomains(t, of, 1, Domains{0, 1, 2}).loss;
      },
      99);
  ExpectGradient(
      all,
      [&](const at::Tensor& t) {
        return 10 * AlignWithNormal(t, of, Domains{0, 1, 2}).loss;
      },
      99);
}

TEST(Alignment, WithTheNormalDistributionEqualsTheSlowDefinition) {
  const at::Tensor a = Latents(1, 6, 9, -1, 1);
  const SlowStatistics s = Slow(a);
  Matrix identity(9, std::vector<double>(9));
  for (std::size_t i = 0; i < 9; ++i) identity[i][i] = 1.0;
  SoftmaxColumns(identity);
  double want = (SlowDivergence(s.p, identity) + SlowDivergence(identity, s.p)) / 2;
  for (const double mean : s.mean) want += std::abs(mean) / 9;
  EXPECT_NEAR(NormalAlignmentOf(StatisticsOf(a)).item<double>(), want, 1e-13);
}

TEST(AlignDomains, SumsThePairsOfTheSourceAndEveryOtherDomain) {
  const at::Tensor a = Latents(1, 4, 6, -1, 1), b = Latents(2, 3, 6, 0, 1), c = Latents(3, 2, 6, -1, 0);
  // Rows mixed: c a b a a b c b a.
  const at::Tensor mixed = at::cat({c.narrow(0, 0, 1), a.narrow(0, 0, 1), b.narrow(0, 0, 1), a.narrow(0, 1, 2),
                                    b.narrow(0, 1, 1), c.narrow(0, 1, 1), b.narrow(0, 2, 1), a.narrow(0, 3, 1)});
  const Domains of = {9, 4, 5, 4, 4, 5, 9, 5, 4};
  const DomainTerm from_a = AlignDomains(mixed, of, 4, Domains{4, 5, 9});
  EXPECT_NEAR(from_a.loss.item<double>(), SlowAlignment(a, b) + SlowAlignment(a, c), 1e-13);
  EXPECT_EQ(from_a.terms, 2u);
  EXPECT_EQ(from_a.skipped, 0u);
  const DomainTerm from_c = AlignDomains(mixed, of, 9, Domains{4, 5, 9});
  EXPECT_NEAR(from_c.loss.item<double>(), SlowAlignment(c, a) + SlowAlignment(c, b), 1e-13);
}

TEST(AlignDomains, SkipsAndCountsADomainWithFewerThanTwoSamples) {
  const at::Tensor z = Latents(1, 6, 6, -1, 1).requires_grad_(true);
  const Domains all = {0, 1, 2};
  const Domains none_of_two = {0, 0, 1, 0, 1, 0};
  const DomainTerm missing = AlignDomains(z, none_of_two, 0, all);
  EXPECT_EQ(missing.terms, 1u);
  EXPECT_EQ(missing.skipped, 1u);
  EXPECT_TRUE(std::isfinite(missing.loss.item<double>()));
  const Domains one_of_two = {0, 0, 1, 0, 1, 2};
  EXPECT_EQ(AlignDomains(z, one_of_two, 0, all).skipped, 1u);
  const Domains one_of_source = {0, 1, 1, 1, 2, 2};
  const DomainTerm nothing = AlignDomains(z, one_of_source, 0, all);
  EXPECT_EQ(nothing.terms, 0u);
  EXPECT_EQ(nothing.skipped, 2u);
  EXPECT_EQ(nothing.loss.item<double>(), 0.0);
  EXPECT_FALSE(nothing.loss.requires_grad());
  const DomainTerm normal = AlignWithNormal(z, one_of_source, all);
  EXPECT_EQ(normal.terms, 2u);
  EXPECT_EQ(normal.skipped, 1u);
}

TEST(AlignDomains, RefusesWhatDoesNotFit) {
  const at::Tensor z = Latents(1, 4, 6, -1, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "4 samples have 3 domains",
               (void)AlignDomains(z, Domains{0, 0, 1}, 0, Domains{0, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of domain 7", (void)AlignDomains(z, Domains{0, 0, 1, 7}, 0, Domains{0, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "source domain 3",
               (void)AlignDomains(z, Domains{0, 0, 1, 1}, 3, Domains{0, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "needs two samples", (void)StatisticsOf(z.narrow(0, 0, 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "one row a sample", (void)StatisticsOf(z[0]));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be compared",
               (void)AlignmentOf(StatisticsOf(z), StatisticsOf(z.narrow(1, 0, 5))));
}

// Three hospitals, latents of an encoder that ends in a tanh: near the borders too.
struct Consortium {
  std::vector<at::Tensor> latents;  // Of whole domains, float32.
  std::vector<PublishedDomain> published;
  at::Tensor all;
  Domains domain_of;
};

Consortium ThreeHospitals(std::int64_t size) {
  Consortium consortium;
  const std::vector<std::int64_t> cells = {61, 40, 23};
  for (std::uint32_t domain = 0; domain < 3; ++domain) {
    const at::Tensor z = at::tanh(Latents(10 + domain, cells[domain], size, -2.0 + domain, 3.0)).to(at::kFloat);
    consortium.latents.push_back(z);
    consortium.published.push_back({domain, MomentsOf(z)});
    consortium.domain_of.insert(consortium.domain_of.end(), static_cast<std::size_t>(cells[domain]), domain);
  }
  consortium.all = at::cat(consortium.latents);
  return consortium;
}

TEST(FederatedAlignment, ThroughPublishedMomentsEqualsTheCentralLoss) {
  for (const std::int64_t size : {5, 50, 200}) {
    const Consortium c = ThreeHospitals(size);
    const double central = AlignDomains(c.all, c.domain_of, 0, Domains{0, 1, 2}).loss.item<double>();
    ASSERT_GT(central, 0.01);
    const DomainTerm at_source = AlignWithPublished(c.latents[0], 0, 0, c.published);
    EXPECT_EQ(at_source.terms, 2u);
    EXPECT_NEAR(at_source.loss.item<double>(), central, 1e-5) << size;
    const double others = AlignWithPublished(c.latents[1], 1, 0, c.published).loss.item<double>() +
                          AlignWithPublished(c.latents[2], 2, 0, c.published).loss.item<double>();
    EXPECT_NEAR(others, central, 1e-5) << size;
    // Of moments alone, without any latents.
    const LatentStatistics s = StatisticsOf(c.published[0].moments, c.all);
    const double of_moments = (AlignmentOf(s, StatisticsOf(c.published[1].moments, c.all)) +
                               AlignmentOf(s, StatisticsOf(c.published[2].moments, c.all)))
                                  .item<double>();
    EXPECT_NEAR(of_moments, central, 1e-5) << size;
  }
}

TEST(FederatedAlignment, TheSitesGradientsAreTheCentralOne) {
  const Consortium c = ThreeHospitals(50);
  at::Tensor central = c.all.to(at::kDouble).requires_grad_(true);
  AlignDomains(central, c.domain_of, 0, Domains{0, 1, 2}).loss.backward();
  std::vector<at::Tensor> parts;
  for (std::uint32_t domain = 0; domain < 3; ++domain) {
    at::Tensor own = c.latents[domain].to(at::kDouble).requires_grad_(true);
    AlignWithPublished(own, domain, 0, c.published).loss.backward();
    parts.push_back(own.grad());
  }
  const double largest = central.grad().abs().max().item<double>();
  ASSERT_GT(largest, 1e-5);
  EXPECT_LT(LargestDifference(at::cat(parts), central.grad()), 1e-3 * largest);
  EXPECT_LT(LargestDifference(at::cat(parts), central.grad()), 1e-5);
}

TEST(FederatedAlignment, SeveralSitesOfOneDomainAreAddedExactly) {
  const Consortium c = ThreeHospitals(20);
  LatentMoments merged = MomentsOf(c.latents[0].narrow(0, 30, 31));
  merged.Add(MomentsOf(c.latents[0].narrow(0, 0, 30)));
  EXPECT_EQ(merged.Hash(), c.published[0].moments.Hash());
}

TEST(FederatedAlignment, StatisticsOfMomentsAreThoseOfTheLatents) {
  const Consortium c = ThreeHospitals(20);
  const LatentStatistics want = StatisticsOf(c.latents[1].to(at::kDouble));
  const LatentStatistics got = StatisticsOf(c.published[1].moments, want.mean);
  EXPECT_LT(LargestDifference(got.mean, want.mean), 0x1p-17);
  EXPECT_LT(LargestDifference(got.covariance, want.covariance), 4 * 0x1p-17);
}

TEST(FederatedAlignment, SkipsSmallBatchesAndRefusesWhatDoesNotFit) {
  const Consortium c = ThreeHospitals(20);
  const DomainTerm small = AlignWithPublished(c.latents[0].narrow(0, 0, 1), 0, 0, c.published);
  EXPECT_EQ(small.terms, 0u);
  EXPECT_EQ(small.skipped, 2u);
  const std::vector<PublishedDomain> without_source = {c.published[1], c.published[2]};
  EXPECT_ERROR(ErrorCode::kInvalidInput, "source domain 0 were not published",
               (void)AlignWithPublished(c.latents[1], 1, 0, without_source));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "are of 20 values, the latents have 19",
               (void)AlignWithPublished(c.latents[1].narrow(1, 0, 19), 1, 0, c.published));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not between -1 and 1", (void)MomentsOf(2 * c.latents[0]));
}

}  // namespace
}  // namespace hemafed::learning
