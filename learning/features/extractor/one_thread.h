// learning/features/extractor/one_thread.h
// SPDX-License-Identifier: Apache-2.0
//
// LibTorch works with one thread while the object lives, however many the rest of the program has: a plan's trainer and
// a study get the same bits.
//
// Thread-safety: the number of threads belongs to the calling thread's work; one object at a time.
#pragma once

#include <ATen/Parallel.h>

namespace hemafed::learning {

class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace hemafed::learning
