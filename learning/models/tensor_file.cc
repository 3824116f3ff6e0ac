// SPDX-License-Identifier: Apache-2.0
#include "learning/models/tensor_file.h"

#include <ATen/ATen.h>

#include <bit>

#include "common/error.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "model files hold little-endian values");

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

}  // namespace

at::Tensor ReadTensor(const SafetensorsReader& reader, const std::string& name, const std::vector<std::int64_t>& shape,
                      std::string_view owner) {
  const TensorInfo& info = reader.Require(name);
  if (info.dtype != DType::kF32) Fail(reader.where() + ": tensor '" + name + "' is not float32");
  if (info.shape != shape) {
    Fail(reader.where() + ": tensor '" + name + "' has another shape than " + std::string(owner));
  }
  at::Tensor value = at::empty(shape, at::kFloat);
  reader.Read(info, 0,
              {static_cast<std::uint8_t*>(value.mutable_data_ptr()), static_cast<std::size_t>(value.nbytes())});
  if (!value.isfinite().all().item<bool>()) {
    Fail(reader.where() + ": tensor '" + name + "' holds a value that is not a finite number");
  }
  if (name.ends_with(".running_var") && value.lt(0).any().item<bool>()) {
    Fail(reader.where() + ": tensor '" + name + "' holds a negative variance");
  }
  return value;
}

void RequireNoOther(const SafetensorsReader& reader, const std::vector<std::string>& names, std::string_view owner) {
  for (const std::string& name : names) (void)reader.Require(name);
  for (std::size_t i = 0; i < reader.tensors().size(); ++i) {
    const std::string& name = reader.tensors()[i].name;
    if (i >= names.size() || name != names[i]) {
      Fail(reader.where() + ": tensor '" + name + "' does not belong to " + std::string(owner));
    }
  }
}

Digest WriteTensors(FileSystem& files, const Path& path, const std::vector<NamedTensor>& tensors,
                    const std::map<std::string, std::string>& metadata, std::string_view owner) {
  std::vector<TensorInfo> infos;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.value.scalar_type() != at::kFloat) {
      Fail("cannot write " + path.string() + ": " + std::string(owner) + " is not float32");
    }
    TensorInfo& info = infos.emplace_back();
    info.name = tensor.name;
    info.shape = tensor.value.sizes().vec();
  }
  const Path beside = path.string() + ".tmp";
  SafetensorsWriter writer(files, beside, std::move(infos), metadata);
  for (const NamedTensor& tensor : tensors) {
    const at::Tensor value = tensor.value.detach().cpu().contiguous();
    writer.Append(tensor.name, {static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  const Digest digest = writer.Finish();
  files.Rename(beside, path);
  files.SyncDirectory(path.parent_path().empty() ? Path(".") : path.parent_path());
  return digest;
}

}  // namespace hemafed::learning
