// learning/features/autoencoder/feature_cache.h
// SPDX-License-Identifier: Apache-2.0
//
// What the autoencoder learns from, on disk: for each cell the detector's features and the target picture, so that
// detection runs once and training needs neither pictures nor the detector, and memory for one batch only (77,000 cells
// take 15 GB as float32). All numbers are little-endian.
//
//   offset  bytes
//        0      8   "HFCELLS1"
//        8      4   bytes of a feature value: 2 (float16) or 4 (float32)
//       12      4   0
//       16         records, R bytes each: 256 * 14 * 14 feature values [C, H, W] as the detector gave them, then
//                  128 * 128 * 3 bytes of the target picture, rows from the top, R G B for each pixel
//   16 + n R       index, 72 bytes a record: SHA-256 of the picture file the cell is from; SHA-256 of the record;
//                  domain (2), class (2; 65,535: none), 0 (4)
//        end - 40  n (8), SHA-256 (32) of the first 16 bytes, the index and n: it names the whole content
//
// float16 halves the file; features then have 11 bits, an error of 2e-4 of the range at most once they are scaled to
// [-1, 1]. The file appears by rename, so it is never seen in part.
//
// Reading takes nothing on trust: the number of records is compared with the file's size before anything is reserved,
// the index with its digest on opening, each record with its own when it is read.
//
// Errors: kInvalidInput a file that is no feature cache, cells that cannot be used (autoencoder_inputs.h) or do not fit
// the storage, more than kMaxCachedCells; kCorrupt bytes that do not have their digest: make the cache again; those of
// FileSystem. Thread-safety: one thread an object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/sha256.h"

namespace hemafed::learning {

// All published sets together have 77,363 cells; the index in memory then has 76 MB at most.
inline constexpr std::uint64_t kMaxCachedCells = 1'000'000;
inline constexpr std::uint16_t kNoCellClass = 65'535;

enum class FeatureStorage : std::uint32_t { kFloat16 = 2, kFloat32 = 4 };  // bytes of a value

struct CellLabel {
  Digest picture;            // SHA-256 of the picture file: to find a withdrawn one
  std::uint16_t domain = 0;  // the caller's numbering
  std::uint16_t cell_class = kNoCellClass;
};

// A record that an earlier writer appended.
struct WrittenCell {
  CellLabel label;
  Digest record;  // As Append returned it.
};

class FeatureCacheWriter {
 public:
  // Writes to "<path>.tmp" until Finish(). `files` is borrowed. `written`: what a writer that was stopped had appended
  // there, in its order; as many of them are kept as are whole and have their digests (size() says how many).
  FeatureCacheWriter(FileSystem& files, Path path, FeatureStorage storage, std::span<const WrittenCell> written = {});

  // `features`: 50,176 values; `picture`: 49,152 bytes. Nothing is written if they are refused. Returns SHA-256 of the
  // record.
  Digest Append(std::span<const float> features, ByteView picture, const CellLabel& label);
  // Why Append would refuse these features, or nothing: unusable ones (autoencoder_inputs.h), and such as the storage
  // cannot hold or would make all the same.
  [[nodiscard]] std::optional<std::string> WhyNotTaken(std::span<const float> features) const;
  [[nodiscard]] std::uint64_t size() const { return index_.size() / kIndexBytes; }
  // What was appended is durable then.
  void Sync() { out_->Sync(); }
  // Writes the index; afterwards the file is durable. Returns what FeatureCache::digest() will say.
  Digest Finish();

 private:
  static constexpr std::size_t kIndexBytes = 72;

  void KeepWritten(const Path& beside, std::span<const WrittenCell> written);
  void AddToIndex(const CellLabel& label, const Digest& record);

  FileSystem* files_;
  Path path_;
  FeatureStorage storage_;
  std::unique_ptr<WritableFile> out_;
  Bytes record_;
  Bytes index_;
};

class FeatureCache {
 public:
  [[nodiscard]] static FeatureCache Open(FileSystem& files, const Path& path);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(labels_.size()); }
  [[nodiscard]] const CellLabel& Label(std::uint32_t cell) const { return labels_.at(cell); }
  // SHA-256 of its record.
  [[nodiscard]] const Digest& RecordDigest(std::uint32_t cell) const { return records_.at(cell); }
  // Every domain that occurs, ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& domains() const { return domains_; }
  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] FeatureStorage storage() const { return storage_; }
  // Forgets all cells but these, ascending; they are numbered anew, and the digest then names the choice as well.
  void KeepOnly(std::span<const std::uint32_t> cells);
  // Fills both spans, of 50,176 values and 49,152 bytes.
  void Read(std::uint32_t cell, std::span<float> features, std::span<std::uint8_t> picture) const;

 private:
  FeatureCache() = default;

  std::string where_;
  FeatureStorage storage_ = FeatureStorage::kFloat32;
  std::unique_ptr<const ReadableFile> file_;
  std::vector<CellLabel> labels_;
  std::vector<Digest> records_;
  std::vector<std::uint32_t> places_;  // in the file
  std::vector<std::uint32_t> domains_;
  Digest digest_;
  mutable Bytes record_;  // Room for one.
};

}  // namespace hemafed::learning
