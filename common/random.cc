// SPDX-License-Identifier: Apache-2.0
#include "common/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "common/bytes.h"
#include "common/sha256.h"

namespace hemafed {

PhiloxBlock Philox4x32(std::uint64_t seed, const PhiloxBlock& counter) noexcept {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  constexpr int kRounds = 10;

  PhiloxBlock x = counter;
  auto key0 = static_cast<std::uint32_t>(seed);
  auto key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = kMultiplier0 * x[0];
    const std::uint64_t product1 = kMultiplier1 * x[2];
    x = {static_cast<std::uint32_t>(product1 >> 32) ^ x[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ x[3] ^ key1, static_cast<std::uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return x;
}

std::uint64_t DeriveSeed(std::uint64_t seed, std::string_view purpose) {
  std::array<std::uint8_t, 8> bytes{};
  StoreLittleEndian(seed, bytes.data());
  const Digest digest = Sha256().Update(bytes).Update(purpose).Finish();
  return LoadLittleEndian<std::uint64_t>(digest.bytes.data());
}

RandomStream::RandomStream(std::uint64_t seed, std::uint64_t stream) noexcept
    : seed_(seed), counter_{0, 0, static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)} {}

std::uint32_t RandomStream::NextWord() noexcept {
  if (used_ == block_.size()) {
    block_ = Philox4x32(seed_, counter_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

double RandomStream::NextUnit() noexcept { return (NextWord() >> 8) * 0x1p-24; }

std::uint32_t RandomStream::NextBelow(std::uint32_t bound) noexcept {
  std::uint64_t product = static_cast<std::uint64_t>(NextWord()) * bound;
  const std::uint32_t threshold = (0u - bound) % bound;
  while (static_cast<std::uint32_t>(product) < threshold) product = static_cast<std::uint64_t>(NextWord()) * bound;
  return static_cast<std::uint32_t>(product >> 32);
}

double RandomStream::NextNormal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - NextUnit()));
  return radius * std::cos(2.0 * std::numbers::pi * NextUnit());
}

std::vector<std::uint32_t> Permutation(std::uint32_t count, RandomStream& random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.NextBelow(i)]);
  return order;
}

}  // namespace hemafed
