// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an update file, for the layouts of the samples in tests/data/update/: either refused with kInvalidInput,
// or exactly the layout's number of values comes out, with the digest of what came out.
#include <cstdlib>

#include "codec/update.h"
#include "common/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

void Decode(hemafed::ByteView input, const hemafed::UpdateLayout& layout) {
  const hemafed::testing_support::MemoryFile file(input);
  std::uint64_t count = 0;
  hemafed::Sha256 hash;
  const auto result = hemafed::DecodeUpdate(file, layout, [&](std::span<const std::int32_t> values) {
    if (values.size() > hemafed::kUpdateBlockValues) std::abort();
    count += values.size();
    hash.Update({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
  });
  if (count != layout.ValueCount() || result.values != hash.Finish()) std::abort();
  if (input.size() > hemafed::MaxUpdateFileBytes(count)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const hemafed::UpdateLayout kLayouts[] = {{{{"a", {2, 3}}, {"b", {}}}},
                                                   {{{"a", {100, 600}}, {"b", {10'000}}}}};
  for (const auto& layout : kLayouts) {
    try {
      Decode({data, size}, layout);
    } catch (const hemafed::Error& error) {
      if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
    }
  }
  return 0;
}
