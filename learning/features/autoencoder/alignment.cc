// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/alignment.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "domain alignment: " + problem);
}

void RequireMatrix(const at::Tensor& latents) {
  if (latents.dim() != 2 || latents.size(1) < 1 || !latents.is_floating_point()) {
    Fail("latents must be a matrix with one row a sample");
  }
}

// 1/2 [KL(P, Q) + KL(Q, P)] = 1/2 mean (P - Q) (log P - log Q).
at::Tensor SymmetricDivergence(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor log_p = at::log_softmax(a, 0);
  const at::Tensor log_q = at::log_softmax(b, 0);
  return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).mean() * 0.5;
}

// The rows of one domain, if there are two.
std::optional<LatentStatistics> StatisticsOfDomain(const at::Tensor& latents, std::span<const std::uint32_t> domain_of,
                                                   std::uint32_t domain) {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < domain_of.size(); ++i) {
    if (domain_of[i] == domain) rows.push_back(static_cast<std::int64_t>(i));
  }
  if (rows.size() < 2) return std::nullopt;
  return StatisticsOf(latents.index_select(0, at::tensor(rows, at::kLong).to(latents.device())));
}

void RequireOneDomainEach(const at::Tensor& latents, std::span<const std::uint32_t> domain_of,
                          std::span<const std::uint32_t> domains) {
  RequireMatrix(latents);
  if (static_cast<std::size_t>(latents.size(0)) != domain_of.size()) {
    Fail(std::to_string(latents.size(0)) + " samples have " + std::to_string(domain_of.size()) + " domains");
  }
  for (const std::uint32_t domain : domain_of) {
    if (std::find(domains.begin(), domains.end(), domain) == domains.end()) {
      Fail("a sample is of domain " + std::to_string(domain) + ", which is not among those to be aligned");
    }
  }
}

void AddTerm(DomainTerm& sum, const at::Tensor& loss) {
  sum.loss = sum.terms == 0 ? loss : sum.loss + loss;
  ++sum.terms;
}

DomainTerm Finished(DomainTerm sum, const at::Tensor& like) {
  if (sum.terms == 0) sum.loss = at::zeros({}, like.options().requires_grad(false));
  return sum;
}

}  // namespace

LatentStatistics StatisticsOf(const at::Tensor& latents) {
  RequireMatrix(latents);
  if (latents.size(0) < 2) Fail("a covariance needs two samples, there is " + std::to_string(latents.size(0)));
  const at::Tensor mean = latents.mean(0);
  const at::Tensor centred = latents - mean;
  return {mean, centred.t().mm(centred) / static_cast<double>(latents.size(0) - 1)};
}

LatentStatistics StatisticsOf(const LatentMoments& moments, const at::Tensor& like) {
  const auto width = static_cast<std::int64_t>(moments.width());
  at::Tensor mean = at::empty({width}, at::kDouble);
  at::Tensor covariance = at::empty({width, width}, at::kDouble);
  double* means = mean.mutable_data_ptr<double>();
  double* covariances = covariance.mutable_data_ptr<double>();
  for (std::uint32_t i = 0; i < moments.width(); ++i) {
    means[i] = moments.Mean(i);
    for (std::uint32_t j = 0; j < moments.width(); ++j) {
      covariances[std::size_t{i} * moments.width() + j] = moments.Covariance(i, j);
    }
  }
  return {mean.to(like.device(), like.scalar_type()), covariance.to(like.device(), like.scalar_type())};
}

LatentMoments MomentsOf(const at::Tensor& latents) {
  RequireMatrix(latents);
  const at::Tensor values = latents.detach().to(at::kCPU, at::kFloat).contiguous();
  if (values.size(1) > kMaxLatentWidth) Fail("latents have more than " + std::to_string(kMaxLatentWidth) + " values");
  const auto width = static_cast<std::size_t>(values.size(1));
  LatentMoments moments(static_cast<std::uint32_t>(width));
  const float* cell = values.const_data_ptr<float>();
  for (std::int64_t i = 0; i < values.size(0); ++i, cell += width) moments.AddCell({cell, width});
  return moments;
}

at::Tensor AlignmentOf(const LatentStatistics& a, const LatentStatistics& b) {
  if (a.mean.sizes() != b.mean.sizes()) {
    Fail("latents of " + std::to_string(a.mean.numel()) + " and of " + std::to_string(b.mean.numel()) +
         " values cannot be compared");
  }
  return (a.mean - b.mean).square().mean() + SymmetricDivergence(a.covariance, b.covariance);
}

at::Tensor NormalAlignmentOf(const LatentStatistics& domain) {
  const at::Tensor identity = at::eye(domain.mean.numel(), domain.covariance.options().requires_grad(false));
  return domain.mean.abs().mean() + SymmetricDivergence(domain.covariance, identity);
}

DomainTerm AlignDomains(const at::Tensor& latents, std::span<const std::uint32_t> domain_of, std::uint32_t source,
                        std::span<const std::uint32_t> domains) {
  RequireOneDomainEach(latents, domain_of, domains);
  if (std::find(domains.begin(), domains.end(), source) == domains.end()) {
    Fail("the source domain " + std::to_string(source) + " is not among those to be aligned");
  }
  DomainTerm sum;
  const std::optional<LatentStatistics> first = StatisticsOfDomain(latents, domain_of, source);
  for (const std::uint32_t domain : domains) {
    if (domain == source) continue;
    const std::optional<LatentStatistics> other =
        first ? StatisticsOfDomain(latents, domain_of, domain) : std::optional<LatentStatistics>();
    if (!other) {
      ++sum.skipped;
      continue;
    }
    AddTerm(sum, AlignmentOf(*first, *other));
  }
  return Finished(std::move(sum), latents);
}

DomainTerm AlignWithNormal(const at::Tensor& latents, std::span<const std::uint32_t> domain_of,
                           std::span<const std::uint32_t> domains) {
  RequireOneDomainEach(latents, domain_of, domains);
  DomainTerm sum;
  for (const std::uint32_t domain : domains) {
    const std::optional<LatentStatistics> statistics = StatisticsOfDomain(latents, domain_of, domain);
    if (!statistics) {
      ++sum.skipped;
      continue;
    }
    AddTerm(sum, NormalAlignmentOf(*statistics));
  }
  return Finished(std::move(sum), latents);
}

DomainTerm AlignWithPublished(const at::Tensor& latents, std::uint32_t own, std::uint32_t source,
                              std::span<const PublishedDomain> published) {
  RequireMatrix(latents);
  const bool is_source = own == source;
  if (!is_source && std::none_of(published.begin(), published.end(),
                                 [&](const PublishedDomain& other) { return other.domain == source; })) {
    Fail("the moments of the source domain " + std::to_string(source) + " were not published");
  }
  DomainTerm sum;
  std::optional<LatentStatistics> mine;
  if (latents.size(0) >= 2) mine = StatisticsOf(latents);
  for (const PublishedDomain& other : published) {
    if (other.domain == own || (!is_source && other.domain != source)) continue;
    if (other.moments.width() != static_cast<std::uint32_t>(latents.size(1))) {
      Fail("the published moments of domain " + std::to_string(other.domain) + " are of " +
           std::to_string(other.moments.width()) + " values, the latents have " + std::to_string(latents.size(1)));
    }
    if (!mine || other.moments.cells() < 2) {
      ++sum.skipped;
      continue;
    }
    AddTerm(sum, AlignmentOf(*mine, StatisticsOf(other.moments, latents)));
  }
  return Finished(std::move(sum), latents);
}

}  // namespace hemafed::learning
