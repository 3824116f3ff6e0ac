// studies/ae_cfe/feature_source.h
// SPDX-License-Identifier: Apache-2.0
//
// An arm of the study: a way from pictures to features. Everything behind it (forest, matrix, maps, drift) is the same
// for all arms. An arm sees all domains at once, because an autoencoder is trained on all of them.
//
// Features may depend on the run's seed (a network trained anew for each) or not (imported weights); those that do not
// are extracted once. The study keeps what Extract returns as files (learning/features/latent/domain_features.h) and
// asks again only when MadeFrom has changed, so Extract need not remember anything; a long one should still resume.
//
// Errors: Error of any kind; kInterrupted when `talk` throws. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "learning/features/latent/domain_features.h"
#include "studies/ae_cfe/published_ae_cfe.h"

namespace hemafed::studies {

// What an arm says while it works: a few words, pictures done of all. Throws when the person stops.
using ArmTalk = std::function<void(const std::string& words, std::uint64_t done, std::uint64_t total)>;

// What tables say of an arm.
struct ArmDescription {
  std::string name;                         // plain name: of folders and columns
  std::string title;                        // for people
  std::optional<AeCfeMethod> published;     // whose published column stands beside it
  std::optional<std::uint32_t> bottleneck;  // size of the latent, where that is what the study varies
  std::optional<std::size_t> sweep_column;  // position in SweepColumns() that it repeats
};

class FeatureSource {
 public:
  virtual ~FeatureSource() = default;

  [[nodiscard]] virtual const ArmDescription& description() const = 0;
  [[nodiscard]] virtual bool DependsOnSeed() const { return false; }
  // One line of text that changes whenever the features would: settings, weights' digest, digests of the pictures'
  // indexes, and the seed where features depend on it. At most learning::kMaxMadeFromBytes.
  [[nodiscard]] virtual std::string MadeFrom(std::uint64_t seed) = 0;
  // Features of every domain of the study, in its order; all with the same classes and columns. `made_from` is filled
  // in by the caller.
  [[nodiscard]] virtual std::vector<learning::DomainFeatures> Extract(std::uint64_t seed, const ArmTalk& talk) = 0;
};

}  // namespace hemafed::studies
