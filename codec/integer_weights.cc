// SPDX-License-Identifier: Apache-2.0
#include "codec/integer_weights.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "codec/exact.h"
#include "codec/plan.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::ptrdiff_t kUpdatersForCap = 3;  // Of two sites one always has at least half.

// Shares as exact fractions numerator / denominator, one denominator for all.
struct Shares {
  std::vector<Int128> numerators;
  Int128 denominator = 1;
};

// Which sites the cap cuts, given that all of `positive` updaters together could hold everything under it.
Shares CappedShares(const std::vector<Int128>& amounts, std::int64_t cap) {
  std::vector<bool> cut(amounts.size(), false);
  for (;;) {
    std::int64_t cut_count = 0;
    Int128 others = 0;  // Of the sites that are not cut.
    for (std::size_t i = 0; i < amounts.size(); ++i) {
      cut_count += cut[i] ? 1 : 0;
      others += cut[i] ? 0 : amounts[i];
    }
    const Int128 rest = kMillion - cut_count * cap;  // What they share, in millionths.
    bool cut_more = false;
    for (std::size_t i = 0; i < amounts.size(); ++i) {
      if (!cut[i] && rest * amounts[i] > cap * others) cut[i] = cut_more = true;
    }
    if (cut_more) continue;

    Shares shares;
    shares.denominator = kMillion * others;
    for (std::size_t i = 0; i < amounts.size(); ++i) {
      shares.numerators.push_back(cut[i] ? cap * others : rest * amounts[i]);
    }
    return shares;
  }
}

}  // namespace

std::vector<std::uint32_t> IntegerWeights(const std::vector<std::uint64_t>& pictures, double max_share) {
  if (std::any_of(pictures.begin(), pictures.end(), [](std::uint64_t count) { return count > kMaxPictures; })) {
    throw Error(ErrorCode::kInvalidInput, "more pictures of one site than a plan allows");
  }
  return IntegerWeightsOfAmounts({pictures.begin(), pictures.end()}, max_share);
}

std::vector<std::uint32_t> IntegerWeightsOfAmounts(const std::vector<Int128>& amounts, double max_share) {
  if (!(max_share > 0 && max_share <= 1)) {
    throw Error(ErrorCode::kInvalidInput, "the largest share of a site must be above 0 and at most 1");
  }
  constexpr Int128 kLargest = static_cast<Int128>(1) << kMaxAmountBits;
  if (amounts.size() > kMaxSites ||
      std::any_of(amounts.begin(), amounts.end(), [](Int128 amount) { return amount < 0 || amount > kLargest; })) {
    throw Error(ErrorCode::kInvalidInput, "more sites than a plan allows, or an amount that is out of range");
  }
  const auto updaters = std::count_if(amounts.begin(), amounts.end(), [](Int128 amount) { return amount > 0; });
  if (updaters == 0) {
    throw Error(ErrorCode::kInvalidInput, "no update was made from any picture: there is nothing to weigh");
  }

  const auto cap = static_cast<std::int64_t>(RoundHalfEven(max_share * static_cast<double>(kMillion)));
  std::vector<Int128> counted = amounts;
  std::int64_t effective_cap = cap;
  if (updaters < kUpdatersForCap) effective_cap = kMillion;
  if (effective_cap * static_cast<std::int64_t>(updaters) < kMillion) {  // Equal shares are as low as it gets.
    for (Int128& count : counted) count = count > 0 ? 1 : 0;
    effective_cap = kMillion;
  }
  const Shares shares = CappedShares(counted, effective_cap);

  std::vector<std::uint32_t> weights(amounts.size());
  std::vector<Int128> remainders(amounts.size());
  std::uint32_t missing = kWeightSum;
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const Int128 scaled = shares.numerators[i] * static_cast<Int128>(kWeightSum);
    weights[i] = static_cast<std::uint32_t>(scaled / shares.denominator);
    remainders[i] = scaled % shares.denominator;
    missing -= weights[i];
  }
  std::vector<std::size_t> order(amounts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return remainders[a] > remainders[b]; });
  // Fewer units are missing than there are remainders above 0, so a site with nothing never gets one.
  for (std::size_t i = 0; i < missing; ++i) ++weights[order[i]];
  return weights;
}

}  // namespace hemafed
