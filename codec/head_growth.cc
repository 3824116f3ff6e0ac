// SPDX-License-Identifier: Apache-2.0
#include "codec/head_growth.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"

namespace hemafed {

namespace {

// Bytes copied at a time.
constexpr std::size_t kCopyBytes = 1 << 18;

struct Head {
  std::uint32_t classes = 0;
  std::uint32_t width = 0;
};

[[noreturn]] void Fail(const SafetensorsReader& model, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "cannot grow the head of " + model.where() + ": " + problem);
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

Head HeadOf(const SafetensorsReader& model) {
  const TensorInfo* weight = model.Find(kHeadWeight);
  const TensorInfo* bias = model.Find(kHeadBias);
  if (weight == nullptr && bias == nullptr) return {0, WidthFromMetadata(model)};
  if (weight == nullptr || bias == nullptr) Fail(model, "it has only one of head.weight and head.bias");
  const bool fits = weight->dtype == DType::kF32 && bias->dtype == DType::kF32 && weight->shape.size() == 2 &&
                    bias->shape.size() == 1 && bias->shape[0] == weight->shape[0] && weight->shape[0] >= 1 &&
                    weight->shape[0] <= kMaxHeadClasses && weight->shape[1] >= 1 &&
                    weight->shape[1] <= kMaxFeatureWidth;
  if (!fits) Fail(model, "head.weight and head.bias are not float32 of shapes [C,d] and [C]");
  return {static_cast<std::uint32_t>(weight->shape[0]), static_cast<std::uint32_t>(weight->shape[1])};
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

std::vector<float> NewHeadRow(std::uint64_t seed, std::uint32_t task, std::uint32_t row, std::uint32_t width) {
  // floor(2^22 / sqrt(d)) is the integer root of floor(2^44 / d).
  constexpr std::uint64_t kGridSquared = std::uint64_t{1} << (2 * kGridBits);
  const std::uint64_t square = kGridSquared / width;
  auto bound = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(square)));
  while (bound * bound > square) --bound;
  while ((bound + 1) * (bound + 1) <= square) ++bound;

  std::vector<float> weights(width);
  for (std::uint32_t column = 0; column < width; ++column) {
    const std::uint64_t word = Philox4x32(seed, {task, row, column, 0})[0];
    const auto step = static_cast<std::int64_t>((word * (2 * bound + 1)) >> 32) - static_cast<std::int64_t>(bound);
    weights[column] = std::ldexp(static_cast<float>(step), -kGridBits);  // Exact: at most 2^22 steps.
  }
  return weights;
}

Digest GrowHead(FileSystem& files, const Path& in, const Path& out, std::uint64_t seed, std::uint32_t task,
                std::size_t classes_after) {
  const SafetensorsReader model = SafetensorsReader::Open(files, in);
  const Head head = HeadOf(model);
  if (classes_after < head.classes || classes_after == 0 || classes_after > kMaxHeadClasses) {
    Fail(model, "it has " + std::to_string(head.classes) + " classes and cannot get " + std::to_string(classes_after));
  }
  const auto rows = static_cast<std::int64_t>(classes_after);
  std::vector<TensorInfo> tensors;
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.name != kHeadWeight && tensor.name != kHeadBias) tensors.push_back(tensor);
  }
  tensors.push_back({.name = std::string(kHeadWeight), .dtype = DType::kF32, .shape = {rows, head.width}});
  tensors.push_back({.name = std::string(kHeadBias), .dtype = DType::kF32, .shape = {rows}});

  SafetensorsWriter writer(files, out, std::move(tensors), model.metadata());
  const Bytes new_biases((classes_after - head.classes) * sizeof(float), 0);
  for (const TensorInfo& tensor : writer.tensors()) {
    if (const TensorInfo* old = model.Find(tensor.name)) CopyTensor(model, *old, writer);
    if (tensor.name == kHeadBias) writer.Append(tensor.name, new_biases);
    if (tensor.name != kHeadWeight) continue;
    for (auto row = head.classes; row < static_cast<std::uint32_t>(classes_after); ++row) {
      Bytes bytes;
      for (const float weight : NewHeadRow(seed, task, row, head.width)) {
        bytes.resize(bytes.size() + sizeof(float));
        StoreLittleEndian(std::bit_cast<std::uint32_t>(weight), &bytes[bytes.size() - sizeof(float)]);
      }
      writer.Append(tensor.name, bytes);
    }
  }
  return writer.Finish();
}

}  // namespace hemafed
