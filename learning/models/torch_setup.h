// learning/models/torch_setup.h
// SPDX-License-Identifier: Apache-2.0
//
// How LibTorch runs in this process: a fixed number of threads and deterministic kernels only, so that the same input
// gives the same bits again on the same machine class (torch build, oneDNN instruction set, threads; design 11.9).
//
// Thread-safety: changes the whole process; call it before computing, not beside it.
#pragma once

namespace hemafed::learning {

// Most threads that may be asked for: more than any machine we know has cores, few enough to refuse a typing error.
inline constexpr int kMaxThreads = 256;

// Throws Error(kInvalidInput) unless 1 <= threads <= kMaxThreads.
void ConfigureTorch(int threads);

}  // namespace hemafed::learning
