// SPDX-License-Identifier: Apache-2.0
//
// Dataset indices. Any bytes either parse or give Error(kInvalidInput); what parses is within its limits and formats to
// a text that parses to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error.h"
#include "learning/data/dataset_index.h"
#include "learning/data/path_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hemafed::learning;
  try {
    const DatasetIndex index = ParseIndex({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const PictureEntry& picture : index.pictures) {
      if (picture.class_index >= index.classes.size() || CheckPicturePath(picture.file)) std::abort();
    }
    if (ParseIndex(FormatIndex(index), "again") != index) std::abort();
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
  return 0;
}
