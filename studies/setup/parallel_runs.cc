// SPDX-License-Identifier: Apache-2.0
#include "studies/setup/parallel_runs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "common/error.h"
#include "common/stop_signal.h"

namespace hemafed::studies {

namespace {

constexpr const char* kStopped = "stopped; the same command goes on from here";
constexpr auto kLookEvery = std::chrono::milliseconds(200);  // How often progress is shown and Ctrl-C is noticed.

// What the workers share with the thread that shows progress.
class Board {
 public:
  explicit Board(std::size_t runs) : lines_(runs), pictures_(runs, 0) {}

  void Write(std::size_t run, std::string line, std::uint64_t pictures) {
    const std::lock_guard lock(mutex_);
    lines_[run] = std::move(line);
    pictures_[run] = pictures;
  }
  void Finish(std::size_t run, std::uint64_t pictures) {
    const std::lock_guard lock(mutex_);
    lines_[run].clear();
    pictures_[run] = pictures;
    finished_.push_back(run);
  }
  void Fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
  }
  void LeaveWorker() {
    const std::lock_guard lock(mutex_);
    ++left_;
    changed_.notify_all();
  }
  // Waits a moment; returns whether all `workers` have left.
  bool Wait(std::size_t workers) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLookEvery, [&] { return left_ == workers; });
  }
  void Stop() { stop_ = true; }
  [[nodiscard]] bool stopped() const { return stop_; }

  struct View {
    std::string words;
    std::uint64_t pictures = 0;
    std::vector<std::size_t> finished;  // since the last look
  };
  View Look() {
    const std::lock_guard lock(mutex_);
    View view;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      view.pictures += pictures_[i];
      if (!lines_[i].empty()) view.words += (view.words.empty() ? "" : " | ") + lines_[i];
    }
    view.finished.swap(finished_);
    return view;
  }
  [[nodiscard]] std::exception_ptr error() const { return error_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::vector<std::uint64_t> pictures_;
  std::vector<std::size_t> finished_;
  std::exception_ptr error_;
  std::size_t left_ = 0;
  std::atomic<bool> stop_ = false;
};

void Work(const std::vector<ParallelRun>& runs, std::atomic<std::size_t>& next, Board& board) {
  try {
    for (std::size_t i = next++; i < runs.size() && !board.stopped(); i = next++) {
      const std::uint64_t pictures = runs[i].work([&](const std::string& words, std::uint64_t done) {
        if (board.stopped()) throw Error(ErrorCode::kInterrupted, kStopped);
        board.Write(i, runs[i].name + " " + words, done);
      });
      board.Finish(i, pictures);
    }
  } catch (...) {
    board.Fail(std::current_exception());
  }
  board.LeaveWorker();
}

}  // namespace

void RunInParallel(const std::vector<ParallelRun>& runs, unsigned jobs, Progress& progress) {
  std::uint64_t all = 0;
  for (const ParallelRun& run : runs) all += run.pictures;
  Board board(runs.size());
  std::atomic<std::size_t> next = 0;
  progress.Begin("training", all, "pictures");
  std::vector<std::thread> workers;
  const std::size_t count = std::min<std::size_t>(std::max(1u, jobs), std::max<std::size_t>(1, runs.size()));
  for (std::size_t i = 0; i < count; ++i) {
    workers.emplace_back([&] { Work(runs, next, board); });
  }
  bool done = false;
  std::size_t finished = 0;
  while (!done) {
    done = board.Wait(count);
    if (StopRequested()) board.Stop();
    const Board::View view = board.Look();
    for (const std::size_t run : view.finished) {
      progress.Note("done " + std::to_string(++finished) + "/" + std::to_string(runs.size()) + ": " + runs[run].name);
    }
    progress.Update(view.pictures, view.words);
  }
  for (std::thread& worker : workers) worker.join();
  progress.End(std::to_string(finished) + " of " + std::to_string(runs.size()) + " runs");
  if (board.error()) std::rethrow_exception(board.error());
  if (board.stopped()) throw Error(ErrorCode::kInterrupted, kStopped);
}

unsigned UsualJobs(unsigned threads_of_a_run) {
  return std::max(1u, std::thread::hardware_concurrency() / std::max(1u, threads_of_a_run));
}

}  // namespace hemafed::studies
