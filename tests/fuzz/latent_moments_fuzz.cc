// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of latent moments, for the widths of the samples in tests/data/latent_moments/: either refused
// with kInvalidInput, or plausible moments whose canonical form is the file, with a finite mean and covariance, that
// can be added to themselves and taken out again.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "codec/latent_moments.h"
#include "common/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace hemafed;

void Try(ByteView input, std::uint32_t width) {
  try {
    const LatentMoments moments = ReadLatentMoments(testing_support::MemoryFile(input), width);
    const Bytes canonical = moments.Canonical();
    if (moments.Implausible() || !std::equal(canonical.begin(), canonical.end(), input.begin(), input.end()))
      std::abort();
    if (moments.MaySend(2)) {
      for (std::uint32_t i = 0; i < width; ++i) {
        if (!(std::abs(moments.Mean(i)) <= 1.0) || !(moments.Covariance(i, i) >= 0.0)) std::abort();
      }
    }
    LatentMoments twice = moments;
    if (twice.cells() <= kMaxMomentCells / 2) {
      twice.Add(moments);
      twice.Subtract(moments);
      if (twice != moments) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
}

// The input as the integers alone, so that the fuzzer reaches the checks behind the header.
Bytes FileOf(ByteView values, std::uint32_t width) {
  Bytes file = LatentMoments(width).Canonical();
  std::copy_n(values.begin(), std::min(values.size(), file.size() - 16), file.begin() + 16);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Try({data, size}, 2);
  Try({data, size}, 5);
  Try(FileOf({data, size}, 1), 1);
  Try(FileOf({data, size}, 2), 2);
  return 0;
}
