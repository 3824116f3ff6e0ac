// SPDX-License-Identifier: Apache-2.0
#include "codec/aligned_head.h"

#include <cmath>
#include <string>

#include "codec/exact.h"
#include "codec/head_file.h"
#include "codec/update.h"
#include "common/error.h"

namespace hemafed {

namespace {

// Mean of the lengths of rows first .. end-1.
double MeanLength(const HeadValues& head, std::size_t first, std::size_t end) {
  double sum = 0;
  for (std::size_t row = first; row < end; ++row) {
    double squares = 0;
    for (std::size_t column = 0; column < head.width; ++column) {
      const auto weight = static_cast<double>(head.weight[row * head.width + column]);
      squares += weight * weight;
    }
    sum += std::sqrt(squares);
  }
  return sum / static_cast<double>(end - first);
}

}  // namespace

Digest AlignHead(FileSystem& files, const Path& in, const Path& out, std::size_t old_classes) {
  const SafetensorsReader model = SafetensorsReader::Open(files, in);
  HeadValues head = ReadHead(model);
  if (old_classes == 0 || old_classes >= head.classes()) {
    throw Error(ErrorCode::kInvalidInput, "cannot align the head of " + model.where() + ": of its " +
                                              std::to_string(head.classes()) + " rows " + std::to_string(old_classes) +
                                              " are old");
  }
  const double old_length = MeanLength(head, 0, old_classes);
  const double new_length = MeanLength(head, old_classes, head.classes());
  if (old_length > 0 && new_length > 0) {
    const double factor = old_length / new_length;
    for (std::size_t i = old_classes * head.width; i < head.weight.size(); ++i) {
      const double scaled = static_cast<double>(head.weight[i]) * factor;
      head.weight[i] = static_cast<float>(std::ldexp(RoundHalfEven(std::ldexp(scaled, kGridBits)), -kGridBits));
    }
  }
  return WriteWithHead(files, model, out, head);
}

}  // namespace hemafed
