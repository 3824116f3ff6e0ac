// SPDX-License-Identifier: Apache-2.0
#include "codec/head_growth.h"

#include <cmath>
#include <string>

#include "codec/update.h"
#include "common/error.h"
#include "common/random.h"

namespace hemafed {

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
  HeadValues head = ReadHead(model);
  if (classes_after < head.classes() || classes_after == 0 || classes_after > kMaxHeadClasses) {
    throw Error(ErrorCode::kInvalidInput, "cannot grow the head of " + model.where() + ": it has " +
                                              std::to_string(head.classes()) + " classes and cannot get " +
                                              std::to_string(classes_after));
  }
  for (auto row = static_cast<std::uint32_t>(head.classes()); row < classes_after; ++row) {
    const std::vector<float> weights = NewHeadRow(seed, task, row, head.width);
    head.weight.insert(head.weight.end(), weights.begin(), weights.end());
  }
  head.bias.resize(classes_after, 0.0F);
  return WriteWithHead(files, model, out, head);
}

}  // namespace hemafed
