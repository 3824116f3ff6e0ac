// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/two_samples.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "codec/exact.h"
#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

// Kernel values lie in 0..1 and are kept as whole multiples of 2^-30: 16 million of them fit 64 bits.
constexpr double kKernelGrid = 1u << 30;

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "comparison of two samples: " + problem);
}

void RequireNotStopped(const StopQuestion& stop) {
  if (stop && stop()) {
    throw Error(ErrorCode::kInterrupted, "the comparison of two samples was stopped; run the same command again");
  }
}

void Check(const FeatureMatrix& x, const FeatureMatrix& y, const TwoSampleSettings& settings) {
  RequireUsable(x, "the first sample");
  RequireUsable(y, "the second sample");
  if (x.columns != y.columns)
    Fail("one has " + std::to_string(x.columns) + " features, the other " + std::to_string(y.columns));
  if (settings.rows_max < kMinTwoSampleRows || settings.rows_max > kMaxTwoSampleRows)
    Fail("rows_max must be " + std::to_string(kMinTwoSampleRows) + " to " + std::to_string(kMaxTwoSampleRows));
  if (settings.median_rows < kMinTwoSampleRows || settings.median_rows > kMaxTwoSampleRows)
    Fail("median_rows must be " + std::to_string(kMinTwoSampleRows) + " to " + std::to_string(kMaxTwoSampleRows));
  if (settings.permutations < 1 || settings.permutations > kMaxPermutations)
    Fail("there must be 1 to " + std::to_string(kMaxPermutations) + " permutations");
  const std::size_t fewest = std::min(x.rows, y.rows);
  if (fewest < kMinTwoSampleRows)
    Fail(std::to_string(fewest) + " rows are too few to say anything; at least " + std::to_string(kMinTwoSampleRows) +
         " are needed");
}

FeatureMatrix Pool(const FeatureMatrix& x, const FeatureMatrix& y) {
  FeatureMatrix pool = x;
  pool.rows += y.rows;
  pool.values.insert(pool.values.end(), y.values.begin(), y.values.end());
  return pool;
}

double MedianSquaredDistance(const FeatureMatrix& pool, const TwoSampleSettings& settings, const StopQuestion& stop) {
  const auto rows = DrawRows(pool.rows, settings.median_rows, settings.seed, 2);
  std::vector<double> distances;
  distances.reserve(rows.size() * (rows.size() - 1) / 2);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    RequireNotStopped(stop);
    for (std::size_t j = 0; j < i; ++j) distances.push_back(SquaredDistance(pool.Row(rows[i]), pool.Row(rows[j])));
  }
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>((distances.size() - 1) / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  if (!(*middle > 0)) Fail("more than half of the pairs of rows are equal; the features are constant or nearly so");
  return *middle;
}

// The lower triangle of kernel values and what every division into two samples needs.
class Kernel {
 public:
  Kernel(const FeatureMatrix& pool, double bandwidth_squared, const StopQuestion& stop)
      : rows_(pool.rows), values_(rows_ * rows_), row_sums_(rows_), mask_(rows_) {
    for (std::size_t i = 0; i < rows_; ++i) {
      RequireNotStopped(stop);
      for (std::size_t j = 0; j < i; ++j) {
        const double value = std::exp(-SquaredDistance(pool.Row(i), pool.Row(j)) / (2 * bandwidth_squared));
        const auto whole = static_cast<std::uint32_t>(RoundHalfEven(value * kKernelGrid));
        values_[i * rows_ + j] = whole;
        row_sums_[i] += whole;
        row_sums_[j] += whole;
        total_ += whole;
      }
    }
  }

  struct Sums {
    std::uint64_t within_x = 0, within_y = 0, across = 0;  // Unordered pairs.
  };

  // Of the division whose first sample is `x`.
  Sums Divide(std::span<const std::uint32_t> x) {
    std::fill(mask_.begin(), mask_.end(), 0u);
    for (const std::uint32_t i : x) mask_[i] = ~0u;
    Sums sums;
    std::uint64_t touching = 0;  // Pairs within x counted twice, pairs across once.
    for (const std::uint32_t i : x) {
      touching += row_sums_[i];
      const std::uint32_t* row = values_.data() + std::size_t{i} * rows_;
      std::uint64_t sum = 0;
      for (std::size_t j = 0; j < i; ++j) sum += row[j] & mask_[j];
      sums.within_x += sum;
    }
    sums.across = touching - 2 * sums.within_x;
    sums.within_y = total_ - sums.within_x - sums.across;
    return sums;
  }

 private:
  std::size_t rows_;
  std::vector<std::uint32_t> values_;
  std::vector<std::uint64_t> row_sums_;
  std::vector<std::uint32_t> mask_;
  std::uint64_t total_ = 0;
};

// unbiased * n m (n-1) (m-1) / 2 on the grid: an integer that orders divisions as the statistic does. Below 2^52 each
// sum, below 2^22 its factor.
Int128 Statistic(const Kernel::Sums& sums, std::uint64_t n, std::uint64_t m) {
  return static_cast<Int128>(sums.within_x) * static_cast<Int128>(m * (m - 1)) +
         static_cast<Int128>(sums.within_y) * static_cast<Int128>(n * (n - 1)) -
         static_cast<Int128>(sums.across) * static_cast<Int128>((n - 1) * (m - 1));
}

}  // namespace

TwoSampleResult CompareSamples(const FeatureMatrix& x, const FeatureMatrix& y, const TwoSampleSettings& settings,
                               const StopQuestion& stop) {
  Check(x, y, settings);
  const FeatureMatrix used_x = TakeRows(x, DrawRows(x.rows, settings.rows_max, settings.seed, 0));
  const FeatureMatrix used_y = TakeRows(y, DrawRows(y.rows, settings.rows_max, settings.seed, 1));
  const FeatureMatrix pool = Pool(used_x, used_y);
  TwoSampleResult result{.rows_x = used_x.rows, .rows_y = used_y.rows};
  result.bandwidth_squared = MedianSquaredDistance(pool, settings, stop);

  Kernel kernel(pool, result.bandwidth_squared, stop);
  std::vector<std::uint32_t> first(used_x.rows);
  for (std::uint32_t i = 0; i < first.size(); ++i) first[i] = i;
  const Kernel::Sums sums = kernel.Divide(first);
  const Int128 observed = Statistic(sums, used_x.rows, used_y.rows);

  const auto n = static_cast<double>(used_x.rows);
  const auto m = static_cast<double>(used_y.rows);
  const double xx = 2 * (static_cast<double>(sums.within_x) / kKernelGrid);
  const double yy = 2 * (static_cast<double>(sums.within_y) / kKernelGrid);
  const double xy = 2 * (static_cast<double>(sums.across) / kKernelGrid);
  result.unbiased = xx / (n * (n - 1)) + yy / (m * (m - 1)) - xy / (n * m);
  result.biased = (xx + n) / (n * n) + (yy + m) / (m * m) - xy / (n * m);

  const std::uint64_t stream_seed = DeriveSeed(settings.seed, "drift permutation 1");
  for (std::uint32_t r = 0; r < settings.permutations; ++r) {
    RequireNotStopped(stop);
    RandomStream random(stream_seed, r);
    std::vector<std::uint32_t> order = Permutation(static_cast<std::uint32_t>(pool.rows), random);
    order.resize(used_x.rows);
    if (Statistic(kernel.Divide(order), used_x.rows, used_y.rows) >= observed) ++result.p_numerator;
  }
  result.p_denominator = settings.permutations + 1;
  return result;
}

}  // namespace hemafed::learning
