// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a model file: either refused with kInvalidInput, or every tensor lies within the file and can be read.
#include <cstdlib>

#include "codec/update.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "tests/fuzz/memory_file.h"

namespace {

void Read(hemafed::ByteView input) {
  const hemafed::SafetensorsReader reader(std::make_unique<hemafed::testing_support::MemoryFile>(input), "fuzz");
  std::uint64_t tensor_bytes = 0;
  hemafed::Bytes content;
  for (const hemafed::TensorInfo& tensor : reader.tensors()) {
    if (tensor.offset + tensor.bytes > input.size()) std::abort();
    content.resize(tensor.bytes);
    reader.Read(tensor, 0, content);
    if (reader.Find(tensor.name) != &tensor) std::abort();
    tensor_bytes += tensor.bytes;
  }
  // Gap-free: length, header and tensors are the whole file.
  const auto header_bytes = hemafed::LoadLittleEndian<std::uint64_t>(input.data());
  if (8 + header_bytes + tensor_bytes != input.size()) std::abort();
  if (hemafed::LayoutOfModel(reader).ValueCount() * 4 > tensor_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    Read({data, size});
  } catch (const hemafed::Error& error) {
    if (error.code() != hemafed::ErrorCode::kInvalidInput) std::abort();
  }
  return 0;
}
