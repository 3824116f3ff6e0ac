// SPDX-License-Identifier: Apache-2.0
//
// The container of feature sums (docs/feature_sums.md).
#include <algorithm>

#include "codec/feature_sums.h"
#include "codec/feature_sums_header.h"
#include "codec/plane_frame.h"
#include "common/error.h"

namespace hemafed {

namespace {

[[noreturn]] void Damaged(const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, "feature sums file: " + what);
}

void CheckHeader(const ReadableFile& file, std::uint32_t features, std::uint32_t classes) {
  std::array<std::uint8_t, kFeatureSumsHeaderBytes> header{};
  if (file.ReadAt(0, header) != header.size()) Damaged("ends within its header");
  const auto want = FeatureSumsHeader(features, classes);
  if (!std::equal(header.begin(), header.begin() + 4, want.begin())) Damaged("does not begin as one");
  const auto version = LoadLittleEndian<std::uint16_t>(&header[4]);
  if (version != kFeatureSumsVersion) {
    Damaged("has version " + std::to_string(version) + "; this program reads " + std::to_string(kFeatureSumsVersion));
  }
  if (header[6] != kFeatureGridBits) {
    Damaged("has features rounded to 2^-" + std::to_string(header[6]) + " instead of 2^-" +
            std::to_string(kFeatureGridBits));
  }
  const auto got_features = LoadLittleEndian<std::uint32_t>(&header[8]);
  const auto got_classes = LoadLittleEndian<std::uint32_t>(&header[12]);
  if (got_features != features || got_classes != classes) {
    Damaged("holds " + std::to_string(got_features) + " features and " + std::to_string(got_classes) +
            " classes, the plan has " + std::to_string(features) + " and " + std::to_string(classes));
  }
  if (header != want) Damaged("has a header with bits that mean nothing");
}

std::uint64_t ValueCount(std::uint32_t features, std::uint32_t classes) {
  return std::uint64_t{features} * (features + std::uint64_t{1}) / 2 + std::uint64_t{features} * classes + classes;
}

// The plan's numbers, which bound what is reserved.
void CheckShape(std::uint32_t features, std::uint32_t classes) { (void)FeatureSums(features, classes); }

// All values in canonical order.
template <typename Use>
void ForEachPart(const FeatureSums& sums, const Use& use) {
  for (std::uint32_t i = 0; i < sums.features(); ++i) use(sums.MomentRow(i));
  for (std::uint32_t i = 0; i < sums.features(); ++i) use(sums.TargetRow(i));
  std::vector<std::int64_t> pictures;
  for (std::uint32_t k = 0; k < sums.classes(); ++k) pictures.push_back(sums.Pictures(k));
  use(std::span<const std::int64_t>(pictures));
}

}  // namespace

std::uint64_t MaxFeatureSumsFileBytes(std::uint32_t features, std::uint32_t classes) {
  const std::uint64_t values = ValueCount(features, classes);
  std::uint64_t bytes = kFeatureSumsHeaderBytes +
                        values / kPlaneBlockValues * MaxPlaneBlockBytes(kPlaneBlockValues, sizeof(std::int64_t));
  if (values % kPlaneBlockValues != 0) bytes += MaxPlaneBlockBytes(values % kPlaneBlockValues, sizeof(std::int64_t));
  return bytes;
}

FeatureSumsFileInfo WriteFeatureSums(FileSystem& files, const Path& path, const FeatureSums& sums,
                                     Durability durability) {
  const auto file = files.Create(path);
  FeatureSumsFileInfo info{.sums = sums.Hash()};
  Sha256 file_hash;
  const auto write = [&](ByteView bytes) {
    file->Append(bytes);
    file_hash.Update(bytes);
    info.file_bytes += bytes.size();
  };
  write(FeatureSumsHeader(sums.features(), sums.classes()));

  PlaneFrameWriter frames(path.string());
  std::vector<std::int64_t> block;
  block.reserve(kPlaneBlockValues);
  const auto append = [&](std::span<const std::int64_t> values) {
    while (!values.empty()) {
      const std::size_t taken = std::min(values.size(), kPlaneBlockValues - block.size());
      block.insert(block.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(taken));
      values = values.subspan(taken);
      if (block.size() < kPlaneBlockValues) return;
      write(frames.Encode<std::int64_t>(block));
      block.clear();
    }
  };
  ForEachPart(sums, append);
  if (!block.empty()) write(frames.Encode<std::int64_t>(block));
  if (durability == Durability::kSynced) file->Sync();
  file->Close();
  info.file = file_hash.Finish();
  return info;
}

FeatureSums ReadFeatureSums(const ReadableFile& file, std::uint32_t features, std::uint32_t classes) {
  CheckShape(features, classes);
  CheckHeader(file, features, classes);
  PlaneFrameReader frames("feature sums file");
  std::vector<std::int64_t> values(ValueCount(features, classes));
  std::uint64_t offset = kFeatureSumsHeaderBytes;
  std::uint64_t block = 0;
  for (std::size_t done = 0; done < values.size(); done += kPlaneBlockValues) {
    const std::size_t here = std::min(kPlaneBlockValues, values.size() - done);
    offset = frames.Read(file, offset, block++, std::span(values).subspan(done, here));
  }
  if (const std::uint64_t size = file.Size(); size != offset) {
    Damaged("has " + std::to_string(size - offset) + " bytes after its last block");
  }
  return FeatureSums::FromValues(features, classes, values);
}

void WriteCanonicalSums(FileSystem& files, const Path& path, const FeatureSums& sums, Durability durability) {
  const auto file = files.Create(path);
  file->Append(FeatureSumsHeader(sums.features(), sums.classes()));
  ForEachPart(sums, [&](std::span<const std::int64_t> values) {
    file->Append(ByteView(reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()));
  });
  if (durability == Durability::kSynced) file->Sync();
  file->Close();
}

FeatureSums ReadCanonicalSums(const ReadableFile& file, std::uint32_t features, std::uint32_t classes) {
  CheckShape(features, classes);
  CheckHeader(file, features, classes);
  std::vector<std::int64_t> values(ValueCount(features, classes));
  const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(values.data()),
                                      values.size() * sizeof(std::int64_t));
  if (file.Size() != kFeatureSumsHeaderBytes + bytes.size() ||
      file.ReadAt(kFeatureSumsHeaderBytes, bytes) != bytes.size()) {
    Damaged("in canonical form has " + std::to_string(file.Size()) + " bytes, which is not what its shape takes");
  }
  return FeatureSums::FromValues(features, classes, values);
}

}  // namespace hemafed
