// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an analytic head: either refused with kInvalidInput, or written again to the same bytes, and able to
// answer for any picture.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "codec/analytic_head.h"
#include "common/error.h"

namespace {

using namespace hemafed;

void Try(ByteView input, std::uint32_t features, std::uint32_t classes) {
  try {
    const AnalyticHead head = AnalyticHead::FromBytes(input, features, classes, "fuzz");
    const Bytes again = head.ToBytes();
    if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
    const std::vector<std::uint16_t> picture(features, 65'535);
    if (head.Best(head.weights.ExactScores(picture)) >= classes) std::abort();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Try({data, size}, 2, 2);
  Try({data, size}, 5, 1);
  Try({data, size}, 1, 3);
  return 0;
}
