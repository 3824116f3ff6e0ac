// SPDX-License-Identifier: Apache-2.0
#include "codec/aggregate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <future>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/safetensors.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are read as they lie in memory");

namespace {

// Values handed to the writing thread at a time: enough that starting it costs nothing beside its work.
constexpr std::size_t kBlockValues = 131'072;
// Fewer values than this are hashed and written at once: not worth a thread.
constexpr std::size_t kThreadValues = 16'384;

std::span<std::uint8_t> AsWritableBytes(std::span<float> values) {
  return {reinterpret_cast<std::uint8_t*>(values.data()), values.size_bytes()};
}
ByteView BytesOf(std::span<const std::int32_t> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}
ByteView BytesOf(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

// theta' in place; returns whether all of it is finite. A base that is not finite cannot become so.
bool ApplySteps(const std::int32_t* __restrict steps, float* __restrict theta, std::size_t count) {
  constexpr double kGrid = 1.0 / (1 << kGridBits);
  constexpr std::uint32_t kExponent = 0x7f800000;  // All ones in infinities and in what is not a number.
  std::uint32_t broken = 0;
  for (std::size_t i = 0; i < count; ++i) {
    theta[i] = static_cast<float>(static_cast<double>(theta[i]) + static_cast<double>(steps[i]) * kGrid);
    broken |= (std::bit_cast<std::uint32_t>(theta[i]) & kExponent) == kExponent ? 1u : 0u;
  }
  return broken == 0;
}

UInt128 SumOfSquares(std::span<const std::int32_t> steps) {
  UInt128 sum = 0;
  for (const std::int32_t step : steps) {
    const auto wide = static_cast<std::int64_t>(step);
    sum += static_cast<std::uint64_t>(wide * wide);
  }
  return sum;
}

void RequireLayoutOf(const SafetensorsReader& base, const UpdateLayout& layout) {
  for (const TensorSpec& spec : layout.tensors) {
    const TensorInfo& tensor = base.Require(spec.name);
    if (tensor.dtype != DType::kF32 || tensor.shape != spec.shape) {
      throw Error(ErrorCode::kInvalidInput,
                  base.where() + ": tensor " + spec.name + " has another type or shape than the updates");
    }
  }
  const auto by_name = [](const TensorSpec& a, const TensorSpec& b) { return a.name >= b.name; };
  if (std::adjacent_find(layout.tensors.begin(), layout.tensors.end(), by_name) != layout.tensors.end()) {
    throw Error(ErrorCode::kInvalidInput, "the layout's tensors are not in ascending order of their names");
  }
}

// One block on its way from the summing thread to the writing one.
struct Block {
  std::string_view tensor;
  std::vector<std::int32_t> steps;
  std::vector<float> theta;
};

// What the second thread does: hash and write, in the order of the blocks.
class ResultWriter {
 public:
  ResultWriter(FileSystem& files, const SafetensorsReader& base, const Path& out, const std::optional<Path>& step_file)
      : model_(files, out, base.tensors(), base.metadata()) {
    if (step_file) step_file_ = files.Create(*step_file);
  }

  void Write(const Block& block) {
    const ByteView steps = BytesOf(block.steps);
    hash_.Update(steps);
    if (step_file_) step_file_->Append(steps);
    squared_norm_ += SumOfSquares(block.steps);
    model_.Append(block.tensor, BytesOf(block.theta));
  }
  void Copy(const SafetensorsReader& base, const TensorInfo& tensor) {
    Bytes bytes(std::min<std::uint64_t>(tensor.bytes, kBlockValues));
    for (std::uint64_t done = 0; done < tensor.bytes; done += bytes.size()) {
      bytes.resize(std::min<std::uint64_t>(tensor.bytes - done, kBlockValues));
      base.Read(tensor, done, bytes);
      model_.Append(tensor.name, bytes);
    }
  }
  [[nodiscard]] AggregateResult Finish(Durability durability) {
    if (step_file_) {
      if (durability == Durability::kSynced) step_file_->Sync();
      step_file_->Close();
    }
    return {hash_.Finish(), model_.Finish(durability), squared_norm_};
  }

 private:
  SafetensorsWriter model_;
  std::unique_ptr<WritableFile> step_file_;
  Sha256 hash_;
  UInt128 squared_norm_ = 0;
};

}  // namespace

AggregateResult Aggregate(FileSystem& files, const Path& base, const UpdateLayout& layout, const Merge& merge,
                          const Path& out, const std::optional<Path>& step_file, Durability durability) {
  const SafetensorsReader model = SafetensorsReader::Open(files, base);
  RequireLayoutOf(model, layout);
  StepReader steps(files, layout, merge);
  ResultWriter writer(files, model, out, step_file);

  // Two blocks: one is summed here while the other is hashed and written. The future is the last to be made and the
  // first to go, so that no exception leaves a thread with references to what is gone.
  Block blocks[2];
  std::size_t filling = 0;
  std::future<void> writing;
  const auto wait = [&] {
    if (writing.valid()) writing.get();
  };
  auto spec = layout.tensors.begin();
  for (const TensorInfo& tensor : model.tensors()) {
    if (spec == layout.tensors.end() || spec->name != tensor.name) {
      wait();
      writer.Copy(model, tensor);
      continue;
    }
    ++spec;
    for (std::uint64_t done = 0; done < tensor.Values();) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(tensor.Values() - done, kBlockValues));
      Block& block = blocks[filling];
      block.tensor = tensor.name;
      block.steps.resize(count);
      block.theta.resize(count);
      steps.Next(block.steps);
      model.Read(tensor, done * sizeof(float), AsWritableBytes(block.theta));
      if (!ApplySteps(block.steps.data(), block.theta.data(), count)) {
        throw Error(ErrorCode::kInvalidInput,
                    "tensor " + tensor.name + " of the new model holds values that are not finite");
      }
      wait();
      if (count < kThreadValues) {
        writer.Write(block);
      } else {
        writing = std::async(std::launch::async, [&writer, &block] { writer.Write(block); });
        filling = 1 - filling;
      }
      done += count;
    }
  }
  wait();
  return writer.Finish(durability);
}

}  // namespace hemafed
