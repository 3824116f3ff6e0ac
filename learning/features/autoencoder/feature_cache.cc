// SPDX-License-Identifier: Apache-2.0
#include "learning/features/autoencoder/feature_cache.h"

#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "common/error.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/features/autoencoder/cell_autoencoder.h"

namespace hemafed::learning {

namespace {

static_assert(std::endian::native == std::endian::little, "feature values are stored as they lie in memory");

constexpr std::string_view kMagic = "HFCELLS1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kIndexEntryBytes = 72;
constexpr std::size_t kTrailerBytes = 40;
constexpr auto kValues = static_cast<std::size_t>(kCellFeatureValues);
constexpr auto kPictureBytes = static_cast<std::size_t>(kCellPictureBytes);

std::size_t RecordBytes(FeatureStorage storage) { return kValues * static_cast<std::size_t>(storage) + kPictureBytes; }

std::array<std::uint8_t, kHeaderBytes> Header(FeatureStorage storage) {
  std::array<std::uint8_t, kHeaderBytes> header{};
  std::copy(kMagic.begin(), kMagic.end(), header.begin());
  StoreLittleEndian(static_cast<std::uint32_t>(storage), &header[8]);
  return header;
}

Digest DigestOf(FeatureStorage storage, ByteView index, std::uint64_t records) {
  std::array<std::uint8_t, 8> count{};
  StoreLittleEndian(records, count.data());
  return Sha256().Update(Header(storage)).Update(index).Update(count).Finish();
}

}  // namespace

FeatureCacheWriter::FeatureCacheWriter(FileSystem& files, Path path, FeatureStorage storage)
    : files_(&files), path_(std::move(path)), storage_(storage) {
  static_assert(kIndexBytes == kIndexEntryBytes);
  if (storage != FeatureStorage::kFloat16 && storage != FeatureStorage::kFloat32) {
    throw Error(ErrorCode::kInvalidInput, "a feature cache stores float16 or float32");
  }
  out_ = files.Create(path_.string() + ".tmp");
  out_->Append(Header(storage));
  record_.resize(RecordBytes(storage));
}

void FeatureCacheWriter::Append(std::span<const float> features, ByteView picture, const CellLabel& label) {
  const auto refuse = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidInput, "cell " + std::to_string(size()) + " of " + path_.string() +
                                              " cannot be used: " + problem + "; leave it out");
  };
  if (const auto problem = WhyNotUsable(features)) refuse(*problem);
  if (picture.size() != kPictureBytes) {
    refuse("its target picture has " + std::to_string(picture.size()) + " bytes instead of " +
           std::to_string(kPictureBytes));
  }
  if (size() >= kMaxCachedCells) {
    throw Error(ErrorCode::kInvalidInput, path_.string() + " would hold more than " + std::to_string(kMaxCachedCells) +
                                              " cells; use several autoencoders or fewer pictures");
  }
  if (storage_ == FeatureStorage::kFloat32) {
    std::memcpy(record_.data(), features.data(), features.size_bytes());
  } else {
    std::array<float, 2> range = {INFINITY, -INFINITY};
    for (std::size_t i = 0; i < features.size(); ++i) {
      const c10::Half half(features[i]);
      const auto value = static_cast<float>(half);
      range = {std::min(range[0], value), std::max(range[1], value)};
      std::memcpy(&record_[i * sizeof(half.x)], &half.x, sizeof(half.x));
    }
    // Rounding may turn large values into infinities, and values that lie close together into one.
    if (!std::isfinite(range[0]) || !std::isfinite(range[1]) || range[0] == range[1]) {
      refuse("its features do not fit float16; store float32");
    }
  }
  std::copy(picture.begin(), picture.end(), record_.end() - static_cast<std::ptrdiff_t>(kPictureBytes));
  out_->Append(record_);
  std::array<std::uint8_t, kIndexEntryBytes> entry{};
  std::copy(label.picture.bytes.begin(), label.picture.bytes.end(), entry.begin());
  const Digest digest = Sha256Of(record_);
  std::copy(digest.bytes.begin(), digest.bytes.end(), entry.begin() + 32);
  StoreLittleEndian(label.domain, &entry[64]);
  StoreLittleEndian(label.cell_class, &entry[66]);
  index_.insert(index_.end(), entry.begin(), entry.end());
}

