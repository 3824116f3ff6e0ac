// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/autoencoder_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
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
constexpr const char* kMeanName = "latent.mean";
constexpr const char* kDeviationName = "latent.deviation";

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

SafetensorsReader OpenAutoencoder(FileSystem& files, const Path& path) {
  SafetensorsReader reader = SafetensorsReader::Open(files, path);
  if (RequireMetadata(reader, kArchitectureKey) != kAutoencoderName) {
    Fail(reader.where() + " is a model of another kind than " + std::string(kAutoencoderName));
  }
  return reader;
}

std::optional<LatentScale> ScaleIn(const SafetensorsReader& reader) {
  const bool has_mean = reader.Find(kMeanName) != nullptr, has_deviation = reader.Find(kDeviationName) != nullptr;
  if (!has_mean && !has_deviation) return std::nullopt;
  if (has_mean != has_deviation) Fail(reader.where() + ": its latents' scale is not whole");
  const auto values = [&](const char* name) {
    const at::Tensor tensor = ReadTensor(reader, name, {LatentSizeIn(reader)}, kOwner).contiguous();
    return std::vector<float>(tensor.const_data_ptr<float>(), tensor.const_data_ptr<float>() + tensor.numel());
  };
  LatentScale scale{.mean = values(kMeanName), .deviation = values(kDeviationName)};
  for (std::size_t i = 0; i < scale.mean.size(); ++i) {
    if (std::abs(scale.mean[i]) > 1.0F || scale.deviation[i] < kLeastLatentDeviation || scale.deviation[i] > 1.0F) {
      Fail(reader.where() + ": no latents have the mean and deviation of number " + std::to_string(i));
    }
  }
  return scale;
}

}  // namespace

std::optional<LatentScale> LoadLatentScale(FileSystem& files, const Path& path) {
  return ScaleIn(OpenAutoencoder(files, path));
}

CellAutoencoder LoadAutoencoder(FileSystem& files, const Path& path) {
  const SafetensorsReader reader = OpenAutoencoder(files, path);
  const std::vector<AutoencoderTensor> specs = AutoencoderTensors(LatentSizeIn(reader));
  std::vector<std::string> names;
  std::vector<NamedTensor> tensors;
  for (const AutoencoderTensor& spec : specs) {
    names.push_back(spec.name);
    tensors.push_back({spec.name, ReadTensor(reader, spec.name, spec.shape, kOwner)});
  }
  if (ScaleIn(reader)) {
    for (const char* name : {kMeanName, kDeviationName}) names.emplace_back(name);
    std::ranges::sort(names);
  }
  RequireNoOther(reader, names, kOwner);
  return CellAutoencoder(std::move(tensors));
}

Digest SaveAutoencoder(FileSystem& files, const Path& path, const CellAutoencoder& model,
                       const std::map<std::string, std::string>& notes, const std::optional<LatentScale>& scale) {
  std::map<std::string, std::string> metadata = notes;
  for (const std::string_view key : {kArchitectureKey, kFeatureWidthKey}) {
    if (notes.contains(std::string(key))) Fail("notes for " + path.string() + " set '" + std::string(key) + "'");
  }
  metadata[std::string(kArchitectureKey)] = kAutoencoderName;
  metadata[std::string(kFeatureWidthKey)] = std::to_string(model.latent_size());
  std::vector<NamedTensor> tensors = model.tensors();
  if (scale) {
    for (const auto& [name, values] :
         {std::pair(kMeanName, &scale->mean), std::pair(kDeviationName, &scale->deviation)}) {
      if (static_cast<std::int64_t>(values->size()) != model.latent_size()) {
        Fail("the scale for " + path.string() + " is of latents of another size");
      }
      tensors.push_back({name, at::tensor(*values, at::kFloat)});
    }
  }
  std::ranges::sort(tensors, {}, &NamedTensor::name);  // As they lie in the file.
  return WriteTensors(files, path, tensors, metadata, kOwner);
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
