// common/secret.h
// SPDX-License-Identifier: Apache-2.0
//
// Key material that forgets itself: fixed-size bytes that are overwritten when the object goes. Copies are allowed
// (keys are passed around as values) and each copy is overwritten too; what the caller filled the object from is the
// caller's to overwrite. Comparison is left out on purpose: whoever needs one must think about its timing.
//
// Errors: none. Thread-safety: value type.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace hemafed {

template <std::size_t kSize>
class Secret {
 public:
  static constexpr std::size_t kBytes = kSize;

  Secret() = default;
  explicit Secret(std::span<const std::uint8_t, kSize> bytes) { std::copy(bytes.begin(), bytes.end(), bytes_.begin()); }
  ~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;

  [[nodiscard]] std::span<const std::uint8_t, kSize> view() const { return bytes_; }
  [[nodiscard]] std::span<std::uint8_t, kSize> mutable_view() { return bytes_; }

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

}  // namespace hemafed
