// protocol/log/tiles.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/log/tiles.h"

#include <algorithm>
#include <cstdio>

#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::size_t kHashBytes = sizeof(Digest::bytes);
constexpr std::size_t kLengthBytes = 2;

std::string IndexPath(std::uint64_t index, unsigned width) {
  const auto group = [](std::uint64_t value) {
    std::string digits = std::to_string(value % 1000);
    return std::string(3 - digits.size(), '0') + digits;
  };
  std::string path = group(index);
  while ((index /= 1000) > 0) path = "x" + group(index) + "/" + path;
  if (width < kTileWidth) path += ".p/" + std::to_string(width);
  return path;
}

}  // namespace

std::string TilePath(unsigned level, std::uint64_t index, unsigned width) {
  return "tile/" + std::to_string(level) + "/" + IndexPath(index, width);
}

std::string BundlePath(std::uint64_t index, unsigned width) { return "tile/entries/" + IndexPath(index, width); }

unsigned TileWidthAt(std::uint64_t size, unsigned level, std::uint64_t index) {
  if (level >= kTileLevels) return 0;
  const std::uint64_t hashes = size >> (8 * level);
  if (index > hashes / kTileWidth) return 0;
  return static_cast<unsigned>(std::min<std::uint64_t>(hashes - index * kTileWidth, kTileWidth));
}

std::string EncodeTile(std::span<const Digest> hashes) {
  std::string bytes;
  bytes.reserve(hashes.size() * kHashBytes);
  for (const Digest& hash : hashes) bytes.append(AsText(hash.bytes));
  return bytes;
}

std::optional<std::vector<Digest>> DecodeTile(std::string_view bytes, unsigned width) {
  if (width == 0 || width > kTileWidth || bytes.size() != width * kHashBytes) return std::nullopt;
  std::vector<Digest> hashes(width);
  for (unsigned i = 0; i < width; ++i) {
    const ByteView hash = AsBytes(bytes.substr(i * kHashBytes, kHashBytes));
    std::copy(hash.begin(), hash.end(), hashes[i].bytes.begin());
  }
  return hashes;
}

void AppendToBundle(std::string& bundle, std::string_view entry) {
  if (entry.empty() || entry.size() > kMaxEntryBytes) {
    throw Error(ErrorCode::kInvalidInput, "a log entry has 1 to " + std::to_string(kMaxEntryBytes) + " bytes, not " +
                                              std::to_string(entry.size()) + "; store larger content as an object");
  }
  bundle.push_back(static_cast<char>(entry.size() >> 8));
  bundle.push_back(static_cast<char>(entry.size() & 0xff));
  bundle.append(entry);
}

std::optional<std::string_view> BundleReader::Next() {
  if (rest_.size() < kLengthBytes) return std::nullopt;
  const ByteView bytes = AsBytes(rest_);
  const std::size_t length = static_cast<std::size_t>(bytes[0]) << 8 | bytes[1];
  if (length == 0 || length > kMaxEntryBytes || rest_.size() - kLengthBytes < length) return std::nullopt;
  const auto entry = rest_.substr(kLengthBytes, length);
  rest_.remove_prefix(kLengthBytes + length);
  return entry;
}

}  // namespace hemafed
