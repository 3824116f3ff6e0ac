// SPDX-License-Identifier: Apache-2.0
#include "codec/plane_frame.h"

#include <zstd.h>

#include <array>
#include <type_traits>
#include <utility>

#include "common/bytes.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kMaxIntegerBytes = 8;
// The planes of small integers are almost all zero; higher levels gain a percent and cost seconds.
constexpr int kZstdLevel = 1;

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Byte p of all zigzag numbers, then byte p+1.
template <typename Integer>
void Split(std::span<const Integer> values, std::uint8_t* planes) {
  using Unsigned = std::make_unsigned_t<Integer>;
  const std::size_t n = values.size();
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = static_cast<Unsigned>(values[i]);
    const Unsigned zigzag = (bits << 1) ^ (values[i] < 0 ? ~Unsigned{0} : Unsigned{0});
    for (std::size_t p = 0; p < sizeof(Integer); ++p) planes[p * n + i] = static_cast<std::uint8_t>(zigzag >> (8 * p));
  }
}

template <typename Integer>
void Join(const std::uint8_t* planes, std::span<Integer> values) {
  using Unsigned = std::make_unsigned_t<Integer>;
  const std::size_t n = values.size();
  for (std::size_t i = 0; i < n; ++i) {
    Unsigned zigzag = 0;
    for (std::size_t p = 0; p < sizeof(Integer); ++p) zigzag |= static_cast<Unsigned>(planes[p * n + i]) << (8 * p);
    values[i] = static_cast<Integer>((zigzag >> 1) ^ (Unsigned{0} - (zigzag & 1)));
  }
}

template <typename Integer>
void CheckCount(std::span<Integer> values) {
  if (values.empty() || values.size() > kPlaneBlockValues) {
    throw Error(ErrorCode::kInternal, "a block of planes cannot have " + std::to_string(values.size()) + " values");
  }
}

}  // namespace

std::uint64_t MaxPlaneBlockBytes(std::uint64_t values, std::size_t integer_bytes) {
  return kLengthBytes + ZSTD_compressBound(values * integer_bytes);
}

struct PlaneFrameWriter::State {
  std::string where;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd;
  Bytes planes, block;
};

PlaneFrameWriter::PlaneFrameWriter(std::string where) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.where = std::move(where);
  s.zstd.reset(ZSTD_createCCtx());
  // The checksum lets a reader without the signed digest notice damage; it costs four bytes a block.
  if (s.zstd == nullptr ||
      ZSTD_isError(ZSTD_CCtx_setParameter(s.zstd.get(), ZSTD_c_compressionLevel, kZstdLevel)) != 0 ||
      ZSTD_isError(ZSTD_CCtx_setParameter(s.zstd.get(), ZSTD_c_checksumFlag, 1)) != 0) {
    throw Error(ErrorCode::kInternal, s.where + ": zstd cannot be set up");
  }
}

PlaneFrameWriter::~PlaneFrameWriter() = default;
PlaneFrameWriter::PlaneFrameWriter(PlaneFrameWriter&&) noexcept = default;
PlaneFrameWriter& PlaneFrameWriter::operator=(PlaneFrameWriter&&) noexcept = default;

template <typename Integer>
ByteView PlaneFrameWriter::Encode(std::span<const Integer> values) {
  CheckCount(values);
  State& s = *state_;
  s.planes.resize(values.size_bytes());
  s.block.resize(MaxPlaneBlockBytes(values.size(), sizeof(Integer)));
  Split(values, s.planes.data());
  const std::size_t length = ZSTD_compress2(s.zstd.get(), s.block.data() + kLengthBytes, s.block.size() - kLengthBytes,
                                            s.planes.data(), s.planes.size());
  if (ZSTD_isError(length) != 0) throw Error(ErrorCode::kInternal, s.where + ": " + ZSTD_getErrorName(length));
  StoreLittleEndian(static_cast<std::uint32_t>(length), s.block.data());
  return ByteView(s.block).first(kLengthBytes + length);
}

template ByteView PlaneFrameWriter::Encode(std::span<const std::int32_t>);
template ByteView PlaneFrameWriter::Encode(std::span<const std::int64_t>);

struct PlaneFrameReader::State {
  std::string what;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd;
  Bytes planes, frame;

  [[noreturn]] void Damaged(const std::string& problem, std::uint64_t block, const std::string& cause = "") const {
    throw Error(ErrorCode::kInvalidInput, what + ": " + problem + " block " + std::to_string(block) + cause);
  }
};

PlaneFrameReader::PlaneFrameReader(std::string what) : state_(std::make_unique<State>()) {
  state_->what = std::move(what);
  state_->zstd.reset(ZSTD_createDCtx());
  if (state_->zstd == nullptr) throw Error(ErrorCode::kInternal, state_->what + ": zstd cannot be set up");
  state_->planes.reserve(kPlaneBlockValues * kMaxIntegerBytes);
}

PlaneFrameReader::~PlaneFrameReader() = default;
PlaneFrameReader::PlaneFrameReader(PlaneFrameReader&&) noexcept = default;
PlaneFrameReader& PlaneFrameReader::operator=(PlaneFrameReader&&) noexcept = default;

template <typename Integer>
std::uint64_t PlaneFrameReader::Read(const ReadableFile& file, std::uint64_t offset, std::uint64_t block,
                                     std::span<Integer> values) {
  CheckCount(values);
  State& s = *state_;
  std::array<std::uint8_t, kLengthBytes> prefix{};
  if (file.ReadAt(offset, prefix) != kLengthBytes) s.Damaged("ends before", block);
  const auto length = LoadLittleEndian<std::uint32_t>(prefix.data());
  if (length == 0 || length > ZSTD_compressBound(values.size_bytes())) {
    s.Damaged("claims " + std::to_string(length) + " bytes in", block, ", more than its values can need");
  }
  s.frame.resize(length);
  if (file.ReadAt(offset + kLengthBytes, s.frame) != length) s.Damaged("ends in", block);
  // The magic number first: the library also knows old formats, whose decoders nobody watches any more.
  const bool current = length >= 4 && LoadLittleEndian<std::uint32_t>(s.frame.data()) == ZSTD_MAGICNUMBER;
  if (!current || ZSTD_findFrameCompressedSize(s.frame.data(), length) != length) {
    s.Damaged("does not hold exactly one zstd frame in", block);
  }
  // The room is what the block must fill: a frame that claims more fails before it writes beyond.
  s.planes.resize(values.size_bytes());
  const std::size_t got = ZSTD_decompressDCtx(s.zstd.get(), s.planes.data(), s.planes.size(), s.frame.data(), length);
  if (ZSTD_isError(got) != 0) {
    s.Damaged("cannot be decompressed in", block, std::string(": ") + ZSTD_getErrorName(got));
  }
  if (got != s.planes.size()) s.Damaged("has the wrong number of values in", block);
  Join(s.planes.data(), values);
  return offset + kLengthBytes + length;
}

template std::uint64_t PlaneFrameReader::Read(const ReadableFile&, std::uint64_t, std::uint64_t,
                                              std::span<std::int32_t>);
template std::uint64_t PlaneFrameReader::Read(const ReadableFile&, std::uint64_t, std::uint64_t,
                                              std::span<std::int64_t>);

}  // namespace hemafed
