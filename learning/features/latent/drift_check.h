// learning/features/latent/drift_check.h
// SPDX-License-Identifier: Apache-2.0
//
// Do a new hospital's pictures look like the consortium's? Asked before training, on latents, at the new hospital: only
// the report leaves. docs/drift_check.md has the report's fields and how to read it.
//
// Federated: the consortium's side is a sample drawn from published moments (gaussian_reference.h); no features of
// single cells travel in either direction. Real latents are not Gaussian, so with enough pictures p is small for every
// hospital. The size of the discrepancy is what tells: each member publishes its own from the same check, and the
// report says how many members are at least as far off. A hospital that is further than all of them is unlike the
// consortium; p says whether that could be chance.
//
// Central (studies, one machine): the consortium's side is its features.
//
// The report (codec/drift_report.h) holds integers only. Errors: those of two_samples.h and gaussian_reference.h;
// kInvalidInput for a seed above 2^53 - 1 or more than kMaxDriftMembers members. Thread-safety: free functions without
// state.
#pragma once

#include <cstdint>
#include <span>

#include "codec/drift_report.h"
#include "common/sha256.h"
#include "learning/features/latent/gaussian_reference.h"
#include "learning/features/latent/two_samples.h"

namespace hemafed::learning {

using hemafed::DriftReferenceKind;
using hemafed::DriftReport;

// DigestOfComponents (codec/latent_reference.h) of what it draws from.
[[nodiscard]] Digest ReferenceDigest(const GaussianReference& reference);

// `members`: unbiased discrepancies of the members' own reports, in millionths; may be empty. As many rows are drawn
// from the reference as the hospital has in the test. `stop` as in two_samples.h.
[[nodiscard]] DriftReport CheckDrift(const FeatureMatrix& own, const GaussianReference& reference,
                                     const TwoSampleSettings& settings = {}, std::span<const std::int64_t> members = {},
                                     const StopQuestion& stop = {});
[[nodiscard]] DriftReport CheckDrift(const FeatureMatrix& own, const FeatureMatrix& consortium,
                                     const TwoSampleSettings& settings = {}, std::span<const std::int64_t> members = {},
                                     const StopQuestion& stop = {});

}  // namespace hemafed::learning
