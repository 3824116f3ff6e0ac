// SPDX-License-Identifier: Apache-2.0
#include "learning/data/tile_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/error.h"
#include "learning/data/picture.h"
#include "learning/data/picture_folder.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kMagic = "HFTILES1";
constexpr std::size_t kHeaderBytes = 56;
constexpr std::size_t kDigestBytes = 32;
// Bytes read at a time while the digest is checked.
constexpr std::size_t kChunkBytes = 1u << 20;

using Header = std::array<std::uint8_t, kHeaderBytes>;

Header MakeHeader(const TileShape& shape, std::uint32_t count, const Digest& index) {
  Header header{};
  std::copy(kMagic.begin(), kMagic.end(), header.begin());
  StoreLittleEndian(shape.side, &header[8]);
  StoreLittleEndian(shape.crop, &header[12]);
  StoreLittleEndian(count, &header[16]);
  std::copy(index.bytes.begin(), index.bytes.end(), header.begin() + 24);
  return header;
}

// The file if it is whole and starts with `header`; nothing if it must be made.
std::unique_ptr<const ReadableFile> OpenIfIntact(FileSystem& files, const Path& path, const Header& header,
                                                 std::uint64_t payload) {
  const auto size = files.SizeOf(path);
  if (!size || *size != kHeaderBytes + payload + kDigestBytes) return nullptr;
  std::unique_ptr<const ReadableFile> file = files.OpenForRead(path);
  Header found{};
  if (file->ReadAt(0, found) != found.size() || found != header) return nullptr;
  Sha256 hash;
  std::vector<std::uint8_t> chunk(kChunkBytes);
  for (std::uint64_t at = 0; at < kHeaderBytes + payload;) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, kHeaderBytes + payload - at));
    const std::span<std::uint8_t> part(chunk.data(), want);
    if (file->ReadAt(at, part) != want) return nullptr;
    hash.Update(part);
    at += want;
  }
  Digest stored;
  if (file->ReadAt(kHeaderBytes + payload, stored.bytes) != kDigestBytes || stored != hash.Finish()) return nullptr;
  return file;
}

cv::Mat Decode(const PictureFolder& folder, const PictureEntry& entry) {
  const auto changed = [&](const std::string& how) {
    throw Error(ErrorCode::kConflict, (folder.root() / entry.file).string() + " " + how +
                                          " since the pictures were imported; import them again");
  };
  const auto content = folder.Read(entry.file);
  if (const auto* reason = std::get_if<SkipReason>(&content)) {
    changed("cannot be used (" + std::string(SkipReasonText(*reason)) + ")");
  }
  const ByteView bytes = AsBytes(std::get<std::string>(content));
  if (Sha256Of(bytes) != entry.digest) changed("has changed");
  auto decoded = DecodePicture(bytes);
  if (const auto* reason = std::get_if<SkipReason>(&decoded)) {
    changed("cannot be decoded any more (" + std::string(SkipReasonText(*reason)) + ")");
  }
  return std::get<cv::Mat>(std::move(decoded));
}

// Whether `name` is a cache, or a part of one, of this domain that was made from another index than `digest`. Another
// domain may begin with the same letters, so the shape of all that follows counts.
bool IsOfOtherIndex(std::string_view name, const std::string& domain, const std::string& digest) {
  if (!name.starts_with(domain + "-")) return false;
  name.remove_prefix(domain.size() + 1);
  const std::string_view index = name.substr(0, digest.size());
  if (index.size() != digest.size() || index.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return false;
  }
  name.remove_prefix(digest.size());
  const std::size_t sizes_end = name.find_first_not_of("-0123456789");
  if (sizes_end == std::string_view::npos || std::count(name.begin(), name.begin() + sizes_end, '-') != 2) return false;
  const std::string_view end = name.substr(sizes_end);
  return index != digest && (end == ".tiles" || end == ".tiles.tmp");
}

