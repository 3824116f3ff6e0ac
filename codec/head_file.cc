// SPDX-License-Identifier: Apache-2.0
#include "codec/head_file.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <string>
#include <utility>

#include "common/bytes.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "tensors are read as they lie in memory");

namespace {

// Bytes copied at a time.
constexpr std::size_t kCopyBytes = 1 << 18;

[[noreturn]] void Fail(const SafetensorsReader& model, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "the head of " + model.where() + ": " + problem);
}

std::uint32_t WidthFromMetadata(const SafetensorsReader& model) {
  const auto found = model.metadata().find(std::string(kFeatureWidthKey));
  if (found == model.metadata().end()) Fail(model, "it has no head, and no metadata " + std::string(kFeatureWidthKey));
  const std::string& text = found->second;
  std::uint32_t width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  if (error != std::errc() || end != text.data() + text.size() || width == 0 || width > kMaxFeatureWidth) {
    Fail(model, "its metadata " + std::string(kFeatureWidthKey) + " is no number from 1 to " +
                    std::to_string(kMaxFeatureWidth));
  }
  return width;
}

std::vector<float> ReadFloats(const SafetensorsReader& model, const TensorInfo& tensor) {
  std::vector<float> values(tensor.Values());
  model.Read(tensor, 0, {reinterpret_cast<std::uint8_t*>(values.data()), tensor.bytes});
  return values;
}

ByteView BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)};
}

void CopyTensor(const SafetensorsReader& model, const TensorInfo& tensor, SafetensorsWriter& writer) {
  Bytes bytes;
  for (std::uint64_t done = 0; done < tensor.bytes; done += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(tensor.bytes - done, kCopyBytes));
    model.Read(tensor, done, bytes);
    writer.Append(tensor.name, bytes);
  }
}

}  // namespace

HeadValues ReadHead(const SafetensorsReader& model) {
  const TensorInfo* weight = model.Find(kHeadWeight);
  const TensorInfo* bias = model.Find(kHeadBias);
  if (weight == nullptr && bias == nullptr) return {.width = WidthFromMetadata(model), .weight = {}, .bias = {}};
  if (weight == nullptr || bias == nullptr) Fail(model, "it has only one of head.weight and head.bias");
  const bool fits = weight->dtype == DType::kF32 && bias->dtype == DType::kF32 && weight->shape.size() == 2 &&
                    bias->shape.size() == 1 && bias->shape[0] == weight->shape[0] && weight->shape[0] >= 1 &&
                    weight->shape[0] <= kMaxHeadClasses && weight->shape[1] >= 1 &&
                    weight->shape[1] <= kMaxFeatureWidth;
  if (!fits) Fail(model, "head.weight and head.bias are not float32 of shapes [C,d] and [C]");
  return {.width = static_cast<std::uint32_t>(weight->shape[1]),
          .weight = ReadFloats(model, *weight),
          .bias = ReadFloats(model, *bias)};
}

Digest WriteWithHead(FileSystem& files, const SafetensorsReader& model, const Path& out, const HeadValues& head) {
  if (head.classes() == 0 || head.classes() > kMaxHeadClasses || head.weight.size() != head.classes() * head.width) {
    Fail(model, "a new one of " + std::to_string(head.classes()) + " classes does not fit");
  }
  const auto rows = static_cast<std::int64_t>(head.classes());
  std::vector<TensorInfo> tensors;
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.name != kHeadWeight && tensor.name != kHeadBias) tensors.push_back(tensor);
  }
  tensors.push_back({.name = std::string(kHeadWeight), .dtype = DType::kF32, .shape = {rows, head.width}});
  tensors.push_back({.name = std::string(kHeadBias), .dtype = DType::kF32, .shape = {rows}});

  SafetensorsWriter writer(files, out, std::move(tensors), model.metadata());
  for (const TensorInfo& tensor : writer.tensors()) {
    if (tensor.name == kHeadWeight) {
      writer.Append(tensor.name, BytesOf(head.weight));
    } else if (tensor.name == kHeadBias) {
      writer.Append(tensor.name, BytesOf(head.bias));
    } else {
      CopyTensor(model, model.Require(tensor.name), writer);
    }
  }
  return writer.Finish();
}

}  // namespace hemafed
