// codec/plane_frame.h
// SPDX-License-Identifier: Apache-2.0
//
// Blocks of integers as byte planes in zstd frames: the body of update files (docs/update.md) and of feature sums
// (docs/feature_sums.md).
//
//     block = length frame                   length: u32, bytes of the frame
//     frame = one zstd frame (RFC 8878) with content checksum; holds exactly n planes of `values` bytes
//
// Plane p is byte p of each zigzag number, lowest byte first, n = bytes of an integer (4 or 8): small values of either
// sign leave the high planes zero. zigzag(q) = (q << 1) xor (all ones if q < 0).
//
// Errors of reading: kInvalidInput "<what>: ... in block <n>", for every length, frame and size that is not exactly as
// it should be; kInternal when zstd cannot be set up. Nothing a file claims is reserved before it is checked.
// Thread-safety: one object belongs to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/file_system.h"

namespace hemafed {

// Values of one block at most. Small enough for the second-level cache, large enough that zstd's tables pay.
inline constexpr std::size_t kPlaneBlockValues = 65'536;

// Largest block that so many integers of so many bytes can need, its length included.
[[nodiscard]] std::uint64_t MaxPlaneBlockBytes(std::uint64_t values, std::size_t integer_bytes);

class PlaneFrameWriter {
 public:
  // `where` names the file in errors.
  explicit PlaneFrameWriter(std::string where);
  ~PlaneFrameWriter();
  PlaneFrameWriter(PlaneFrameWriter&&) noexcept;
  PlaneFrameWriter& operator=(PlaneFrameWriter&&) noexcept;

  // The block for 1 to kPlaneBlockValues values; valid until the next call. For std::int32_t and std::int64_t.
  template <typename Integer>
  [[nodiscard]] ByteView Encode(std::span<const Integer> values);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class PlaneFrameReader {
 public:
  // `what` begins the messages: "update file".
  explicit PlaneFrameReader(std::string what);
  ~PlaneFrameReader();
  PlaneFrameReader(PlaneFrameReader&&) noexcept;
  PlaneFrameReader& operator=(PlaneFrameReader&&) noexcept;

  // Fills `values` (1 to kPlaneBlockValues) from block number `block`, which begins at `offset`; returns the offset
  // behind it. For std::int32_t and std::int64_t.
  template <typename Integer>
  [[nodiscard]] std::uint64_t Read(const ReadableFile& file, std::uint64_t offset, std::uint64_t block,
                                   std::span<Integer> values);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hemafed
