// codec/ridge_head.h
// SPDX-License-Identifier: Apache-2.0
//
// The analytic head: ridge regression on one-hot labels, solved in closed form from integer sums (RanPAC, McDonnell et
// al., NeurIPS 2023, eq. 7; ACIL, Zhuang et al., NeurIPS 2022),
//
//     (G 2^-20 + ridge I) W = C 2^-10           G, C of codec/feature_sums.h;  W [M, K]
//
// Coordinator and auditor must get the same bytes from the same sums, on any machine. So the solve is ours:
//
//     A = G + r I,   r = round_half_even(ridge 2^20);   A = U^T U by Cholesky;   U^T Y = C 2^10,   U X = Y
//     W[i, k] = round_half_even(X[i, k] 2^22) as int32
//
// in double precision, each element by one fixed chain of operations: u_ij starts as a_ij, u_ki u_kj is subtracted for
// k = 0, 1, ..., i-1 in this order, then it is divided by u_ii (or, on the diagonal, its root is taken); the two
// substitutions likewise, ascending. IEEE 754 defines every product, difference, quotient and root to the last bit, so
// blocking, vectors of several elements and caches change nothing. What would change bits: a fused multiply-add, which
// rounds once instead of twice (hence -ffp-contract=off in cmake/HemafedTargets.cmake), reordered sums (hence no BLAS),
// another rounding mode, or denormals flushed to zero. Each solve begins by trying all but the reordering; the tests
// run this code compiled for processors with FMA too, and compare with a chain computed in Python.
//
// The result is checked exactly, in 128-bit integers: for every row i and class k, with w = W[i, k] as integers,
//
//     | sum_j A_ij w_jk - C_ik 2^32 |  <=  sum_j A_ij / 2  +  2^-40 max_j A_jj sum_j (|w_jk| + 1)
//
// The first term is the most that rounding W to its grid can cause. The second is what a Cholesky solve in double
// precision may leave behind: (A + E) X = B with |E_ij| <= (3M + 1) 2^-53 sqrt(A_ii A_jj) (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., theorem 10.4 with 10.7), which is below 2^-40 sqrt(A_ii A_jj) for M <=
// 2,048. So a correct solve passes, always.
//
// Sums are the same whatever the order of tasks, so W is too, and it is the W of one regression over all pictures:
// nothing is forgotten by the head itself.
//
// Time M^3 / 3 multiplications and as many subtractions; memory 8 M^2 bytes. One thread.
//
// Errors: kInvalidInput for a ridge out of range, a matrix that is not positive definite, or a weight of 512 or more:
// a larger ridge helps. kInternal if the arithmetic of the process is not as above, or the residual is too large.
// Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/feature_sums.h"
#include "common/sha256.h"

namespace hemafed {

// The ridge is taken as a multiple of 2^-20, the unit of G.
inline constexpr int kRidgeBits = 2 * kFeatureGridBits;
// Largest ridge: beyond it every weight is 0 for less than 10^9 pictures, and A still fits 63 bits.
inline constexpr double kMaxRidge = 0x1p40;

struct RidgeHead {
  std::uint32_t features = 0;         // M
  std::uint32_t classes = 0;          // K
  std::vector<std::int32_t> weights;  // [M, K], multiples of 2^-22 (kGridBits of codec/update.h)

  // SHA-256 of M and K as u32 and the weights, little-endian.
  [[nodiscard]] Digest Hash() const;
  // W^T phi for one picture's M features: the largest is the answer; not probabilities.
  [[nodiscard]] std::vector<double> Scores(std::span<const double> features) const;
  // The same for rounded features (RoundFeatures), exactly, in units of 2^-32: what consortia score with.
  [[nodiscard]] std::vector<std::int64_t> ExactScores(std::span<const std::uint16_t> rounded) const;
  // By class: whether any of its weights is not 0. A class of which nothing was summed has the score 0 for every
  // picture, which says nothing, so it is never the answer.
  [[nodiscard]] std::vector<bool> Learned() const;
  bool operator==(const RidgeHead&) const = default;
};

// `ridge` from 2^-20 to kMaxRidge.
[[nodiscard]] RidgeHead SolveRidge(const FeatureSums& sums, double ridge);

// Whether W passes the exact check above: what SolveRidge asks of its own result. False also for a wrong shape.
[[nodiscard]] bool SolvesRidge(const FeatureSums& sums, double ridge, const RidgeHead& head);

// U of the formula in place: `matrix` is n x n, row-major; the upper triangle is read and written, the lower one is
// left as scratch. `block` is how many steps of the chain are done at a time, for tests: it does not change a bit.
// False if a pivot is not positive.
[[nodiscard]] bool CholeskyUpper(std::span<double> matrix, std::size_t n, std::size_t block = 64);

// U^T U X = B in place of B [n, columns], row-major.
void SolveCholesky(std::span<const double> upper, std::size_t n, std::span<double> right, std::size_t columns);

}  // namespace hemafed
