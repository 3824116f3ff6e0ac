// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/target_sampling.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "common/error.h"
#include "learning/features/detection/target_matching.h"

namespace hemafed::learning {

namespace {

// `count` of the places, ascending: the first steps of a Fisher-Yates shuffle.
std::vector<std::int64_t> Choose(std::vector<std::int64_t> places, std::int64_t count, RandomStream& random) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto left = static_cast<std::uint32_t>(static_cast<std::int64_t>(places.size()) - i);
    std::swap(places[static_cast<std::size_t>(i)], places[static_cast<std::size_t>(i + random.NextBelow(left))]);
  }
  places.resize(static_cast<std::size_t>(count));
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

at::Tensor SampledTargets::All() const { return at::cat({positive, negative}); }

SampledTargets SampleTargets(const at::Tensor& matches, const SampleRule& rule, RandomStream& random) {
  if (rule.count < 1 || !(rule.positive_share > 0.0 && rule.positive_share < 1.0)) {
    throw Error(ErrorCode::kInvalidInput, "sampling rule: needs count >= 1 and 0 < positive_share < 1");
  }
  if (matches.dim() != 1 || matches.scalar_type() != at::kLong || matches.size(0) > INT32_MAX) {
    throw Error(ErrorCode::kInvalidInput, "matches must be an int64 vector of at most 2^31 - 1 candidates");
  }
  const at::Tensor here = matches.cpu().contiguous();
  const auto* values = here.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> positive, negative;
  for (std::int64_t i = 0; i < here.numel(); ++i) {
    if (values[i] >= 0) positive.push_back(i);
    if (values[i] == kBackground) negative.push_back(i);
  }
  const auto most = static_cast<std::int64_t>(std::floor(static_cast<double>(rule.count) * rule.positive_share));
  const std::int64_t positives = std::min(static_cast<std::int64_t>(positive.size()), most);
  std::int64_t wanted = rule.count - positives;
  if (rule.keep_share) {
    // The published code divides in float32, where 66 / 0.33 is exactly 200; a hair is added to say the same in
    // float64.
    const double whole = static_cast<double>(positives) / rule.positive_share;
    wanted = static_cast<std::int64_t>(std::floor(whole + 1e-6)) - positives;
  }
  const std::int64_t negatives = std::min(static_cast<std::int64_t>(negative.size()), wanted);
  positive = Choose(std::move(positive), positives, random);
  negative = Choose(std::move(negative), negatives, random);
  const auto to_tensor = [&](const std::vector<std::int64_t>& places) {
    return at::tensor(places, at::kLong).to(matches.device());
  };
  return {to_tensor(positive), to_tensor(negative)};
}

}  // namespace hemafed::learning
