// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an update file, for the layouts of the samples in tests/data/update/ and both encodings: either refused
// with kInvalidInput, or exactly the layout's number of values comes out, with the digest of what came out; and they
// are values that the same encoding can carry. As Fisher information they are refused exactly where one is negative.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "codec/fisher.h"
#include "codec/update.h"
#include "codec/update_body.h"
#include "common/error.h"
#include "tests/fuzz/memory_file.h"

namespace {

void Decode(hemafed::ByteView input, const hemafed::UpdateLayout& layout, hemafed::UpdateEncoding encoding) {
  const hemafed::testing_support::MemoryFile file(input);
  std::uint64_t count = 0;
  std::vector<std::int32_t> all;
  hemafed::Sha256 hash;
  hemafed::BodyShapes shapes(layout, encoding);
  const auto take = [&](std::span<const std::int32_t> values) {
    if (values.size() > hemafed::kUpdateBlockValues) std::abort();
    count += values.size();
    all.insert(all.end(), values.begin(), values.end());
    hash.Update({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
    const hemafed::BodyShape shape = shapes.Next();
    if (shape.values != values.size()) std::abort();
    std::vector<std::uint8_t> body(shape.Bytes(encoding));
    std::vector<std::int32_t> again(values.size());
    hemafed::PackBody(encoding, shape, values, body);
    hemafed::UnpackBody(encoding, shape, body, again);
    if (!std::equal(again.begin(), again.end(), values.begin())) std::abort();
  };
  const auto result = hemafed::DecodeUpdate(file, layout, take, {.encoding = encoding});
  if (count != layout.ValueCount() || result.values != hash.Finish()) std::abort();
  if (input.size() > hemafed::MaxUpdateFileBytes(layout, encoding)) std::abort();
  const hemafed::testing_support::MemoryFile raw({reinterpret_cast<const std::uint8_t*>(all.data()), all.size() * 4});
  const bool negative = std::any_of(all.begin(), all.end(), [](std::int32_t value) { return value < 0; });
  if (WhyNoFisher(raw, layout).has_value() != negative) std::abort();
  if (negative) return;
  std::vector<float> fisher(all.size());
  hemafed::FisherOf(all, fisher);
  if (std::any_of(fisher.begin(), fisher.end(), [](float value) { return !(value >= 0 && value <= 262'144); })) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const hemafed::UpdateLayout kLayouts[] = {{{{"a", {2, 3}}, {"b", {}}}},
                                                   {{{"a", {100, 600}}, {"b", {10'000}}}}};
  for (const auto& layout : kLayouts) {
    for (const auto encoding : {hemafed::UpdateEncoding::kInt32, hemafed::UpdateEncoding::kInt8}) {
      try {
        Decode({data, size}, layout, encoding);
      } catch (const hemafed::Error& error) {
        if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
      }
    }
  }
  return 0;
}
