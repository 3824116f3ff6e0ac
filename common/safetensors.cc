// SPDX-License-Identifier: Apache-2.0
#include "common/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::uint64_t kLengthBytes = 8;  // The header's length, before the header.
constexpr std::string_view kMetadataKey = "__metadata__";

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<DTypeRow, 7> kDTypes{{{DType::kF64, "F64", 8},
                                           {DType::kF32, "F32", 4},
                                           {DType::kF16, "F16", 2},
                                           {DType::kBF16, "BF16", 2},
                                           {DType::kI64, "I64", 8},
                                           {DType::kI32, "I32", 4},
                                           {DType::kU8, "U8", 1}}};

const DTypeRow& RowOf(DType dtype) noexcept { return kDTypes[static_cast<std::size_t>(dtype)]; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

bool IsAllowedName(std::string_view name) {
  const auto printable = [](char c) { return c >= 0x20 && c <= 0x7e; };
  return !name.empty() && name.size() <= kMaxTensorNameBytes && std::all_of(name.begin(), name.end(), printable);
}

// Product of the shape times the value's size; nothing if it does not fit 63 bits or the shape is not one.
std::optional<std::uint64_t> BytesOf(DType dtype, const std::vector<std::int64_t>& shape) {
  if (shape.size() > kMaxTensorDimensions) return std::nullopt;
  std::int64_t bytes = static_cast<std::int64_t>(DTypeBytes(dtype));
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

TensorInfo ParseTensor(const std::string& name, JsonFields fields) {
  TensorInfo tensor;
  tensor.name = name;
  const auto dtype = DTypeFromName(fields.Text("dtype", 8));
  if (!dtype) fields.Fail("dtype", "is none of F64, F32, F16, BF16, I64, I32, U8");
  tensor.dtype = *dtype;

  const auto unsigned_list = [&](const char* key, std::size_t max_items) {
    const json& list = fields.Raw(key);
    if (!list.is_array() || list.size() > max_items) {
      fields.Fail(key, "is not a list of at most " + std::to_string(max_items) + " items");
    }
    std::vector<std::int64_t> numbers;
    for (const json& item : list) {
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
        fields.Fail(key, "holds something that is not a natural number");
      }
      numbers.push_back(item.get<std::int64_t>());
    }
    return numbers;
  };
  tensor.shape = unsigned_list("shape", kMaxTensorDimensions);
  const auto range = unsigned_list("data_offsets", 2);
  if (range.size() != 2 || range[0] > range[1]) fields.Fail("data_offsets", "is not a pair of begin and end");
  fields.RequireAllRead();

  tensor.offset = static_cast<std::uint64_t>(range[0]);
  tensor.bytes = static_cast<std::uint64_t>(range[1] - range[0]);
  const auto expected = BytesOf(tensor.dtype, tensor.shape);
  if (expected != tensor.bytes) {
    fields.Fail("data_offsets",
                "spans " + std::to_string(tensor.bytes) + " bytes, which is not what shape and dtype need");
  }
  return tensor;
}

}  // namespace

std::size_t DTypeBytes(DType dtype) noexcept { return RowOf(dtype).bytes; }
std::string_view DTypeName(DType dtype) noexcept { return RowOf(dtype).name; }

SafetensorsReader SafetensorsReader::Open(FileSystem& files, const Path& path) {
  return {files.OpenForRead(path), path.string()};
}

SafetensorsReader::SafetensorsReader(std::unique_ptr<ReadableFile> file, std::string where)
    : file_(std::move(file)), where_(std::move(where)) {
  std::array<std::uint8_t, kLengthBytes> prefix{};
  const std::uint64_t file_bytes = file_->Size();
  if (file_bytes < kLengthBytes || file_->ReadAt(0, prefix) != kLengthBytes) {
    Fail("has " + std::to_string(file_bytes) + " bytes, fewer than the length of its header takes");
  }
  const auto header_bytes = LoadLittleEndian<std::uint64_t>(prefix.data());
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    Fail("claims a header of " + std::to_string(header_bytes) + " bytes; at most " +
         std::to_string(kMaxSafetensorsHeaderBytes) + " are read");
  }
  if (header_bytes > file_bytes - kLengthBytes) Fail("ends within its header");
  std::string header(header_bytes, '\0');
  if (file_->ReadAt(kLengthBytes, {reinterpret_cast<std::uint8_t*>(header.data()), header.size()}) != header_bytes) {
    Fail("became shorter while it was read");
  }
  ParseHeader(header, kLengthBytes + header_bytes, file_bytes);
}

void SafetensorsReader::Fail(const std::string& problem) const {
  throw Error(ErrorCode::kInvalidInput, where_ + " is not a usable safetensors file: it " + problem);
}

