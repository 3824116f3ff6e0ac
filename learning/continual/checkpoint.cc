// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/json_fields.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored as they lie in memory");

constexpr const char* kFormat = "hemafed.checkpoint.1";
constexpr std::string_view kIndexName = "checkpoint.json";
constexpr std::string_view kStatePrefix = "state-";
constexpr std::string_view kStateSuffix = ".safetensors";
constexpr std::size_t kMaxStateNameBytes = 64;
constexpr std::size_t kHashBlockBytes = 1 << 20;

// The number of a state file's name; nothing for other names.
std::optional<std::uint64_t> NumberOf(std::string_view name) {
  if (!name.starts_with(kStatePrefix) || !name.ends_with(kStateSuffix)) return std::nullopt;
  name.remove_prefix(kStatePrefix.size());
  name.remove_suffix(kStateSuffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number >= UINT64_MAX - 1) return std::nullopt;
  return number;
}

DType DTypeOf(const std::string& name, const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return DType::kF32;
    case at::kDouble: return DType::kF64;
    case at::kLong: return DType::kI64;
    default: break;
  }
  throw Error(ErrorCode::kInvalidInput,
              "a checkpoint cannot hold tensor '" + name + "': it is neither float32 nor float64 nor int64");
}

at::ScalarType ScalarTypeOf(const TensorInfo& info, const std::string& where) {
  switch (info.dtype) {
    case DType::kF32: return at::kFloat;
    case DType::kF64: return at::kDouble;
    case DType::kI64: return at::kLong;
    default: break;
  }
  throw Error(ErrorCode::kInvalidInput,
              where + ": tensor '" + info.name + "' is neither float32 nor float64 nor int64");
}

Digest WriteTensors(FileSystem& files, const Path& path, const TensorMap& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    infos.push_back({.name = name, .dtype = DTypeOf(name, tensor), .shape = tensor.sizes().vec()});
  }
  SafetensorsWriter writer(files, path, std::move(infos), {});
  for (const TensorInfo& info : writer.tensors()) {
    const at::Tensor value = tensors.at(info.name).detach().cpu().contiguous();
    writer.Append(info.name, {static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  return writer.Finish();
}

Digest DigestOfFile(FileSystem& files, const Path& path) {
  const auto file = files.OpenForRead(path);
  Sha256 hash;
  Bytes block(kHashBlockBytes);
  for (std::uint64_t offset = 0;;) {
    const std::size_t got = file->ReadAt(offset, block);
    if (got == 0) return hash.Finish();
    hash.Update(ByteView(block).first(got));
    offset += got;
  }
}

}  // namespace

bool HasCheckpoint(FileSystem& files, const Path& folder) { return files.Exists(folder / kIndexName); }

void RemoveCheckpoint(FileSystem& files, const Path& folder) {
  if (!HasCheckpoint(files, folder)) return;
  files.Remove(folder / kIndexName);
  for (const std::string& name : files.List(folder)) {
    if (NumberOf(name)) files.Remove(folder / name);
  }
}

void WriteCheckpoint(FileSystem& files, const Path& folder, const Checkpoint& checkpoint) {
  if (!HasCheckpoint(files, folder)) {
    files.CreateFolders(folder);
    files.SyncDirectory(folder.has_parent_path() ? folder.parent_path() : Path("."));
  }
  std::uint64_t number = 0;
  std::vector<std::string> old;
  for (const std::string& name : files.List(folder)) {
    const std::optional<std::uint64_t> found = NumberOf(name);
    if (!found) continue;
    number = std::max(number, *found + 1);
    old.push_back(name);
  }
  const std::string name = std::string(kStatePrefix) + std::to_string(number) + std::string(kStateSuffix);
  try {
    const Digest digest = WriteTensors(files, folder / name, checkpoint.tensors);
    files.SyncDirectory(folder);
    const json index = {
        {"fields", checkpoint.fields}, {"format", kFormat}, {"sha256", digest.Hex()}, {"tensors", name}};
    const std::string text = index.dump();
    if (text.size() > kMaxCheckpointJsonBytes) {
      throw Error(ErrorCode::kInvalidInput, "the checkpoint's JSON would have " + std::to_string(text.size()) +
                                                " bytes, more than " + std::to_string(kMaxCheckpointJsonBytes));
    }
    WriteFileAtomically(files, folder / kIndexName, text);
  } catch (const Error& error) {
    // Whether the rename happened is not known if it is the folder's sync that failed; a file that the index may name
    // stays. The next checkpoint removes it.
    if (error.code() == ErrorCode::kNoSpace) {
      try {
        const json index = ParseJsonObject(ReadFile(files, folder / kIndexName, kMaxCheckpointJsonBytes), "");
        if (index.value("tensors", "") != name) files.Remove(folder / name);
      } catch (const Error& nothing) {
        if (nothing.code() == ErrorCode::kNotFound) files.Remove(folder / name);
      }
      throw Error(ErrorCode::kNoSpace, "the disk is full: the checkpoint in " + folder.string() +
                                           " could not be written (" + error.what() +
                                           "); the one before it is intact, make room and start again");
    }
    throw;
  }
  for (const std::string& file : old) files.Remove(folder / file);
}

Checkpoint ReadCheckpoint(FileSystem& files, const Path& folder) {
  const std::string where = (folder / kIndexName).string();
  const json index = ParseJsonObject(ReadFile(files, folder / kIndexName, kMaxCheckpointJsonBytes), where);
  JsonFields fields(index, where);
  if (fields.Text("format", 64) != kFormat) fields.Fail("format", std::string("is not ") + kFormat);
  const Digest digest = fields.Sha256Digest("sha256");
  const std::string name = fields.Text("tensors", kMaxStateNameBytes);
  if (!NumberOf(name)) fields.Fail("tensors", "is not the name of a state file");
  Checkpoint checkpoint;
  checkpoint.fields = fields.Raw("fields");
  fields.RequireAllRead();
  if (DigestOfFile(files, folder / name) != digest) {
    throw Error(ErrorCode::kCorrupt, (folder / name).string() + " does not have the digest that " +
                                         std::string(kIndexName) + " gives; restore the folder from a copy");
  }
  const SafetensorsReader reader = SafetensorsReader::Open(files, folder / name);
  for (const TensorInfo& info : reader.tensors()) {
    at::Tensor value = at::empty(info.shape, ScalarTypeOf(info, reader.where()));
    reader.Read(info, 0, {static_cast<std::uint8_t*>(value.mutable_data_ptr()), value.nbytes()});
    checkpoint.tensors[info.name] = std::move(value);
  }
  return checkpoint;
}

}  // namespace hemafed::learning
