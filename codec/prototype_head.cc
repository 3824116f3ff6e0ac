// SPDX-License-Identifier: Apache-2.0
#include "codec/prototype_head.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>

#include "codec/exact.h"
#include "codec/head_file.h"
#include "common/bytes.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are read as they lie in memory");

namespace {

// Rounding moves the length of a mean by at most half a unit a coordinate; a mean of d of them stays below this square.
UInt128 LargestSquare(std::size_t width) {
  const auto longest = static_cast<std::uint64_t>(kMaxMean) + static_cast<std::uint64_t>(std::sqrt(width)) + 1;
  return static_cast<UInt128>(longest) * longest;
}

// Sizes of the layout's one tensor.
std::pair<std::size_t, std::size_t> ShapeOf(const UpdateLayout& layout) {
  const std::vector<std::int64_t>& shape = layout.tensors.at(0).shape;
  return {static_cast<std::size_t>(shape.at(0)), static_cast<std::size_t>(shape.at(1))};
}

}  // namespace

UpdateLayout MeansLayout(std::size_t classes, std::size_t features) {
  return {{{.name = "means", .shape = {static_cast<std::int64_t>(classes), static_cast<std::int64_t>(features)}}}};
}

UpdateLayout MeansLayout(const UpdateLayout& model) {
  for (const TensorSpec& tensor : model.tensors) {
    if (tensor.name != kHeadWeight || tensor.shape.size() != 2) continue;
    return MeansLayout(static_cast<std::size_t>(tensor.shape[0]), static_cast<std::size_t>(tensor.shape[1]));
  }
  throw Error(ErrorCode::kInvalidInput, "class means need a model with a head");
}

std::vector<std::int32_t> ReadMeans(const ReadableFile& raw, const UpdateLayout& layout) {
  std::vector<std::int32_t> values(layout.ValueCount());
  const std::size_t bytes = values.size() * sizeof(std::int32_t);
  if (raw.Size() != bytes || raw.ReadAt(0, {reinterpret_cast<std::uint8_t*>(values.data()), bytes}) != bytes) {
    throw Error(ErrorCode::kInvalidInput, "class means have another length than " + std::to_string(bytes) + " bytes");
  }
  return values;
}

std::optional<std::string> WhyNoMeans(std::span<const std::int32_t> means, const UpdateLayout& layout,
                                      const ClassCounts& counts) {
  const auto [classes, width] = ShapeOf(layout);
  if (means.size() != classes * width) return "the class means have another length";
  const UInt128 most = LargestSquare(width);
  for (std::size_t label = 0; label < counts.size(); ++label) {
    const std::string named = "class " + std::to_string(label) + " ";
    if (label >= classes) {
      if (counts[label]) return named + "is not known yet, but has a mean";
      continue;
    }
    UInt128 square = 0;
    for (const std::int32_t value : means.subspan(label * width, width)) {
      const auto wide = static_cast<std::int64_t>(value);
      square += static_cast<std::uint64_t>(wide * wide);
    }
    if (!counts[label] && square != 0) return named + "has a mean, but no count: it may not leave the lab";
    if (counts[label] && square > most) return named + "has a mean that is longer than 1";
  }
  return std::nullopt;
}

Digest WritePrototypeHead(FileSystem& files, const Path& in, const Path& out, std::span<const SiteMeans> sites) {
  const SafetensorsReader model = SafetensorsReader::Open(files, in);
  HeadValues head = ReadHead(model);
  const std::size_t width = head.width;
  std::vector<std::vector<std::int32_t>> means;
  for (const SiteMeans& site : sites) {
    means.push_back(ReadMeans(*files.OpenForRead(site.values), MeansLayout(head.classes(), width)));
  }

  for (std::size_t label = 0; label < head.classes(); ++label) {
    std::vector<std::int64_t> sum(width);
    for (std::size_t s = 0; s < sites.size(); ++s) {
      const auto count = static_cast<std::int64_t>(sites[s].counts.at(label).value_or(0));
      if (count == 0) continue;
      for (std::size_t column = 0; column < width; ++column) sum[column] += count * means[s][label * width + column];
    }
    UInt128 square = 0;
    for (const std::int64_t value : sum) {
      const auto wide = static_cast<Int128>(value);
      square += static_cast<UInt128>(wide * wide);
    }
    const double length = std::sqrt(static_cast<double>(square));
    head.bias[label] = square == 0 ? -1.0F : 0.0F;
    for (std::size_t column = 0; column < width; ++column) {
      const double unit = square == 0 ? 0.0 : static_cast<double>(sum[column]) / length;
      head.weight[label * width + column] =
          static_cast<float>(std::ldexp(RoundHalfEven(std::ldexp(unit, kGridBits)), -kGridBits));
    }
  }
  return WriteWithHead(files, model, out, head);
}

}  // namespace hemafed
