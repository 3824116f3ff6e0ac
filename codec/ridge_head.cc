// SPDX-License-Identifier: Apache-2.0
#include "codec/ridge_head.h"

#include <algorithm>
#include <array>
#include <cfenv>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "codec/exact.h"
#include "codec/update.h"
#include "common/error.h"

#ifdef __FAST_MATH__
#error "fast-math reorders sums: the head would differ between machines"
#endif

namespace hemafed {

static_assert(FLT_EVAL_METHOD == 0, "doubles must be computed as doubles, not in wider registers");
static_assert(std::numeric_limits<double>::is_iec559);

namespace {

// Two doubles side by side, each computed as one is (an extension of gcc and clang; two registers' worth of work in one
// instruction on every x86-64).
typedef double Pair __attribute__((vector_size(16)));

// Side of the tile of elements that is kept in registers: 4 x 4 are eight of the sixteen that x86-64 has.
constexpr std::size_t kTile = 4;

// One link of the chain.
template <typename Value>
Value Subtract(Value from, Value left, Value right) {
  return from - left * right;
}

void RequirePlainArithmetic() {
  const auto fail = [](const std::string& what) {
    throw Error(ErrorCode::kInternal, "the analytic head cannot be solved reproducibly in this process: " + what);
  };
  if (std::fegetround() != FE_TONEAREST) fail("another rounding mode is set");
  volatile double smallest = DBL_MIN;
  if (smallest * 0.5 == 0) fail("denormal numbers are flushed to zero");
  // (1 + 2^-30)^2 = 1 + 2^-29 + 2^-60 rounds to 1 + 2^-29; a fused operation would see the 2^-60.
  volatile double factor = 1 + 0x1p-30, rounded = 1 + 0x1p-29;
  if (Subtract<double>(rounded, factor, factor) != 0) fail("it was compiled with fused multiply-add");
  const Pair pair = Subtract(Pair{rounded, rounded}, Pair{factor, factor}, Pair{factor, factor});
  if (pair[0] != 0 || pair[1] != 0) fail("it was compiled with fused multiply-add");
}

Pair Load(const double* from) {
  Pair pair;
  std::memcpy(&pair, from, sizeof(pair));
  return pair;
}

// Rows k0 .. k1-1 of U from column k1 on, as strips of kTile columns: strip s holds steps x kTile values. Columns
// beyond n are zero. Rows of a matrix whose width is a power of two would all lie in the same few lines of the cache.
void Pack(const double* matrix, std::size_t n, std::size_t k0, std::size_t k1, std::vector<double>& strips) {
  const std::size_t steps = k1 - k0;
  const std::size_t columns = n - k1;
  strips.assign((columns + kTile - 1) / kTile * kTile * steps, 0.0);
  for (std::size_t k = 0; k < steps; ++k) {
    const double* row = matrix + (k0 + k) * n + k1;
    for (std::size_t j = 0; j < columns; ++j) strips[(j / kTile * steps + k) * kTile + j % kTile] = row[j];
  }
}

// a_ij -= u_ki u_kj for all k of the strips in ascending order, for a tile of elements a_ij.
void UpdateTile(const double* left, const double* right, std::size_t steps, double* tile, std::size_t stride,
                std::size_t rows, std::size_t columns) {
  std::array<std::array<double, kTile>, kTile> edge{};
  const bool whole = rows == kTile && columns == kTile;
  if (!whole) {
    for (std::size_t i = 0; i < rows; ++i) std::copy_n(tile + i * stride, columns, edge[i].begin());
  }
  const auto row = [&](std::size_t i) { return whole ? tile + i * stride : edge[i].data(); };
  std::array<Pair, kTile> low, high;
  for (std::size_t i = 0; i < kTile; ++i) {
    low[i] = Load(row(i));
    high[i] = Load(row(i) + 2);
  }
  for (std::size_t k = 0; k < steps; ++k, left += kTile, right += kTile) {
    const Pair right_low = Load(right), right_high = Load(right + 2);
    for (std::size_t i = 0; i < kTile; ++i) {
      const Pair factor{left[i], left[i]};
      low[i] = Subtract(low[i], factor, right_low);
      high[i] = Subtract(high[i], factor, right_high);
    }
  }
  for (std::size_t i = 0; i < kTile; ++i) {
    std::memcpy(row(i), &low[i], sizeof(Pair));
    std::memcpy(row(i) + 2, &high[i], sizeof(Pair));
  }
  if (!whole) {
    for (std::size_t i = 0; i < rows; ++i) std::copy_n(edge[i].begin(), columns, tile + i * stride);
  }
}

// The steps k0 .. k1-1 on rows k0 .. k1-1 themselves, which then are rows of U.
bool FactorRows(double* matrix, std::size_t n, std::size_t k0, std::size_t k1) {
  for (std::size_t i = k0; i < k1; ++i) {
    double* row = matrix + i * n;
    for (std::size_t k = k0; k < i; ++k) {
      const double* upper = matrix + k * n;
      const double factor = upper[i];
      for (std::size_t j = i; j < n; ++j) row[j] = Subtract(row[j], factor, upper[j]);
    }
    if (!(row[i] > 0) || !std::isfinite(row[i])) return false;
    const double root = std::sqrt(row[i]);
    row[i] = root;
    for (std::size_t j = i + 1; j < n; ++j) row[j] /= root;
  }
  return true;
}

std::int64_t RidgeSteps(double ridge) {
  const double steps = std::isfinite(ridge) ? RoundHalfEven(std::ldexp(ridge, kRidgeBits)) : 0;
  if (!(steps >= 1) || ridge > kMaxRidge) {
    throw Error(ErrorCode::kInvalidInput,
                "the ridge of the analytic head is " + std::to_string(ridge) + "; it must be from 2^-20 to 2^40");
  }
  return static_cast<std::int64_t>(steps);
}

}  // namespace

bool CholeskyUpper(std::span<double> matrix, std::size_t n, std::size_t block) {
  if (block == 0 || matrix.size() != n * n) throw Error(ErrorCode::kInternal, "CholeskyUpper: sizes do not fit");
  std::vector<double> strips;
  for (std::size_t k0 = 0; k0 < n; k0 += block) {
    const std::size_t k1 = std::min(n, k0 + block);
    if (!FactorRows(matrix.data(), n, k0, k1)) return false;
    Pack(matrix.data(), n, k0, k1, strips);
    const std::size_t steps = k1 - k0;
    for (std::size_t i = k1; i < n; i += kTile) {
      const double* left = &strips[(i - k1) / kTile * kTile * steps];
      for (std::size_t j = i; j < n; j += kTile) {
        UpdateTile(left, &strips[(j - k1) / kTile * kTile * steps], steps, &matrix[i * n + j], n,
                   std::min(kTile, n - i), std::min(kTile, n - j));
      }
    }
  }
  return true;
}

void SolveCholesky(std::span<const double> upper, std::size_t n, std::span<double> right, std::size_t columns) {
  if (upper.size() != n * n || right.size() != n * columns) {
    throw Error(ErrorCode::kInternal, "SolveCholesky: sizes do not fit");
  }
  const auto subtract = [&](std::size_t to, double factor, std::size_t from) {
    for (std::size_t c = 0; c < columns; ++c) {
      right[to * columns + c] = Subtract(right[to * columns + c], factor, right[from * columns + c]);
    }
  };
  const auto divide = [&](std::size_t row) {
    for (std::size_t c = 0; c < columns; ++c) right[row * columns + c] /= upper[row * n + row];
  };
  for (std::size_t k = 0; k < n; ++k) {  // U^T Y = B
    divide(k);
    for (std::size_t i = k + 1; i < n; ++i) subtract(i, upper[k * n + i], k);
  }
  for (std::size_t i = n; i-- > 0;) {  // U X = Y
    for (std::size_t k = i + 1; k < n; ++k) subtract(i, upper[i * n + k], k);
    divide(i);
  }
}

bool SolvesRidge(const FeatureSums& sums, double ridge, const RidgeHead& head) {
  const std::int64_t ridge_steps = RidgeSteps(ridge);
  const std::size_t m = sums.features(), classes = sums.classes();
  const std::vector<std::int32_t>& weights = head.weights;
  if (head.features != m || head.classes != classes || weights.size() != m * classes) return false;
  std::vector<Int128> product(m * classes);  // sum_j A_ij w_jk: below 2^63 2^31 2^11.
  std::vector<Int128> row_sum(m);
  Int128 largest = 0;
  for (std::uint32_t i = 0; i < m; ++i) {
    const std::span<const std::int64_t> row = sums.MomentRow(i);
    largest = std::max<Int128>(largest, row[0] + ridge_steps);
    for (std::size_t j = i; j < m; ++j) {
      const Int128 value = j == i ? row[0] + ridge_steps : row[j - i];
      row_sum[i] += value;
      for (std::size_t k = 0; k < classes; ++k) product[i * classes + k] += value * weights[j * classes + k];
      if (j == i) continue;
      row_sum[j] += value;
      for (std::size_t k = 0; k < classes; ++k) product[j * classes + k] += value * weights[i * classes + k];
    }
  }
  for (std::size_t k = 0; k < classes; ++k) {
    Int128 weight_sum = 0;
    for (std::size_t j = 0; j < m; ++j) weight_sum += std::abs(std::int64_t{weights[j * classes + k]}) + 1;
    const Int128 solver_doubled = (largest * weight_sum) >> 39;
    for (std::uint32_t i = 0; i < m; ++i) {
      const Int128 target = static_cast<Int128>(sums.TargetRow(i)[k]) << (kFeatureGridBits + kGridBits);
      const Int128 residual = product[i * classes + k] - target;
      const Int128 doubled = 2 * (residual < 0 ? -residual : residual);
      if (doubled > row_sum[i] + solver_doubled) return false;
    }
  }
  return true;
}

RidgeHead SolveRidge(const FeatureSums& sums, double ridge) {
  RequirePlainArithmetic();
  const std::int64_t ridge_steps = RidgeSteps(ridge);
  if (const auto problem = sums.Implausible()) {
    throw Error(ErrorCode::kInvalidInput, "the analytic head cannot be solved: " + *problem);
  }
  const std::size_t m = sums.features(), classes = sums.classes();
  std::vector<double> matrix(m * m);
  std::vector<double> solution(m * classes);
  for (std::uint32_t i = 0; i < m; ++i) {
    const std::span<const std::int64_t> row = sums.MomentRow(i);
    // Integers above 2^53 are rounded once, half to even, like everything else.
    std::transform(row.begin(), row.end(), &matrix[i * m + i], [](std::int64_t v) { return static_cast<double>(v); });
    matrix[i * m + i] = static_cast<double>(row[0] + ridge_steps);
    for (std::size_t k = 0; k < classes; ++k) {
      solution[i * classes + k] = std::ldexp(static_cast<double>(sums.TargetRow(i)[k]), kFeatureGridBits);
    }
  }
  if (!CholeskyUpper(matrix, m)) {
    throw Error(ErrorCode::kInvalidInput,
                "the sums of the analytic head cannot be solved; a larger ridge makes them regular");
  }
  SolveCholesky(matrix, m, solution, classes);

  RidgeHead head{sums.features(), sums.classes(), std::vector<std::int32_t>(m * classes)};
  for (std::size_t i = 0; i < solution.size(); ++i) {
    const double steps = std::isfinite(solution[i]) ? RoundHalfEven(std::ldexp(solution[i], kGridBits)) : HUGE_VAL;
    if (!(std::abs(steps) <= std::numeric_limits<std::int32_t>::max())) {
      throw Error(ErrorCode::kInvalidInput, "the analytic head has the weight " + std::to_string(solution[i]) +
                                                ", beyond the grid's 512; a larger ridge makes weights smaller");
    }
    head.weights[i] = static_cast<std::int32_t>(steps);
  }
  if (!SolvesRidge(sums, ridge, head)) {
    throw Error(ErrorCode::kInternal,
                "the solution of the analytic head is wrong: its residual is beyond what rounding explains");
  }
  return head;
}

Digest RidgeHead::Hash() const {
  Bytes bytes(2 * sizeof(std::uint32_t) + weights.size() * sizeof(std::int32_t));
  StoreLittleEndian(features, bytes.data());
  StoreLittleEndian(classes, &bytes[sizeof(std::uint32_t)]);
  std::uint8_t* out = bytes.data() + 2 * sizeof(std::uint32_t);
  for (const std::int32_t weight : weights) {
    StoreLittleEndian(weight, out);
    out += sizeof(std::int32_t);
  }
  return Sha256Of(bytes);
}

std::vector<double> RidgeHead::Scores(std::span<const double> random_features) const {
  if (random_features.size() != features) throw Error(ErrorCode::kInternal, "RidgeHead: wrong number of features");
  std::vector<double> scores(classes);
  for (std::size_t i = 0; i < features; ++i) {
    for (std::size_t k = 0; k < classes; ++k) {
      scores[k] += random_features[i] * std::ldexp(static_cast<double>(weights[i * classes + k]), -kGridBits);
    }
  }
  return scores;
}

std::vector<std::int64_t> RidgeHead::ExactScores(std::span<const std::uint16_t> rounded) const {
  if (rounded.size() != features) throw Error(ErrorCode::kInternal, "RidgeHead: wrong number of features");
  // One product is below 2^47, so a sum of 2,048 is below 2^58.
  std::vector<std::int64_t> scores(classes);
  for (std::size_t i = 0; i < features; ++i) {
    const std::int64_t feature = rounded[i];
    for (std::size_t k = 0; k < classes; ++k) scores[k] += feature * weights[i * classes + k];
  }
  return scores;
}

std::vector<bool> RidgeHead::Learned() const {
  std::vector<bool> learned(classes);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) learned[i % classes] = true;
  }
  return learned;
}

}  // namespace hemafed
