// learning/continual/prefetch.h
// SPDX-License-Identifier: Apache-2.0
//
// Makes items ahead of the one who takes them: training asks for the next batch and finds it ready. The items come out
// in the order in which they were described, whatever thread made each, so results do not depend on the number of
// threads.
//
//     OrderedPrefetch<Batch> ahead([&]() -> std::optional<OrderedPrefetch<Batch>::Job> {
//       if (step == steps) return std::nullopt;
//       return [&source, indices = draws.Indices(step, size), key = KeyOf(step++)] { return source.Get(indices, key);
//       };
//     }, {.threads = 1, .depth = 4});
//     while (auto batch = ahead.Next()) Train(*batch);
//
// `describe` is called for one item after the other, never twice at a time, from a loader's thread; it returns the job
// that makes the item, or nothing at the end. Jobs run at the same time on up to `threads` threads: what they share
// must allow that. At most `depth` items are described and not yet taken, which bounds memory. With threads = 0
// everything happens inside Next(), on the caller's thread.
//
// Errors: what `describe` or a job throws is thrown by the Next() that would have returned that item, after all items
// before it were returned; again by each later call. No item after it is given out.
//
// Destroying it early is fine: running jobs are waited for, the others are not started. Errors of items that nobody
// took are dropped.
//
// Thread-safety: one thread takes; the loaders are its own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/error.h"

namespace hemafed::learning {

// More loaders than this only wait for each other and the disk.
inline constexpr unsigned kMaxLoaderThreads = 64;
// Items ahead. A batch of 128 pictures of 224 pixels has 74 MiB as floats.
inline constexpr std::size_t kMaxPrefetchDepth = 256;

struct PrefetchSettings {
  unsigned threads = 1;
  std::size_t depth = 4;  // items; at least 1
};

template <class Item>
class OrderedPrefetch {
 public:
  using Job = std::function<Item()>;
  using Describe = std::function<std::optional<Job>()>;

  OrderedPrefetch(Describe describe, const PrefetchSettings& settings)
      : describe_(std::move(describe)), depth_(settings.depth), in_place_(settings.threads == 0) {
    if (settings.threads > kMaxLoaderThreads || settings.depth < 1 || settings.depth > kMaxPrefetchDepth) {
      throw Error(ErrorCode::kInvalidInput, "a loader of " + std::to_string(settings.threads) + " threads and " +
                                                std::to_string(settings.depth) + " items ahead: allowed are up to " +
                                                std::to_string(kMaxLoaderThreads) + " threads and 1 to " +
                                                std::to_string(kMaxPrefetchDepth) + " items");
    }
    try {
      for (unsigned i = 0; i < settings.threads; ++i) loaders_.emplace_back([this] { Load(); });
    } catch (...) {  // The system has no thread left: those that started must end before members go.
      Stop();
      throw;
    }
  }
  ~OrderedPrefetch() { Stop(); }
  OrderedPrefetch(const OrderedPrefetch&) = delete;
  OrderedPrefetch& operator=(const OrderedPrefetch&) = delete;

  // The next item, or nothing after the last.
  [[nodiscard]] std::optional<Item> Next() {
    if (in_place_) return MakeInPlace();
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return made_.contains(taken_) || taken_ == end_; });
    const auto found = made_.find(taken_);
    if (found == made_.end()) return std::nullopt;
    // A failure stays where it is: later calls find it again.
    if (const auto* failure = std::get_if<std::exception_ptr>(&found->second)) std::rethrow_exception(*failure);
    Item item = std::get<Item>(std::move(found->second));
    made_.erase(found);
    ++taken_;
    lock.unlock();
    room_.notify_one();
    return item;
  }

 private:
  using Made = std::variant<std::exception_ptr, Item>;

  void Load() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stopping_ || Finished() || described_ - taken_ < depth_; });
      if (stopping_ || Finished()) return;
      const std::uint64_t number = described_;
      Made made = std::exception_ptr();
      std::optional<Job> job;
      try {
        job = describe_();
        if (!job) {
          end_ = number;
          room_.notify_all();
          ready_.notify_all();
          return;
        }
      } catch (...) {
        made = std::current_exception();
      }
      ++described_;
      if (job) {
        lock.unlock();
        try {
          made.template emplace<Item>((*job)());
        } catch (...) {
          made = std::current_exception();
        }
        job.reset();  // What it holds goes on this thread, without the lock.
        lock.lock();
      }
      if (std::holds_alternative<std::exception_ptr>(made)) {
        failed_ = true;
        room_.notify_all();
      }
      made_.emplace(number, std::move(made));
      ready_.notify_one();
    }
  }

  // Nothing is left to describe. Called with the lock.
  [[nodiscard]] bool Finished() const { return failed_ || end_ != kNoEnd; }

  std::optional<Item> MakeInPlace() {
    if (failure_in_place_) std::rethrow_exception(failure_in_place_);
    if (end_ != kNoEnd) return std::nullopt;
    try {
      const std::optional<Job> job = describe_();
      if (job) return (*job)();
    } catch (...) {
      failure_in_place_ = std::current_exception();
      throw;
    }
    end_ = 0;
    return std::nullopt;
  }

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& loader : loaders_) loader.join();
    loaders_.clear();
  }

  static constexpr std::uint64_t kNoEnd = UINT64_MAX;

  const Describe describe_;
  const std::size_t depth_;
  const bool in_place_;

  std::mutex mutex_;                    // Guards what follows up to the loaders, and calls of describe_.
  std::condition_variable room_;        // Loaders wait for room, an end, a failure or Stop().
  std::condition_variable ready_;       // The taker waits for its item or the end.
  std::map<std::uint64_t, Made> made_;  // By number; what was made and not yet taken.
  std::uint64_t described_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t end_ = kNoEnd;  // Number of items, once known.
  bool failed_ = false;
  bool stopping_ = false;

  std::exception_ptr failure_in_place_;  // Used by the taker alone.
  std::vector<std::thread> loaders_;
};

}  // namespace hemafed::learning
