// tests/codec/models.h
// SPDX-License-Identifier: Apache-2.0
//
// Small model files for the tests of codec/.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/file_system.h"
#include "common/safetensors.h"

namespace hemafed::testing_support {

inline Bytes FloatBytes(const std::vector<float>& values) {
  Bytes bytes(values.size() * 4);
  for (std::size_t i = 0; i < values.size(); ++i) {
    StoreLittleEndian(std::bit_cast<std::uint32_t>(values[i]), &bytes[4 * i]);
  }
  return bytes;
}

inline Bytes IntegerBytes(const std::vector<std::int32_t>& values) {
  Bytes bytes(values.size() * 4);
  for (std::size_t i = 0; i < values.size(); ++i) StoreLittleEndian(values[i], &bytes[4 * i]);
  return bytes;
}

struct ModelTensor {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  Bytes bytes;
};
using Model = std::map<std::string, ModelTensor>;

inline ModelTensor Floats(std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return {DType::kF32, std::move(shape), FloatBytes(values)};
}

inline Digest WriteModel(FileSystem& files, const Path& path, const Model& model,
                         const std::map<std::string, std::string>& metadata = {}) {
  std::vector<TensorInfo> tensors;
  for (const auto& [name, tensor] : model) {
    TensorInfo info;
    info.name = name;
    info.dtype = tensor.dtype;
    info.shape = tensor.shape;
    tensors.push_back(std::move(info));
  }
  SafetensorsWriter writer(files, path, std::move(tensors), metadata);
  for (const auto& [name, tensor] : model) writer.Append(name, tensor.bytes);
  return writer.Finish();
}

inline Bytes TensorBytes(const SafetensorsReader& model, std::string_view name) {
  const TensorInfo& tensor = model.Require(name);
  Bytes bytes(tensor.bytes);
  model.Read(tensor, 0, bytes);
  return bytes;
}

inline std::vector<float> TensorFloats(const SafetensorsReader& model, std::string_view name) {
  const Bytes bytes = TensorBytes(model, name);
  std::vector<float> values;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    values.push_back(std::bit_cast<float>(LoadLittleEndian<std::uint32_t>(&bytes[i])));
  }
  return values;
}

}  // namespace hemafed::testing_support