Digest FeatureCacheWriter::Finish() {
  const Digest digest = DigestOf(storage_, index_, size());
  std::array<std::uint8_t, kTrailerBytes> trailer{};
  StoreLittleEndian(size(), trailer.data());
  std::copy(digest.bytes.begin(), digest.bytes.end(), trailer.begin() + 8);
  out_->Append(index_);
  out_->Append(trailer);
  out_->Sync();
  out_->Close();
  files_->Rename(path_.string() + ".tmp", path_);
  files_->SyncDirectory(path_.parent_path().empty() ? Path(".") : path_.parent_path());
  return digest;
}

FeatureCache FeatureCache::Open(FileSystem& files, const Path& path) {
  FeatureCache cache;
  cache.where_ = path.string();
  const auto refuse = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidInput, cache.where_ + " is no feature cache: " + problem + "; make it again");
  };
  cache.file_ = files.OpenForRead(path);
  const std::uint64_t size = cache.file_->Size();
  std::array<std::uint8_t, kHeaderBytes> header{};
  std::array<std::uint8_t, kTrailerBytes> trailer{};
  if (size < kHeaderBytes + kTrailerBytes || cache.file_->ReadAt(0, header) != header.size() ||
      cache.file_->ReadAt(size - kTrailerBytes, trailer) != trailer.size()) {
    refuse("it is too short");
  }
  const auto bytes = LoadLittleEndian<std::uint32_t>(&header[8]);
  if (bytes != 2 && bytes != 4) refuse("its values have " + std::to_string(bytes) + " bytes");
  cache.storage_ = static_cast<FeatureStorage>(bytes);
  if (header != Header(cache.storage_)) refuse("it does not begin as one");
  const auto count = LoadLittleEndian<std::uint64_t>(trailer.data());
  if (count > kMaxCachedCells ||
      size != kHeaderBytes + count * (RecordBytes(cache.storage_) + kIndexEntryBytes) + kTrailerBytes) {
    refuse("it has not the length that " + std::to_string(count) + " cells take");
  }
  Bytes index(count * kIndexEntryBytes);
  const std::uint64_t index_at = kHeaderBytes + count * RecordBytes(cache.storage_);
  if (cache.file_->ReadAt(index_at, index) != index.size()) refuse("it became shorter while it was read");
  std::copy_n(trailer.begin() + 8, cache.digest_.bytes.size(), cache.digest_.bytes.begin());
  if (DigestOf(cache.storage_, index, count) != cache.digest_) {
    throw Error(ErrorCode::kCorrupt, cache.where_ + " is damaged (its index has another digest); make it again");
  }
  std::set<std::uint32_t> domains;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint8_t* entry = &index[i * kIndexEntryBytes];
    if (LoadLittleEndian<std::uint32_t>(entry + 68) != 0) refuse("its index has bits that mean nothing");
    CellLabel label;
    std::copy_n(entry, 32, label.picture.bytes.begin());
    label.domain = LoadLittleEndian<std::uint16_t>(entry + 64);
    label.cell_class = LoadLittleEndian<std::uint16_t>(entry + 66);
    cache.labels_.push_back(label);
    std::copy_n(entry + 32, 32, cache.records_.emplace_back().bytes.begin());
    domains.insert(label.domain);
  }
  cache.domains_.assign(domains.begin(), domains.end());
  cache.record_.resize(RecordBytes(cache.storage_));
  return cache;
}

void FeatureCache::Read(std::uint32_t cell, std::span<float> features, std::span<std::uint8_t> picture) const {
  if (cell >= size() || features.size() != kValues || picture.size() != kPictureBytes) {
    throw Error(ErrorCode::kInternal, where_ + ": cell " + std::to_string(cell) + " cannot be read so");
  }
  if (file_->ReadAt(kHeaderBytes + std::uint64_t{cell} * record_.size(), record_) != record_.size() ||
      Sha256Of(record_) != records_[cell]) {
    throw Error(ErrorCode::kCorrupt,
                where_ + " is damaged (cell " + std::to_string(cell) + " has another digest); make it again");
  }
  if (storage_ == FeatureStorage::kFloat32) {
    std::memcpy(features.data(), record_.data(), features.size_bytes());
  } else {
    for (std::size_t i = 0; i < kValues; ++i) {
      c10::Half half;
      std::memcpy(&half.x, &record_[i * sizeof(half.x)], sizeof(half.x));
      features[i] = static_cast<float>(half);
    }
  }
  std::copy_n(record_.end() - static_cast<std::ptrdiff_t>(kPictureBytes), kPictureBytes, picture.begin());
}

}  // namespace hemafed::learning
