// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/source_digest.h"

#include <ATen/ATen.h>

#include <array>
#include <bit>
#include <cstdint>

namespace hemafed::learning {

static_assert(std::endian::native == std::endian::little, "values are hashed as they lie in memory");

Digest DigestOfSource(const BatchSource& source) {
  Sha256 hash;
  std::array<std::uint8_t, 8> label{};
  for (std::size_t i = 0; i < source.Size(); ++i) {
    StoreLittleEndian(source.Label(i), label.data());
    hash.Update(source.PictureDigest(i).bytes).Update(label);
  }
  return hash.Finish();
}

Digest DigestOfModel(const Classifier& model) {
  Sha256 hash;
  for (const NamedTensor& tensor : model.tensors()) {
    hash.Update(tensor.name).Update(std::string_view("\0", 1));
    const at::Tensor value = tensor.value.detach().cpu().contiguous();
    hash.Update(ByteView(static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()));
  }
  return hash.Finish();
}

}  // namespace hemafed::learning
