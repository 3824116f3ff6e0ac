// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_file.h"

#include <ATen/ATen.h>

#include <bit>
#include <charconv>
#include <utility>
#include <vector>

#include "codec/head_file.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "learning/features/autoencoder/uniform_weights.h"
#include "learning/models/model_file.h"
#include "learning/models/tensor_file.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "model files hold little-endian values");

constexpr std::string_view kOwner = "the autoencoder";  // In messages.

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

std::string RequireMetadata(const SafetensorsReader& reader, std::string_view key) {
  const auto found = reader.metadata().find(std::string(key));
  if (found == reader.metadata().end()) {
    Fail(reader.where() + " has no metadata '" + std::string(key) + "'; it is not an autoencoder of this program");
  }
  return found->second;
}

std::int64_t LatentSizeIn(const SafetensorsReader& reader) {
  const std::string text = RequireMetadata(reader, kFeatureWidthKey);
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || size < kMinLatentSize || size > kMaxLatentSize ||
      text != std::to_string(size)) {
    Fail(reader.where() + ": metadata '" + std::string(kFeatureWidthKey) + "' is not a number from " +
         std::to_string(kMinLatentSize) + " to " + std::to_string(kMaxLatentSize));
  }
  return size;
}

}  // namespace

CellAutoencoder LoadAutoencoder(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = SafetensorsReader::Open(files, path);
  if (RequireMetadata(reader, kArchitectureKey) != kAutoencoderName) {
    Fail(reader.where() + " is a model of another kind than " + std::string(kAutoencoderName));
  }
  const std::vector<AutoencoderTensor> specs = AutoencoderTensors(LatentSizeIn(reader));
  std::vector<std::string> names;
  std::vector<NamedTensor> tensors;
  for (const AutoencoderTensor& spec : specs) {
    names.push_back(spec.name);
    tensors.push_back({spec.name, ReadTensor(reader, spec.name, spec.shape, kOwner)});
  }
  RequireNoOther(reader, names, kOwner);
  return CellAutoencoder(std::move(tensors));
}

Digest SaveAutoencoder(FileSystem& files, const Path& path, const CellAutoencoder& model,
                       const std::map<std::string, std::string>& notes) {
  std::map<std::string, std::string> metadata = notes;
  for (const std::string_view key : {kArchitectureKey, kFeatureWidthKey}) {
    if (notes.contains(std::string(key))) Fail("notes for " + path.string() + " set '" + std::string(key) + "'");
  }
  metadata[std::string(kArchitectureKey)] = kAutoencoderName;
  metadata[std::string(kFeatureWidthKey)] = std::to_string(model.latent_size());
  return WriteTensors(files, path, model.tensors(), metadata, kOwner);
}

CellAutoencoder InitialAutoencoder(std::int64_t latent_size, std::uint64_t seed) {
  std::vector<NamedTensor> tensors;
  std::uint32_t number = 0;
  for (const AutoencoderTensor& spec : AutoencoderTensors(latent_size)) {
    at::Tensor value = at::zeros(spec.shape, at::kFloat);
    if (spec.fan_in > 0) {
      FillUniform(value, spec.fan_in, seed, number);
    } else if (spec.name.ends_with(".weight")) {
      value.fill_(1.0);
    }
    tensors.push_back({spec.name, std::move(value)});
    ++number;
  }
  return CellAutoencoder(std::move(tensors));
}

Digest DigestOfAutoencoder(const CellAutoencoder& model) {
  Sha256 hash;
  for (const NamedTensor& tensor : model.tensors()) {
    const at::Tensor value = tensor.value.detach().to(at::kCPU, at::kFloat).contiguous();
    hash.Update(tensor.name);
    hash.Update(ByteView{static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  return hash.Finish();
}

}  // namespace hemafed::learning
