// SPDX-License-Identifier: Apache-2.0
//
// The container of an update (docs/update.md).
#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "codec/plane_frame.h"
#include "codec/update.h"
#include "common/bytes.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are written as they lie in memory");

namespace {

// Header: magic, version, grid bits, zero, number of values, layout.
constexpr std::array<std::uint8_t, 4> kMagic{'H', 'F', 'U', '\n'};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4 + 2 + 1 + 1 + 8 + 32;
static_assert(kUpdateBlockValues == kPlaneBlockValues);

[[noreturn]] void Damaged(const std::string& what) { throw Error(ErrorCode::kInvalidInput, "update file: " + what); }

ByteView CanonicalBytes(std::span<const std::int32_t> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

std::array<std::uint8_t, kHeaderBytes> MakeHeader(const UpdateLayout& layout, int grid_bits) {
  std::array<std::uint8_t, kHeaderBytes> header{};
  std::copy(kMagic.begin(), kMagic.end(), header.begin());
  StoreLittleEndian<std::uint16_t>(kVersion, &header[4]);
  header[6] = static_cast<std::uint8_t>(grid_bits);
  StoreLittleEndian<std::uint64_t>(layout.ValueCount(), &header[8]);
  const Digest hash = layout.Hash();
  std::copy(hash.bytes.begin(), hash.bytes.end(), &header[16]);
  return header;
}

void CheckHeader(const ReadableFile& file, const UpdateLayout& layout, int grid_bits) {
  std::array<std::uint8_t, kHeaderBytes> header{};
  if (file.ReadAt(0, header) != kHeaderBytes) Damaged("ends within its header");
  if (!std::equal(kMagic.begin(), kMagic.end(), header.begin())) Damaged("does not begin as one");
  const auto version = LoadLittleEndian<std::uint16_t>(&header[4]);
  if (version != kVersion) {
    Damaged("has version " + std::to_string(version) + "; this program reads " + std::to_string(kVersion));
  }
  if (header[6] != grid_bits) {
    Damaged("is rounded to 2^-" + std::to_string(header[6]) + ", the plan wants 2^-" + std::to_string(grid_bits));
  }
  if (header[7] != 0) Damaged("has a header with bits that mean nothing");
  const auto values = LoadLittleEndian<std::uint64_t>(&header[8]);
  if (values != layout.ValueCount()) {
    Damaged("holds " + std::to_string(values) + " values, the model needs " + std::to_string(layout.ValueCount()));
  }
  const Digest hash = layout.Hash();
  if (!std::equal(hash.bytes.begin(), hash.bytes.end(), &header[16])) {
    Damaged("belongs to a model with other tensors");
  }
}

UInt128 SumOfSquares(std::span<const std::int32_t> values) {
  UInt128 sum = 0;
  for (const std::int32_t value : values) {
    const auto wide = static_cast<std::int64_t>(value);
    sum += static_cast<std::uint64_t>(wide * wide);  // At most 2^62.
  }
  return sum;
}

}  // namespace

std::uint64_t MaxUpdateFileBytes(std::uint64_t values) {
  const auto block_bytes = [](std::uint64_t count) { return MaxPlaneBlockBytes(count, sizeof(std::int32_t)); };
  std::uint64_t bytes = kHeaderBytes + values / kUpdateBlockValues * block_bytes(kUpdateBlockValues);
  if (values % kUpdateBlockValues != 0) bytes += block_bytes(values % kUpdateBlockValues);
  return bytes;
}

struct UpdateWriter::State {
  std::string where;
  std::unique_ptr<WritableFile> file;
  PlaneFrameWriter frames;
  Sha256 values_hash, file_hash;
  std::uint64_t missing = 0;  // Values still to come.
  std::uint64_t file_bytes = 0;
  std::vector<std::int32_t> block;  // Values waiting to fill one.

  explicit State(const Path& path) : where(path.string()), frames(where) {}

  void Write(ByteView bytes) {
    file->Append(bytes);
    file_hash.Update(bytes);
    file_bytes += bytes.size();
  }

  void WriteBlock() {
    values_hash.Update(CanonicalBytes(block));
    Write(frames.Encode<std::int32_t>(block));
    block.clear();
  }
};

UpdateWriter::UpdateWriter(FileSystem& files, const Path& path, const UpdateLayout& layout, int grid_bits)
    : state_(std::make_unique<State>(path)) {
  State& s = *state_;
  s.missing = layout.ValueCount();
  s.block.reserve(kUpdateBlockValues);
  s.file = files.Create(path);
  s.Write(MakeHeader(layout, grid_bits));
}

UpdateWriter::~UpdateWriter() = default;
UpdateWriter::UpdateWriter(UpdateWriter&&) noexcept = default;
UpdateWriter& UpdateWriter::operator=(UpdateWriter&&) noexcept = default;

void UpdateWriter::Append(std::span<const std::int32_t> values) {
  State& s = *state_;
  if (values.size() > s.missing) {
    throw Error(ErrorCode::kInvalidInput, "cannot write " + s.where + ": more values than the layout has");
  }
  s.missing -= values.size();
  while (!values.empty()) {
    const std::size_t taken = std::min(values.size(), kUpdateBlockValues - s.block.size());
    s.block.insert(s.block.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(taken));
    values = values.subspan(taken);
    if (s.block.size() == kUpdateBlockValues) s.WriteBlock();
  }
}

UpdateFileInfo UpdateWriter::Finish(Durability durability) {
  State& s = *state_;
  if (s.missing > 0) {
    throw Error(ErrorCode::kInvalidInput,
                "cannot finish " + s.where + ": " + std::to_string(s.missing) + " values are missing");
  }
  if (!s.block.empty()) s.WriteBlock();
  if (durability == Durability::kSynced) s.file->Sync();
  s.file->Close();
  return {s.values_hash.Finish(), s.file_hash.Finish(), s.file_bytes};
}

DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, const UpdateSink& sink,
                           int grid_bits) {
  CheckHeader(file, layout, grid_bits);
  PlaneFrameReader frames("update file");
  std::vector<std::int32_t> values(kUpdateBlockValues);

  Sha256 hash;
  UInt128 squared_norm = 0;
  std::uint64_t offset = kHeaderBytes;
  std::uint64_t missing = layout.ValueCount();
  for (std::uint64_t block = 0; missing > 0; ++block) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(missing, kUpdateBlockValues));
    const std::span<std::int32_t> part(values.data(), count);
    offset = frames.Read(file, offset, block, part);
    hash.Update(CanonicalBytes(part));
    squared_norm += SumOfSquares(part);
    sink(part);
    missing -= count;
  }
  const std::uint64_t size = file.Size();
  if (size != offset) Damaged("has " + std::to_string(size - offset) + " bytes after its last block");
  return {hash.Finish(), squared_norm};
}

DecodedUpdate DecodeUpdate(const ReadableFile& file, const UpdateLayout& layout, WritableFile& raw, int grid_bits) {
  const auto append = [&](std::span<const std::int32_t> values) { raw.Append(CanonicalBytes(values)); };
  return DecodeUpdate(file, layout, append, grid_bits);
}

}  // namespace hemafed
