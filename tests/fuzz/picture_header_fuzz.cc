// SPDX-License-Identifier: Apache-2.0
//
// Headers of picture files: any bytes give a header within the limits or a reason.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <variant>

#include "learning/data/picture_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hemafed::learning;
  const auto got = ReadPictureHeader({data, size});
  if (const auto* header = std::get_if<PictureHeader>(&got)) {
    if (std::uint64_t{header->width} * header->height > kMaxPicturePixels) std::abort();
    if (std::min(header->width, header->height) < kMinPictureSide) std::abort();
  }
  return 0;
}
