// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/quantize.h"

#include <map>
#include <vector>

#include "common/error.h"
#include "common/safetensors.h"

namespace hemafed::trainer {

namespace {

std::vector<float> ReadFloats(const SafetensorsReader& reader, const TensorSpec& tensor) {
  const TensorInfo& info = reader.Require(tensor.name);
  if (info.dtype != DType::kF32 || info.Values() != tensor.ValueCount()) {
    throw Error(ErrorCode::kInvalidInput, reader.where() + ": tensor " + tensor.name + " has another type or size");
  }
  std::vector<float> values(info.Values());
  reader.Read(info, 0, {reinterpret_cast<std::uint8_t*>(values.data()), info.bytes});
  return values;
}

ByteView BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace

QuantizedUpdate WriteUpdate(FileSystem& files, const std::vector<learning::NamedTensor>& trained, const Path& base,
                            const std::optional<Path>& residual_in, const Path& residual_out, const Path& update_out,
                            const UpdateFormat& format) {
  const SafetensorsReader base_model = SafetensorsReader::Open(files, base);
  const UpdateLayout layout = LayoutOfModel(base_model);
  std::optional<SafetensorsReader> carried;
  if (residual_in) carried = SafetensorsReader::Open(files, *residual_in);

  std::map<std::string, at::Tensor> local;
  for (const auto& [name, value] : trained) local.emplace(name, value.detach().contiguous());

  std::vector<TensorInfo> residual_tensors;
  for (const TensorSpec& tensor : layout.tensors) {
    TensorInfo info;
    info.name = tensor.name;
    info.dtype = DType::kF32;
    info.shape = tensor.shape;
    residual_tensors.push_back(std::move(info));
  }
  SafetensorsWriter residual_file(files, residual_out, std::move(residual_tensors), {});
  UpdateWriter update_file(files, update_out, layout, format);
  for (const TensorSpec& tensor : layout.tensors) {
    const std::vector<float> base_values = ReadFloats(base_model, tensor);
    const auto found = local.find(tensor.name);
    if (found == local.end() || static_cast<std::uint64_t>(found->second.numel()) != base_values.size()) {
      throw Error(ErrorCode::kInternal, "the trained model lacks the tensor " + tensor.name);
    }
    const std::span<const float> local_values(found->second.const_data_ptr<float>(), base_values.size());
    std::vector<float> residual = carried ? ReadFloats(*carried, tensor) : std::vector<float>(base_values.size());
    std::vector<std::int32_t> integers(base_values.size());
    QuantizeDelta(tensor.name, local_values, base_values, residual, integers, format);
    update_file.Append(integers);
    residual_file.Append(tensor.name, BytesOf(residual));
  }
  QuantizedUpdate result;
  result.residual = residual_file.Finish();
  result.file = update_file.Finish();
  result.layout = layout.Hash();
  return result;
}

}  // namespace hemafed::trainer
