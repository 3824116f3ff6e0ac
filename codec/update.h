// codec/update.h
// SPDX-License-Identifier: Apache-2.0
//
// An update as integers: the difference between a locally trained model and the round's base, rounded onto a grid.
//
//     q = round_half_even((double(local) - double(base) + residual) * 2^grid_bits)        per value, int32
//     residual' = (double(local) - double(base) + residual) - q * 2^-grid_bits            stays at the site
//
// For thin links an update is rounded more coarsely, in scale blocks of 256 successive values of one tensor (the last
// one of a tensor is what is left; no block crosses tensors), each with its own exponent e:
//
//     e  = smallest e >= 0 with |delta| <= 127 * 2^e * 2^-grid_bits in the whole block      e <= 24, or it is refused
//     q8 = round_half_even(delta * 2^(grid_bits - e)),  q = q8 * 2^e                        delta with the residual
//     residual' = delta - q * 2^-grid_bits              at most 2^(e - 1) grid steps
//
// Its canonical form is the same int32 of the grid, so that digests, norms, merging and replay do not know of it. The
// residual is the error feedback that makes coarse rounding converge (Karimireddy et al., "Error Feedback Fixes SignSGD
// and other Gradient Compression Schemes", ICML 2019): over any number of rounds the decoded updates and the last
// residual sum to the true differences, up to the residual's float32 rounding of at most 2^(e - 25) grid steps a round.
//
// Canonical form: the little-endian int32 of all tensors of the layout in order, nothing else. Its SHA-256 is the
// update's digest, whatever compressor carried it. The container (".hfu", docs/update.md) holds blocks of 65,536
// values, one zstd frame each (codec/update_body.h). Writing and reading take about 1 MB, however large the model.
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

// Values that share an exponent in the int8 encoding. Shorter blocks pay more for exponents, longer ones let one
// outlier coarsen more values: docs/update.md has the figures.
inline constexpr std::size_t kScaleBlockValues = 256;

// The number is the header's byte.
enum class UpdateEncoding : std::uint8_t { kInt32 = 0, kInt8 = 1 };

[[nodiscard]] std::string_view UpdateEncodingName(UpdateEncoding encoding) noexcept;

// What a plan fixes about updates.
struct UpdateFormat {
  UpdateEncoding encoding = UpdateEncoding::kInt32;
  int grid_bits = kGridBits;
  bool operator==(const UpdateFormat&) const = default;
};

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

// Rounds one whole tensor. All spans have the same length. `residual` holds what earlier roundings left over (zeros at
// first) and receives what this one leaves. kInvalidInput, naming `tensor` and the index, for a value that is not
// finite or does not fit the format; the outputs are then half written.
void QuantizeDelta(std::string_view tensor, std::span<const float> local, std::span<const float> base,
                   std::span<float> residual, std::span<std::int32_t> out, const UpdateFormat& format = {});

// Sum of q^2 of each tensor, from the canonical form; `raw` has the layout's length.
[[nodiscard]] std::vector<UInt128> SquaredNorms(const ReadableFile& raw, const UpdateLayout& layout);

// Whether sqrt(squared_norm) * 2^-grid_bits <= bound, decided exactly: the sum of squared integers against the square
// of the double. `bound` must be finite and not negative.
[[nodiscard]] bool WithinNormBound(UInt128 squared_norm, double bound, int grid_bits = kGridBits);
// The norm in model units, for people; not for decisions.
[[nodiscard]] double NormOf(UInt128 squared_norm, int grid_bits = kGridBits);

// Largest container that an update can need, in bytes: what a receiver reserves room for. The second is the bound of
// int32 for any layout of so many values, which no int8 file exceeds either.
[[nodiscard]] std::uint64_t MaxUpdateFileBytes(const UpdateLayout& layout, UpdateEncoding encoding);
[[nodiscard]] std::uint64_t MaxUpdateFileBytes(std::uint64_t values);

struct UpdateFileInfo {
  Digest values;  // Of the canonical form.
  Digest file;    // Of the container.
  std::uint64_t file_bytes = 0;
};

class UpdateWriter {
 public:
  // Creates the file. `files` is used during the call only.
  UpdateWriter(FileSystem& files, const Path& path, const UpdateLayout& layout, const UpdateFormat& format = {});
  ~UpdateWriter();
  UpdateWriter(UpdateWriter&&) noexcept;
  UpdateWriter& operator=(UpdateWriter&&) noexcept;

  // The next values in the layout's order, in pieces of any size. kInvalidInput when there are more than the layout
  // has, or when they are not on the scale of int8.
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
// error is to be thrown away. The digest is computed, not compared: that is the caller's decision. A file of another
// format than `format` is refused.
[[nodiscard]] DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, const UpdateSink& sink,
                                         const UpdateFormat& format = {});
// The same into `raw`, which then holds the canonical form; not synced, not closed.
[[nodiscard]] DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, WritableFile& raw,
                                         const UpdateFormat& format = {});

}  // namespace hemafed