void SafetensorsReader::ParseHeader(std::string_view header, std::uint64_t data_start, std::uint64_t file_bytes) {
  // The format allows padding after the object only, and only spaces.
  if (!header.starts_with('{') || header.find_last_not_of(' ') != header.rfind('}')) {
    Fail("has a header that is not one JSON object padded with spaces");
  }
  const json object = ParseJsonObject(header, where_);
  for (const auto& [name, value] : object.items()) {
    if (name == kMetadataKey) {
      if (!value.is_object()) Fail("has metadata that is not an object");
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) Fail("has metadata whose values are not all texts");
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    if (!IsAllowedName(name)) Fail("has a tensor whose name is empty, too long or not printable ASCII");
    tensors_.push_back(ParseTensor(name, JsonFields(value, where_ + ": tensor " + name)));
  }

  // In the order of their bytes the tensors must follow one another and fill the rest of the file.
  std::vector<TensorInfo*> order;
  for (TensorInfo& tensor : tensors_) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
  });
  const std::uint64_t data_bytes = file_bytes - data_start;
  std::uint64_t next = 0;
  for (TensorInfo* tensor : order) {
    if (tensor->offset < next) Fail("has a tensor, " + tensor->name + ", that overlaps another");
    if (tensor->offset > next) Fail("has a gap before tensor " + tensor->name);
    if (tensor->bytes > data_bytes - next) Fail("ends within tensor " + tensor->name);
    next += tensor->bytes;
    tensor->offset += data_start;
  }
  if (next != data_bytes) Fail("has " + std::to_string(data_bytes - next) + " bytes that belong to no tensor");
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

const TensorInfo* SafetensorsReader::Find(std::string_view name) const {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const TensorInfo& tensor, std::string_view key) { return tensor.name < key; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

const TensorInfo& SafetensorsReader::Require(std::string_view name) const {
  const TensorInfo* tensor = Find(name);
  if (tensor == nullptr) throw Error(ErrorCode::kInvalidInput, where_ + " has no tensor " + std::string(name));
  return *tensor;
}

void SafetensorsReader::Read(const TensorInfo& tensor, std::uint64_t first_byte, std::span<std::uint8_t> out) const {
  if (first_byte > tensor.bytes || out.size() > tensor.bytes - first_byte) {
    throw Error(ErrorCode::kInternal, where_ + ": read beyond the end of tensor " + tensor.name);
  }
  if (file_->ReadAt(tensor.offset + first_byte, out) != out.size()) {
    Fail("became shorter while tensor " + tensor.name + " was read");
  }
}

SafetensorsWriter::SafetensorsWriter(FileSystem& files, const Path& path, std::vector<TensorInfo> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : where_(path.string()), tensors_(std::move(tensors)) {
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  json header = json::object();  // Keys in ascending byte order, because that is how this type keeps them.
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::uint64_t next = 0;
  for (TensorInfo& tensor : tensors_) {
    const auto bytes = BytesOf(tensor.dtype, tensor.shape);
    if (!IsAllowedName(tensor.name) || tensor.name == kMetadataKey || header.contains(tensor.name) || !bytes) {
      throw Error(ErrorCode::kInvalidInput,
                  "cannot write " + where_ + ": tensor '" + tensor.name + "' occurs twice or has a bad name or shape");
    }
    tensor.offset = next;
    tensor.bytes = *bytes;
    if (__builtin_add_overflow(next, *bytes, &next) || next > static_cast<std::uint64_t>(INT64_MAX)) {
      throw Error(ErrorCode::kInvalidInput, "cannot write " + where_ + ": the tensors are too large for one file");
    }
    header[tensor.name] = {
        {"data_offsets", {tensor.offset, next}}, {"dtype", DTypeName(tensor.dtype)}, {"shape", tensor.shape}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {  // Metadata that is not UTF-8.
    throw Error(ErrorCode::kInvalidInput, "cannot write " + where_ + ": " + error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // So that the first tensor is aligned for eight-byte values.
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    throw Error(ErrorCode::kInvalidInput, "cannot write " + where_ + ": names and metadata need a header of " +
                                              std::to_string(text.size()) + " bytes, more than readers accept");
  }
  for (TensorInfo& tensor : tensors_) tensor.offset += kLengthBytes + text.size();

  std::array<std::uint8_t, kLengthBytes> prefix{};
  StoreLittleEndian<std::uint64_t>(text.size(), prefix.data());
  file_ = files.Create(path);
  for (const ByteView part : {ByteView(prefix), AsBytes(text)}) {
    file_->Append(part);
    hash_.Update(part);
  }
  if (!tensors_.empty()) due_bytes_ = tensors_[0].bytes;
  SkipFilled();
}

void SafetensorsWriter::SkipFilled() {
  while (due_ < tensors_.size() && due_bytes_ == 0) {
    ++due_;
    if (due_ < tensors_.size()) due_bytes_ = tensors_[due_].bytes;
  }
}

void SafetensorsWriter::Append(std::string_view name, ByteView bytes) {
  if (bytes.empty()) return;
  if (due_ == tensors_.size() || tensors_[due_].name != name || bytes.size() > due_bytes_) {
    const std::string due = due_ == tensors_.size() ? "nothing" : tensors_[due_].name;
    throw Error(ErrorCode::kInvalidInput, "cannot write " + where_ + ": " + std::to_string(bytes.size()) +
                                              " bytes of tensor " + std::string(name) + " arrived where " +
                                              std::to_string(due_bytes_) + " of " + due + " were due");
  }
  file_->Append(bytes);
  hash_.Update(bytes);
  due_bytes_ -= bytes.size();
  SkipFilled();
}

Digest SafetensorsWriter::Finish(Durability durability) {
  if (due_ < tensors_.size()) {
    throw Error(ErrorCode::kInvalidInput, "cannot finish " + where_ + ": tensor " + tensors_[due_].name +
                                              " still needs " + std::to_string(due_bytes_) + " bytes");
  }
  if (durability == Durability::kSynced) file_->Sync();
  file_->Close();
  return hash_.Finish();
}

}  // namespace hemafed
