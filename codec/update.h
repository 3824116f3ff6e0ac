// codec/update.h
// SPDX-License-Identifier: Apache-2.0
//
// An update as integers: the difference between a locally trained model and the round's base, rounded onto a grid.
//
//     q = round_half_even((double(local) - double(base) + residual) * 2^grid_bits)        per value, int32
//     residual' = (double(local) - double(base) + residual) - q * 2^-grid_bits            stays at the site
//
// Canonical form: the little-endian int32 of all tensors of the layout in order, nothing else. Its SHA-256 is the
// update's digest, whatever compressor carried it. The container (".hfu", docs/update.md) holds blocks of 65,536
// values: zigzag, four byte planes, one zstd frame each. Writing and reading take about 1 MB, however large the model.
//
// Errors: kInvalidInput for a model, tensor or file that breaks the rules, naming it; otherwise those of FileSystem.
// Thread-safety: value types and free functions; one writer belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/exact.h"
#include "common/file_system.h"
#include "common/safetensors.h"
#include "common/sha256.h"

namespace hemafed {

// Grid of 2^-22: a float32 weight of magnitude 1 resolves 2^-23, and int32 then spans +-512.
inline constexpr int kGridBits = 22;
// Values of one compressed block. Small enough for the second-level cache, large enough that zstd's tables pay.
inline constexpr std::size_t kUpdateBlockValues = 65'536;

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;

  [[nodiscard]] std::uint64_t ValueCount() const;
  bool operator==(const TensorSpec&) const = default;
};

// What an update contains, in ascending byte order of the names.
struct UpdateLayout {
  std::vector<TensorSpec> tensors;

  [[nodiscard]] std::uint64_t ValueCount() const;
  // SHA-256 of the canonical JSON [["name",[sizes...]],...].
  [[nodiscard]] Digest Hash() const;
  bool operator==(const UpdateLayout&) const = default;
};

// Normalisation buffers (.running_mean, .running_var, .num_batches_tracked) travel in no update (docs/decisions.md, 5).
[[nodiscard]] bool IsNormalisationBuffer(std::string_view tensor);
// Every F32 tensor of the model that is not one.
[[nodiscard]] UpdateLayout LayoutOfModel(const SafetensorsReader& model);

// Rounds one tensor. All spans have the same length. `residual` holds what earlier roundings left over (zeros at first)
// and receives what this one leaves: at most half a grid step. kInvalidInput, naming `tensor` and the index, for a
// value that is not finite or does not fit int32; the outputs are then half written.
void QuantizeDelta(std::string_view tensor, std::span<const float> local, std::span<const float> base,
                   std::span<float> residual, std::span<std::int32_t> out, int grid_bits = kGridBits);

// Whether sqrt(squared_norm) * 2^-grid_bits <= bound, decided exactly: the sum of squared integers against the square
// of the double. `bound` must be finite and not negative.
[[nodiscard]] bool WithinNormBound(UInt128 squared_norm, double bound, int grid_bits = kGridBits);
// The norm in model units, for people; not for decisions.
[[nodiscard]] double NormOf(UInt128 squared_norm, int grid_bits = kGridBits);

// Largest container that so many values can need, in bytes: what a receiver reserves room for.
[[nodiscard]] std::uint64_t MaxUpdateFileBytes(std::uint64_t values);

struct UpdateFileInfo {
  Digest values;  // Of the canonical form.
  Digest file;    // Of the container.
  std::uint64_t file_bytes = 0;
};

class UpdateWriter {
 public:
  // Creates the file. `files` is used during the call only.
  UpdateWriter(FileSystem& files, const Path& path, const UpdateLayout& layout, int grid_bits = kGridBits);
  ~UpdateWriter();
  UpdateWriter(UpdateWriter&&) noexcept;
  UpdateWriter& operator=(UpdateWriter&&) noexcept;

  // The next values in the layout's order, in pieces of any size. kInvalidInput when there are more than the layout
  // has.
  void Append(std::span<const std::int32_t> values);
  // Syncs and closes the file. kInvalidInput if values are missing.
  [[nodiscard]] UpdateFileInfo Finish(Durability durability = Durability::kSynced);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct DecodedUpdate {
  Digest values;             // Of the canonical form.
  UInt128 squared_norm = 0;  // Sum of q^2.
};

// Receives the values in order, in pieces of at most kUpdateBlockValues.
using UpdateSink = std::function<void(std::span<const std::int32_t>)>;

// Reads a container from anybody: every length is checked before it is used. Whatever was handed to the sink before an
// error is to be thrown away. The digest is computed, not compared: that is the caller's decision.
[[nodiscard]] DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, const UpdateSink& sink,
                                         int grid_bits = kGridBits);
// The same into `raw`, which then holds the canonical form; not synced, not closed.
[[nodiscard]] DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, WritableFile& raw,
                                         int grid_bits = kGridBits);

}  // namespace hemafed
