// SPDX-License-Identifier: Apache-2.0
#include "codec/slow_model.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "codec/update.h"
#include "common/error.h"
#include "common/safetensors.h"

namespace hemafed {

namespace {

// Values of one block: far above what a read costs, far below what matters in memory.
constexpr std::size_t kBlockValues = 65'536;

std::span<std::uint8_t> AsWritableBytes(std::vector<float>& values) {
  return {reinterpret_cast<std::uint8_t*>(values.data()), values.size() * sizeof(float)};
}

void Follow(std::vector<float>& slow, const std::vector<float>& fast, double rate, const std::string& tensor) {
  bool finite = true;
  for (std::size_t i = 0; i < slow.size(); ++i) {
    const double from = slow[i];
    slow[i] = static_cast<float>(from + rate * (static_cast<double>(fast[i]) - from));
    finite = finite && std::isfinite(slow[i]);
  }
  if (!finite) {
    throw Error(ErrorCode::kInvalidInput, "tensor " + tensor + " of the slow model holds values that are not finite");
  }
}

}  // namespace

Digest FollowSlowly(FileSystem& files, const Path& slow, const Path& fast, const Path& out, std::uint32_t rate) {
  if (rate == 0 || rate > kSlowRateOne) throw Error(ErrorCode::kInvalidInput, "the slow model's rate is out of range");
  const SafetensorsReader from = SafetensorsReader::Open(files, slow);
  const SafetensorsReader to = SafetensorsReader::Open(files, fast);
  if (LayoutOfModel(from) != LayoutOfModel(to)) {
    throw Error(ErrorCode::kInvalidInput, from.where() + " and " + to.where() + " have different tensors");
  }
  SafetensorsWriter writer(files, out, to.tensors(), to.metadata());
  const double share = static_cast<double>(rate) / kSlowRateOne;
  std::vector<float> mine, theirs;
  for (const TensorInfo& tensor : to.tensors()) {
    const bool follows = tensor.dtype == DType::kF32 && !IsNormalisationBuffer(tensor.name);
    if (!follows) {
      Bytes bytes;
      for (std::uint64_t done = 0; done < tensor.bytes; done += bytes.size()) {
        bytes.resize(std::min<std::uint64_t>(tensor.bytes - done, kBlockValues));
        to.Read(tensor, done, bytes);
        writer.Append(tensor.name, bytes);
      }
      continue;
    }
    const TensorInfo& old = from.Require(tensor.name);
    for (std::uint64_t done = 0; done < tensor.Values(); done += theirs.size()) {
      theirs.resize(std::min<std::uint64_t>(tensor.Values() - done, kBlockValues));
      mine.resize(theirs.size());
      to.Read(tensor, done * sizeof(float), AsWritableBytes(theirs));
      from.Read(old, done * sizeof(float), AsWritableBytes(mine));
      Follow(mine, theirs, share, tensor.name);
      writer.Append(tensor.name, AsWritableBytes(mine));
    }
  }
  return writer.Finish();
}

}  // namespace hemafed
