// SPDX-License-Identifier: Apache-2.0
#include "common/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

namespace hemafed {

namespace {

// Titles and words may carry a site's name or a peer's text: control characters would let them move the cursor.
std::string Printable(std::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if ((c >= 0 && c < 0x20) || c == 0x7f) c = '?';
  }
  return printable;
}

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80; }

// The first `columns` characters of a UTF-8 text, taking each as one column wide.
std::string_view FirstColumns(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    if (!IsContinuationByte(text[end]) && seen++ == columns) break;
  }
  return text.substr(0, end);
}

std::string RateText(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, rate < 10 ? "%.1f" : "%.0f", rate);
  return text;
}

}  // namespace

std::string DurationText(std::int64_t seconds) {
  char text[48];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, "%lld s", static_cast<long long>(seconds));
  } else if (seconds < 3600) {
    std::snprintf(text, sizeof text, "%lld min %02lld s", static_cast<long long>(seconds / 60),
                  static_cast<long long>(seconds % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld h %02lld min", static_cast<long long>(seconds / 3600),
                  static_cast<long long>(seconds / 60 % 60));
  }
  return text;
}

void DescriptorOutput::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::size_t DescriptorOutput::Columns() const {
  constexpr std::size_t kUsualColumns = 80;  // For terminals that do not know, such as a serial console.
  if (::isatty(descriptor_) == 0) return 0;
  winsize size{};
  if (::ioctl(descriptor_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

Progress::~Progress() {
  // A phase that an exception cut short keeps its last state in view; the message that follows gets a line of its own.
  if (drawn_) output_->Write("\n");
}

void Progress::Begin(std::string_view title, std::uint64_t total, std::string_view unit, std::uint64_t done) {
  End();
  title_ = Printable(title);
  unit_ = Printable(unit);
  words_.clear();
  total_ = total;
  done_ = done;
  open_ = true;
  begin_ms_ = clock_->MonotonicMs();
  samples_.assign(1, {begin_ms_, done});
  if (output_->Columns() > 0) {
    Draw();
  } else {
    WriteLine(Line());
  }
}

void Progress::Update(std::uint64_t done, std::string_view words) {
  if (!open_) return;
  const std::int64_t now = clock_->MonotonicMs();
  done_ = done;
  words_ = Printable(words);
  if (now - samples_.back().first >= kRedrawMs) samples_.emplace_back(now, done);
  while (samples_.size() > 2 && samples_[1].first <= now - kRateWindowMs) samples_.pop_front();

  const bool terminal = output_->Columns() > 0;
  if (now - last_write_ms_ < (terminal ? kRedrawMs : kPlainLineMs)) return;
  if (terminal) {
    Draw();
  } else {
    WriteLine(Line());
  }
}

void Progress::End(std::string_view words) {
  if (!open_) return;
  open_ = false;
  if (!words.empty()) words_ = Printable(words);
  const std::int64_t spent_ms = clock_->MonotonicMs() - begin_ms_;
  std::string line =
      title_ + ": " + std::to_string(done_) + " " + unit_ + " in " + DurationText((spent_ms + 500) / 1000);
  if (!words_.empty()) line += ", " + words_;
  WriteLine(line);
}

void Progress::Note(std::string_view line) {
  WriteLine(Printable(line));
  if (open_ && output_->Columns() > 0) Draw();
}

double Progress::UnitsPerSecond() const {
  const auto& [first_ms, first_done] = samples_.front();
  const auto& [last_ms, last_done] = samples_.back();
  if (last_ms - first_ms < kRedrawMs || last_done <= first_done) return 0;
  return static_cast<double>(last_done - first_done) * 1000 / static_cast<double>(last_ms - first_ms);
}

std::string Progress::Line() const {
  std::string line = title_ + ": " + std::to_string(done_);
  if (total_ > 0) line += "/" + std::to_string(total_);
  line += " " + unit_;
  const double rate = UnitsPerSecond();
  if (rate > 0) line += ", " + RateText(rate) + "/s";
  if (rate > 0 && total_ > done_) {
    line +=
        ", " + DurationText(static_cast<std::int64_t>(std::ceil(static_cast<double>(total_ - done_) / rate))) + " left";
  }
  if (!words_.empty()) line += ", " + words_;
  return line;
}

void Progress::Draw() {
  Erase();
  // One column stays free: a terminal that wraps at the last one would scroll with every redraw.
  output_->Write(FirstColumns(Line(), std::max<std::size_t>(output_->Columns(), 2) - 1));
  drawn_ = true;
  last_write_ms_ = clock_->MonotonicMs();
}

void Progress::Erase() {
  if (drawn_) output_->Write("\r\x1b[K");
  drawn_ = false;
}

void Progress::WriteLine(const std::string& line) {
  Erase();
  output_->Write(line + "\n");
  last_write_ms_ = clock_->MonotonicMs();
}

}  // namespace hemafed
