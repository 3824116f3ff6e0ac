// tests/fuzz/memory_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A file that is the fuzzer's input.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/file_system.h"

namespace hemafed::testing_support {

class MemoryFile final : public ReadableFile {
 public:
  explicit MemoryFile(ByteView content) : content_(content) {}
  [[nodiscard]] std::size_t ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= content_.size()) return 0;
    const std::size_t count = std::min<std::uint64_t>(out.size(), content_.size() - offset);
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  [[nodiscard]] std::uint64_t Size() const override { return content_.size(); }

 private:
  ByteView content_;
};

}  // namespace hemafed::testing_support
