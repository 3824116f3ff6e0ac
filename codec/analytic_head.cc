// SPDX-License-Identifier: Apache-2.0
#include "codec/analytic_head.h"

#include <algorithm>
#include <array>
#include <limits>

#include "codec/plan.h"
#include "codec/update.h"
#include "common/error.h"

namespace hemafed {

namespace {

// Magic, version, grid, zero, M, K, seed, trunk: docs/feature_sums.md.
constexpr std::array<std::uint8_t, 4> kMagic{'H', 'F', 'R', '\n'};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFeaturesAt = 8, kClassesAt = 12, kSeedAt = 16, kTrunkAt = 24, kWeightsAt = 56;
// A weight of exactly -512 is none that the solve gives (codec/ridge_head.h).
constexpr std::int32_t kSmallestWeight = -std::numeric_limits<std::int32_t>::max();

}  // namespace

std::uint64_t AnalyticHeadBytes(std::uint32_t features, std::uint32_t classes) {
  return kWeightsAt + sizeof(std::int32_t) * std::uint64_t{features} * classes;
}

std::uint32_t AnalyticHead::Best(std::span<const std::int64_t> scores) const {
  const std::vector<bool> learned = weights.Learned();
  std::uint32_t best = 0;
  bool found = false;
  for (std::uint32_t k = 0; k < scores.size(); ++k) {
    if (!learned[k] || (found && scores[k] <= scores[best])) continue;
    best = k;
    found = true;
  }
  return best;
}

Bytes AnalyticHead::ToBytes() const {
  Bytes bytes(AnalyticHeadBytes(weights.features, weights.classes));
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  StoreLittleEndian(kVersion, &bytes[4]);
  bytes[6] = kGridBits;
  StoreLittleEndian(weights.features, &bytes[kFeaturesAt]);
  StoreLittleEndian(weights.classes, &bytes[kClassesAt]);
  StoreLittleEndian(seed, &bytes[kSeedAt]);
  std::copy(trunk.bytes.begin(), trunk.bytes.end(), bytes.begin() + kTrunkAt);
  std::uint8_t* out = bytes.data() + kWeightsAt;
  for (const std::int32_t weight : weights.weights) {
    StoreLittleEndian(weight, out);
    out += sizeof weight;
  }
  return bytes;
}

AnalyticHead AnalyticHead::FromBytes(ByteView bytes, std::uint32_t features, std::uint32_t classes,
                                     const std::string& where) {
  const auto fail = [&](const std::string& problem) -> void {
    throw Error(ErrorCode::kInvalidInput, "analytic head " + where + ": " + problem);
  };
  if (features == 0 || features > kMaxRandomFeatures || classes == 0 || classes > kMaxClasses) {
    fail("no head has the plan's " + std::to_string(features) + " features and " + std::to_string(classes) +
         " classes");
  }
  if (bytes.size() != AnalyticHeadBytes(features, classes)) {
    fail("has " + std::to_string(bytes.size()) + " bytes; one of " + std::to_string(features) + " features and " +
         std::to_string(classes) + " classes has " + std::to_string(AnalyticHeadBytes(features, classes)));
  }
  AnalyticHead head;
  head.seed = LoadLittleEndian<std::uint64_t>(&bytes[kSeedAt]);
  std::copy_n(bytes.begin() + kTrunkAt, head.trunk.bytes.size(), head.trunk.bytes.begin());
  head.weights = {features, classes, std::vector<std::int32_t>(std::size_t{features} * classes)};
  const std::uint8_t* in = bytes.data() + kWeightsAt;
  for (std::int32_t& weight : head.weights.weights) {
    weight = LoadLittleEndian<std::int32_t>(in);
    in += sizeof weight;
    if (weight < kSmallestWeight) fail("has a weight beyond the grid");
  }
  // Everything else is fixed: what is written again must be what was read.
  if (const Bytes again = head.ToBytes(); !std::equal(again.begin(), again.begin() + kWeightsAt, bytes.begin())) {
    fail("does not begin as one of this version and shape");
  }
  return head;
}

}  // namespace hemafed
