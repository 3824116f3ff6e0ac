// common/descriptor.h
// SPDX-License-Identifier: Apache-2.0
//
// Owner of one file descriptor, for the few places that talk to the kernel below FileSystem (isolation, supervision,
// files from a folder that someone else writes). Closes on destruction; a negative number owns nothing.
//
// Thread-safety: value type.
#pragma once

#include <unistd.h>

#include <utility>

namespace hemafed {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { Reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      Reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] bool valid() const { return number_ >= 0; }
  void Reset() {
    const int number = std::exchange(number_, -1);
    if (number >= 0) ::close(number);
  }

 private:
  int number_ = -1;
};

}  // namespace hemafed
