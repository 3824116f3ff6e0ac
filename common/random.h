// common/random.h
// SPDX-License-Identifier: Apache-2.0
//
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2,
// 3", SC 2011). A block of four words is a pure function of key and counter, so any program, in any order and on any
// number of threads, computes the same words for the same purpose. Nothing in this project draws from a hidden state.
//
// Key: the two halves of a 64-bit seed, low word first. Counter: four words whose meaning the caller documents.
// Streams that must not meet get different seeds from DeriveSeed.
//
// Thread-safety: Philox4x32 is a pure function; a RandomStream belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hemafed {

using PhiloxBlock = std::array<std::uint32_t, 4>;

[[nodiscard]] PhiloxBlock Philox4x32(std::uint64_t seed, const PhiloxBlock& counter) noexcept;

// A seed for one purpose: the first eight bytes, little-endian, of SHA-256(seed as 8 little-endian bytes, purpose).
[[nodiscard]] std::uint64_t DeriveSeed(std::uint64_t seed, std::string_view purpose);

// Successive words of one stream: blocks with counter (n, 0, stream low, stream high) for n = 0, 1, ...
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::uint64_t stream = 0) noexcept;

  [[nodiscard]] std::uint32_t NextWord() noexcept;
  // Uniform in [0, 1) with 24 random bits: exact in float and in double.
  [[nodiscard]] double NextUnit() noexcept;
  // Uniform in [low, high).
  [[nodiscard]] double NextBetween(double low, double high) noexcept { return low + (high - low) * NextUnit(); }
  // Uniform in 0 .. bound-1 without bias (Lemire's rejection); bound must be at least 1.
  [[nodiscard]] std::uint32_t NextBelow(std::uint32_t bound) noexcept;
  // Standard normal by Box-Muller; uses two words a call.
  [[nodiscard]] double NextNormal() noexcept;

 private:
  std::uint64_t seed_;
  PhiloxBlock counter_;
  PhiloxBlock block_{};
  unsigned used_ = 4;
};

// Fisher-Yates order of 0 .. count-1.
[[nodiscard]] std::vector<std::uint32_t> Permutation(std::uint32_t count, RandomStream& random);

}  // namespace hemafed