void Build(FileSystem& files, const PictureFolder& folder, const DatasetIndex& index, const TileShape& shape,
           const Header& header, const Path& path, const ImportProgress& progress) {
  const Path temporary = path.string() + ".tmp";
  const auto out = files.Create(temporary);
  Sha256 hash;
  const auto append = [&](ByteView bytes) {
    out->Append(bytes);
    hash.Update(bytes);
  };
  append(header);
  for (std::size_t i = 0; i < index.pictures.size(); ++i) {
    const cv::Mat tile = MakeTile(Decode(folder, index.pictures[i]), shape);
    append({tile.data, shape.Bytes()});
    if (progress && !progress(i + 1, index.pictures.size())) {
      throw Error(ErrorCode::kInterrupted, "the tiles of " + index.domain + " were not finished; start again");
    }
  }
  out->Append(hash.Finish().bytes);
  out->Sync();
  out->Close();
  files.Rename(temporary, path);
  files.SyncDirectory(path.parent_path());
}

}  // namespace

cv::Mat MakeTile(const cv::Mat& picture, const TileShape& shape) {
  cv::Mat part = picture;
  if (shape.crop > 0) {
    const int side = std::min({static_cast<int>(shape.crop), picture.cols, picture.rows});
    part = picture(cv::Rect((picture.cols - side) / 2, (picture.rows - side) / 2, side, side));
  }
  const int side = static_cast<int>(shape.side);
  cv::Mat tile;
  if (part.cols == side && part.rows == side) {
    tile = part.clone();
  } else {
    const bool shrinks = part.cols >= side && part.rows >= side;
    cv::resize(part, tile, cv::Size(side, side), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR_EXACT);
  }
  return tile;
}

TileCache TileCache::OpenOrBuild(FileSystem& files, const Path& pictures_folder, const DatasetIndex& index,
                                 const TileShape& shape, const Path& cache_folder, const ImportProgress& progress) {
  if (shape.side < kMinTileSide || shape.side > kMaxTileSide || shape.crop > kMaxCropPixels) {
    throw Error(ErrorCode::kInvalidInput,
                "tiles of side " + std::to_string(shape.side) + " from a crop of " + std::to_string(shape.crop) +
                    " pixels cannot be made; allowed are sides " + std::to_string(kMinTileSide) + " to " +
                    std::to_string(kMaxTileSide) + " and crops up to " + std::to_string(kMaxCropPixels));
  }
  TileCache cache;
  cache.shape_ = shape;
  cache.count_ = static_cast<std::uint32_t>(index.pictures.size());
  const Digest digest = IndexDigest(index);
  // Sixteen hexadecimal characters tell indices apart; the header holds all of the digest.
  const std::string short_digest = digest.Hex().substr(0, 16);
  cache.path_ = cache_folder / (index.domain + "-" + short_digest + "-" + std::to_string(shape.side) + "-" +
                                std::to_string(shape.crop) + ".tiles");
  const Header header = MakeHeader(shape, cache.count_, digest);
  const std::uint64_t payload = std::uint64_t{cache.count_} * shape.Bytes();
  auto file = OpenIfIntact(files, cache.path_, header, payload);
  cache.was_ready_ = file != nullptr;
  if (!cache.was_ready_) {
    files.CreateFolders(cache_folder);
    Build(files, PictureFolder(files, pictures_folder), index, shape, header, cache.path_, progress);
    // They hold pictures that may be gone from the folder because somebody wanted them gone.
    for (const std::string& name : files.List(cache_folder)) {
      if (IsOfOtherIndex(name, index.domain, short_digest)) files.Remove(cache_folder / name);
    }
    file = OpenIfIntact(files, cache.path_, header, payload);
    if (!files.Exists(cache.path_)) {
      throw Error(ErrorCode::kUnavailable, cache.path_.string() + " was removed while it was made; it is made again");
    }
    if (file == nullptr) {
      throw Error(ErrorCode::kCorrupt,
                  cache.path_.string() + " was written and reads back differently; check that disk");
    }
  }
  const auto shared = std::make_shared<SharedFile>();
  shared->file = std::move(file);
  cache.file_ = shared;
  return cache;
}

void TileCache::Read(std::uint32_t position, std::span<std::uint8_t> out) const {
  if (position >= count_ || out.size() != shape_.Bytes()) {
    throw Error(ErrorCode::kInternal, "tile " + std::to_string(position) + " of " + path_.string() + " does not exist");
  }
  const std::uint64_t at = kHeaderBytes + std::uint64_t{position} * shape_.Bytes();
  const std::lock_guard lock(file_->mutex);
  if (file_->file->ReadAt(at, out) != out.size()) {
    throw Error(ErrorCode::kCorrupt, path_.string() + " became shorter while it was in use; start again");
  }
}

}  // namespace hemafed::learning
