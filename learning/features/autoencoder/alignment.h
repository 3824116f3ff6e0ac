// learning/features/autoencoder/alignment.h
// SPDX-License-Identifier: Apache-2.0
//
// Domain alignment of AE-CFE: latents of cells from different hospitals are drawn to the same mean and covariance
// (eq. 2.14 of the thesis in the form of its code; published-systems 3.4). For two domains a and b with means m and
// covariances S (divisor n - 1) of their latents in a batch:
//
//     A(a, b) = mean_i (m_a,i - m_b,i)^2 + 1/2 [KL(P_a, P_b) + KL(P_b, P_a)]
//     P = softmax of S over its rows, so that each column adds up to 1
//     KL(P, Q) = mean_ij P_ij (log P_ij - log Q_ij)
//
// The mean over all L x L entries is the code's; the textbook's sum is L^2 times as large. Computed from log_softmax,
// it is finite for all covariances. A is symmetric and 0 for equal batches. The published term is the sum of A(source,
// other) over the other domains, times beta = 5.
//
// "ND" variant (eq. 2.8): every domain is drawn to the standard normal distribution instead of to the source,
//
//     sum over domains d of   mean_i |m_d,i| + 1/2 [KL(P_d, P_I) + KL(P_I, P_d)],     P_I = softmax of the identity
//
// A domain with fewer than two samples in a batch has no covariance (the published code gets NaN): pairs with it are
// skipped and counted, so that a report can say how often.
//
// Federated alignment: a hospital has its own cells alone, and of the others what codec/latent_moments.h carries. Its
// term is A between its batch and the published statistics, as constants: of the source, or for the source's own site
// of every other domain. The gradients of all sites' terms add up to the central one where batches are whole domains.
//
// Shapes: latents [n, L]; mean [L]; covariance [L, L]; losses are scalars, differentiable in latents.
//
// Errors: Error(kInvalidInput) for shapes or widths that do not fit, or fewer than two samples where two are needed.
// Thread-safety: free functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "codec/latent_moments.h"

namespace hemafed::learning {

inline constexpr double kPublishedAlignmentWeight = 5.0;  // beta

struct LatentStatistics {
  at::Tensor mean;
  at::Tensor covariance;
};

// Of at least two samples.
[[nodiscard]] LatentStatistics StatisticsOf(const at::Tensor& latents);
// Of what a site sent, in the type and on the device of `like`; at least two cells.
[[nodiscard]] LatentStatistics StatisticsOf(const LatentMoments& moments, const at::Tensor& like);
// The integers that a site sends for these latents, [n, L] in [-1, 1].
[[nodiscard]] LatentMoments MomentsOf(const at::Tensor& latents);

// A(a, b) above.
[[nodiscard]] at::Tensor AlignmentOf(const LatentStatistics& a, const LatentStatistics& b);
// One domain's term of the ND variant.
[[nodiscard]] at::Tensor NormalAlignmentOf(const LatentStatistics& domain);

struct DomainTerm {
  at::Tensor loss;          // 0 without a gradient where everything was skipped
  std::uint32_t terms = 0;  // summed in `loss`
  std::uint32_t skipped = 0;
};

// Both take one domain a sample. Pairs are formed of all domains of `domains`, whether they are in the batch or not.
[[nodiscard]] DomainTerm AlignDomains(const at::Tensor& latents, std::span<const std::uint32_t> domain_of,
                                      std::uint32_t source, std::span<const std::uint32_t> domains);
[[nodiscard]] DomainTerm AlignWithNormal(const at::Tensor& latents, std::span<const std::uint32_t> domain_of,
                                         std::span<const std::uint32_t> domains);

struct PublishedDomain {
  std::uint32_t domain;
  LatentMoments moments;
};

// `latents` are all of the domain `own`; a published entry for it is not used. kInvalidInput if `own` is not the source
// and the source is not published.
[[nodiscard]] DomainTerm AlignWithPublished(const at::Tensor& latents, std::uint32_t own, std::uint32_t source,
                                            std::span<const PublishedDomain> published);

}  // namespace hemafed::learning
