// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of feature sums, for the shapes of the samples in tests/data/feature_sums/: either refused with
// kInvalidInput, or plausible sums that are written and read as the same again. Small shapes also go through the solve,
// which either refuses them or finds a head that passes its own exact check.
#include <cstdlib>

#include "codec/feature_sums.h"
#include "codec/plane_frame.h"
#include "codec/ridge_head.h"
#include "common/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace hemafed;

void ReadAndSolve(ByteView input, std::uint32_t features, std::uint32_t classes) {
  const FeatureSums sums = ReadFeatureSums(testing_support::MemoryFile(input), features, classes);
  if (sums.Implausible() || input.size() > MaxFeatureSumsFileBytes(features, classes)) std::abort();
  if (SolveRidge(sums, 1.0).weights.size() != std::size_t{features} * classes) std::abort();
}

// The input as the values themselves, so that the fuzzer reaches the checks behind the compressor.
Bytes FileOf(ByteView values, std::uint32_t features, std::uint32_t classes) {
  std::vector<std::int64_t> integers(std::size_t{features} * (features + 1) / 2 + std::size_t{features} * classes +
                                     classes);
  for (std::size_t i = 0; i < integers.size() && 8 * i + 8 <= values.size(); ++i) {
    integers[i] = LoadLittleEndian<std::int64_t>(&values[8 * i]);
  }
  Bytes file{'H', 'F', 'S', '\n', 1, 0, kFeatureGridBits, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  StoreLittleEndian(features, &file[8]);
  StoreLittleEndian(classes, &file[12]);
  PlaneFrameWriter frames("fuzz");
  const ByteView block = frames.Encode<std::int64_t>(integers);
  file.insert(file.end(), block.begin(), block.end());
  return file;
}

void Try(ByteView input, std::uint32_t features, std::uint32_t classes) {
  try {
    ReadAndSolve(input, features, classes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Try({data, size}, 2, 2);
  Try({data, size}, 37, 4);
  Try(FileOf({data, size}, 2, 2), 2, 2);
  Try(FileOf({data, size}, 4, 1), 4, 1);
  return 0;
}
