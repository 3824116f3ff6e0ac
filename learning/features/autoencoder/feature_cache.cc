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

std::vector<std::uint32_t> DomainsOf(const std::vector<CellLabel>& labels) {
  std::set<std::uint32_t> domains;
  for (const CellLabel& label : labels) domains.insert(label.domain);
  return {domains.begin(), domains.end()};
}

}  // namespace

FeatureCacheWriter::FeatureCacheWriter(FileSystem& files, Path path, FeatureStorage storage,
                                       std::span<const WrittenCell> written)
    : files_(&files), path_(std::move(path)), storage_(storage) {
  static_assert(kIndexBytes == kIndexEntryBytes);
  if (storage != FeatureStorage::kFloat16 && storage != FeatureStorage::kFloat32) {
    throw Error(ErrorCode::kInvalidInput, "a feature cache stores float16 or float32");
  }
  record_.resize(RecordBytes(storage));
  const Path beside = path_.string() + ".tmp";
  KeepWritten(beside, written);
  if (index_.empty()) {
    out_ = files.Create(beside);
    out_->Append(Header(storage));
  } else {
    files.Truncate(beside, kHeaderBytes + size() * record_.size());
    out_ = files.OpenForAppend(beside);
  }
}

void FeatureCacheWriter::KeepWritten(const Path& beside, std::span<const WrittenCell> written) {
  if (written.empty() || !files_->Exists(beside)) return;
  const auto file = files_->OpenForRead(beside);
  std::array<std::uint8_t, kHeaderBytes> header{};
  if (file->ReadAt(0, header) != header.size() || header != Header(storage_)) return;
  for (const WrittenCell& cell : written) {
    if (size() >= kMaxCachedCells || file->ReadAt(kHeaderBytes + size() * record_.size(), record_) != record_.size() ||
        Sha256Of(record_) != cell.record) {
      return;
    }
    AddToIndex(cell.label, cell.record);
  }
}

void FeatureCacheWriter::AddToIndex(const CellLabel& label, const Digest& record) {
  std::array<std::uint8_t, kIndexEntryBytes> entry{};
  std::copy(label.picture.bytes.begin(), label.picture.bytes.end(), entry.begin());
  std::copy(record.bytes.begin(), record.bytes.end(), entry.begin() + 32);
  StoreLittleEndian(label.domain, &entry[64]);
  StoreLittleEndian(label.cell_class, &entry[66]);
  index_.insert(index_.end(), entry.begin(), entry.end());
}

std::optional<std::string> FeatureCacheWriter::WhyNotTaken(std::span<const float> features) const {
  if (auto problem = WhyNotUsable(features)) return problem;
  if (storage_ == FeatureStorage::kFloat32) return std::nullopt;
  // Rounding may turn large values into infinities, and values that lie close together into one.
  float low = INFINITY, high = -INFINITY;
  for (const float feature : features) {
    const auto value = static_cast<float>(c10::Half(feature));
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (std::isfinite(low) && std::isfinite(high) && low != high) return std::nullopt;
  return "its features do not fit float16; store float32";
}

Digest FeatureCacheWriter::Append(std::span<const float> features, ByteView picture, const CellLabel& label) {
  const auto refuse = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidInput, "cell " + std::to_string(size()) + " of " + path_.string() +
                                              " cannot be used: " + problem + "; leave it out");
  };
  if (const auto problem = WhyNotTaken(features)) refuse(*problem);
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
    for (std::size_t i = 0; i < features.size(); ++i) {
      const c10::Half half(features[i]);
      std::memcpy(&record_[i * sizeof(half.x)], &half.x, sizeof(half.x));
    }
  }
  std::copy(picture.begin(), picture.end(), record_.end() - static_cast<std::ptrdiff_t>(kPictureBytes));
  out_->Append(record_);
  const Digest digest = Sha256Of(record_);
  AddToIndex(label, digest);
  return digest;
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
    throw Error(ErrorCode::kInvalidInput,
                cache.where_ + " is no feature cache: " + problem + "; remove it, and what made it makes it anew");
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
    throw Error(ErrorCode::kCorrupt,
                cache.where_ + " is damaged (its index has another digest); remove it, and what made it makes it anew");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint8_t* entry = &index[i * kIndexEntryBytes];
    if (LoadLittleEndian<std::uint32_t>(entry + 68) != 0) refuse("its index has bits that mean nothing");
    CellLabel label;
    std::copy_n(entry, 32, label.picture.bytes.begin());
    label.domain = LoadLittleEndian<std::uint16_t>(entry + 64);
    label.cell_class = LoadLittleEndian<std::uint16_t>(entry + 66);
    cache.labels_.push_back(label);
    std::copy_n(entry + 32, 32, cache.records_.emplace_back().bytes.begin());
    cache.places_.push_back(static_cast<std::uint32_t>(i));
  }
  cache.domains_ = DomainsOf(cache.labels_);
  cache.record_.resize(RecordBytes(cache.storage_));
  return cache;
}

void FeatureCache::KeepOnly(std::span<const std::uint32_t> cells) {
  std::vector<CellLabel> labels;
  std::vector<Digest> records;
  std::vector<std::uint32_t> places;
  Sha256 name;
  name.Update(digest_.bytes);
  for (const std::uint32_t cell : cells) {
    if (cell >= size() || (!places.empty() && places_[cell] <= places.back())) {
      throw Error(ErrorCode::kInvalidInput,
                  where_ + ": cells to keep must ascend and stay below " + std::to_string(size()));
    }
    labels.push_back(labels_[cell]);
    records.push_back(records_[cell]);
    places.push_back(places_[cell]);
    std::array<std::uint8_t, 4> number{};
    StoreLittleEndian(cell, number.data());
    name.Update(number);
  }
  labels_ = std::move(labels);
  records_ = std::move(records);
  places_ = std::move(places);
  domains_ = DomainsOf(labels_);
  digest_ = name.Finish();
}

void FeatureCache::Read(std::uint32_t cell, std::span<float> features, std::span<std::uint8_t> picture) const {
  if (cell >= size() || features.size() != kValues || picture.size() != kPictureBytes) {
    throw Error(ErrorCode::kInternal, where_ + ": cell " + std::to_string(cell) + " cannot be read so");
  }
  if (file_->ReadAt(kHeaderBytes + std::uint64_t{places_[cell]} * record_.size(), record_) != record_.size() ||
      Sha256Of(record_) != records_[cell]) {
    throw Error(ErrorCode::kCorrupt, where_ + " is damaged (cell " + std::to_string(cell) +
                                         " has another digest); remove it, and what made it makes it anew");
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
