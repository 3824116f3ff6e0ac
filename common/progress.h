// common/progress.h
// SPDX-License-Identifier: Apache-2.0
//
// Shows a person what a long operation is doing: phase, done of total, rate, time left and a few words. On a terminal
// one line is redrawn in place, at most ten times a second. Anywhere else (a file, a service's journal, CI) each phase
// gives a line when it begins and ends, and between them one every few seconds.
//
//     Progress progress(clock, output);
//     progress.Begin("task 1 round 3: training", batches, "pictures");
//     progress.Update(done, "loss 0.41");
//     progress.End("loss 0.38");
//
// Rate: units per second over the last kRateWindowMs, so that it follows a change of pace without jumping. Time left:
// (total - done) / rate. Both are left out until they are known.
//
// Errors: none of its own. Thread-safety: one thread. `clock` and `output` are borrowed and must outlive the object.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "common/clock.h"

namespace hemafed {

// Where lines go.
class ProgressOutput {
 public:
  virtual ~ProgressOutput() = default;
  virtual void Write(std::string_view text) = 0;
  // Columns of a terminal; 0 if this is not one.
  [[nodiscard]] virtual std::size_t Columns() const = 0;
};

// A file descriptor, normally 2 (standard error), asked each time whether it is a terminal and how wide. What cannot be
// written is dropped: progress is never worth failing for.
class DescriptorOutput final : public ProgressOutput {
 public:
  explicit DescriptorOutput(int descriptor = 2) : descriptor_(descriptor) {}
  void Write(std::string_view text) override;
  [[nodiscard]] std::size_t Columns() const override;

 private:
  int descriptor_;
};

class Progress {
 public:
  static constexpr std::int64_t kRedrawMs = 100;       // Faster is not seen, only paid for.
  static constexpr std::int64_t kPlainLineMs = 5'000;  // A journal of an hour then has 720 lines.
  static constexpr std::int64_t kRateWindowMs = 10'000;

  Progress(const Clock& clock, ProgressOutput& output) : clock_(&clock), output_(&output) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Starts a phase; one that is still open ends. `total` 0 means unknown. `unit` is a plural noun. A phase that resumes
  // earlier work says how much was `done` before; that does not count as pace.
  void Begin(std::string_view title, std::uint64_t total, std::string_view unit, std::uint64_t done = 0);
  // `done` is the whole, not the addition since the last call.
  void Update(std::uint64_t done, std::string_view words = {});
  // Ends the phase with one lasting line. Without an open phase it does nothing.
  void End(std::string_view words = {});
  // A lasting line of its own above the one being redrawn.
  void Note(std::string_view line);

 private:
  [[nodiscard]] std::string Line() const;
  [[nodiscard]] double UnitsPerSecond() const;
  void Draw();
  void WriteLine(const std::string& line);
  void Erase();

  const Clock* clock_;
  ProgressOutput* output_;
  std::string title_, unit_, words_;
  std::uint64_t done_ = 0, total_ = 0;
  std::int64_t begin_ms_ = 0;
  bool open_ = false;
  bool drawn_ = false;              // A line stands on the terminal that may be overwritten.
  std::int64_t last_write_ms_ = 0;  // Monotonic.
  std::deque<std::pair<std::int64_t, std::uint64_t>> samples_;  // (monotonic ms, done), oldest first, at most one per
                                                                // kRedrawMs and nothing older than the window but one.
};

// "47 s", "3 min 05 s", "2 h 07 min".
[[nodiscard]] std::string DurationText(std::int64_t seconds);

}  // namespace hemafed
