// site_agent/launcher/line_splitter.h
// SPDX-License-Identifier: Apache-2.0
//
// Cuts a program's output into lines for people: control characters but the tab become '?', a carriage return ends a
// line as a line feed does (a progress display that overwrites itself), an over-long line comes in pieces, empty lines
// are kept unless a carriage return made them.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace hemafed {

class LineSplitter {
 public:
  LineSplitter(std::size_t max_line_bytes, std::function<void(std::string_view)> sink)
      : max_line_bytes_(max_line_bytes), sink_(std::move(sink)) {}

  void Add(std::string_view text) {
    for (const char byte : text) {
      const bool line_feed = byte == '\n', carriage_return = byte == '\r';
      if (line_feed || carriage_return) {
        if (!line_.empty() || (line_feed && !after_return_)) Emit();
        after_return_ = carriage_return;
        continue;
      }
      after_return_ = false;
      const auto value = static_cast<unsigned char>(byte);
      line_.push_back((value < 0x20 && byte != '\t') || value == 0x7f ? '?' : byte);
      if (line_.size() >= max_line_bytes_) Emit();
    }
  }
  // The output has ended: passes on what is left without a line feed.
  void Finish() {
    if (!line_.empty()) Emit();
    after_return_ = false;
  }

 private:
  void Emit() {
    sink_(line_);
    line_.clear();
  }

  std::size_t max_line_bytes_;
  std::function<void(std::string_view)> sink_;
  std::string line_;
  bool after_return_ = false;
};

}  // namespace hemafed
