// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of score histograms, in both forms and for the classes of the samples in
// tests/data/score_histograms/: either refused with kInvalidInput, or histograms whose canonical form is read as the
// same again and whose areas lie between 0 and 1.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "codec/plane_frame.h"
#include "codec/score_histograms.h"
#include "common/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

using namespace hemafed;

void Judge(const ScoreHistograms& histograms) {
  const Bytes canonical = histograms.Canonical();
  if (ReadCanonicalScores(testing_support::MemoryFile(canonical), histograms.classes()) != histograms) std::abort();
  for (std::size_t k = 0; k < histograms.classes(); ++k) {
    if (histograms.At(k) && histograms.At(k)->AucMillionths().value_or(0) > 1'000'000) std::abort();
  }
}

template <typename Read>
void Try(const Read& read) {
  try {
    Judge(read());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
}

// The input as the values of one class, so that the fuzzer reaches the checks behind the compressor.
Bytes FileOf(ByteView input) {
  std::array<std::int32_t, 2 * kHistogramBins> values{};
  for (std::size_t i = 0; i < values.size() && 4 * i + 4 <= input.size(); ++i) {
    values[i] = LoadLittleEndian<std::int32_t>(&input[4 * i]);
  }
  Bytes file{'H', 'F', 'H', '\n', 1, 0, 0, 4, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
  PlaneFrameWriter frames("fuzz");
  const ByteView block = frames.Encode<std::int32_t>(values);
  file.insert(file.end(), block.begin(), block.end());
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input{data, size};
  for (const std::size_t classes : {std::size_t{2}, std::size_t{5}}) {
    Try([&] { return ReadScoreHistograms(testing_support::MemoryFile(input), classes); });
    Try([&] { return ReadCanonicalScores(testing_support::MemoryFile(input), classes); });
  }
  const Bytes file = FileOf(input);
  Try([&] { return ReadScoreHistograms(testing_support::MemoryFile(file), 2); });
  return 0;
}
