// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/latent_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/safetensors.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kLatents = "latents", kOf = "of";
constexpr std::string_view kExtractorKey = "hemafed.extractor";
constexpr std::string_view kIndexKey = "hemafed.index";
constexpr std::string_view kContentKey = "hemafed.content";  // SHA-256 of both tensors: a damaged file is noticed.
constexpr std::size_t kDigestBytes = sizeof(Digest::bytes);

// What a table is of.
struct TableKey {
  std::string extractor;
  std::string index;
  std::size_t pictures = 0, width = 0;

  // First bytes of its part.
  [[nodiscard]] std::string Head() const {
    return Sha256Of(extractor + " " + index + " " + std::to_string(width)).Hex();
  }
};

struct Rows {
  std::vector<float> values;
  std::vector<std::uint8_t> of;
};

ByteView BytesOf(std::span<const float> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(float)};
}

bool IsLatent(std::span<const float> values, std::uint8_t of) {
  return of <= static_cast<std::uint8_t>(LatentOf::kNothing) &&
         std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

Digest DigestOf(std::span<const float> values, std::span<const std::uint8_t> of) {
  Sha256 hash;
  hash.Update(BytesOf(values));
  hash.Update(of);
  return hash.Finish();
}

std::map<std::string, std::string> MetadataOf(const TableKey& key, const Rows& rows) {
  return {{std::string(kExtractorKey), key.extractor},
          {std::string(kIndexKey), key.index},
          {std::string(kContentKey), DigestOf(rows.values, rows.of).Hex()}};
}

std::vector<TensorInfo> TensorsOf(const TableKey& key) {
  const auto pictures = static_cast<std::int64_t>(key.pictures), width = static_cast<std::int64_t>(key.width);
  TensorInfo latents, of;
  latents.name = kLatents;
  latents.shape = {pictures, width};
  of.name = kOf;
  of.dtype = DType::kU8;
  of.shape = {pictures};
  return {latents, of};
}

// Nothing where the file is missing, of something else, or not what was written.
std::optional<Rows> ReadTable(FileSystem& files, const Path& file, const TableKey& key) {
  if (!files.Exists(file)) return std::nullopt;
  try {
    const SafetensorsReader reader = SafetensorsReader::Open(files, file);
    for (const TensorInfo& wanted : TensorsOf(key)) {
      const TensorInfo* info = reader.Find(wanted.name);
      if (info == nullptr || info->dtype != wanted.dtype || info->shape != wanted.shape) return std::nullopt;
    }
    Rows rows{std::vector<float>(key.pictures * key.width), std::vector<std::uint8_t>(key.pictures)};
    reader.Read(reader.Require(kLatents), 0,
                {reinterpret_cast<std::uint8_t*>(rows.values.data()), rows.values.size() * sizeof(float)});
    reader.Read(reader.Require(kOf), 0, rows.of);
    if (reader.metadata() != MetadataOf(key, rows)) return std::nullopt;
    return rows;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return std::nullopt;
  }
}

// The rows that an earlier run left, from the first on.
Rows ReadPart(FileSystem& files, const Path& part, const TableKey& key) {
  Rows rows;
  if (!files.Exists(part)) return rows;
  const auto in = files.OpenForRead(part);
  std::string head(key.Head().size(), '\0');
  std::uint64_t at = in->ReadAt(0, {reinterpret_cast<std::uint8_t*>(head.data()), head.size()});
  if (head != key.Head()) return rows;
  std::vector<float> values(key.width);
  Bytes rest(1 + kDigestBytes);
  while (rows.of.size() < key.pictures) {
    const std::span<std::uint8_t> room(reinterpret_cast<std::uint8_t*>(values.data()), values.size() * sizeof(float));
    if (in->ReadAt(at, room) != room.size() || in->ReadAt(at + room.size(), rest) != rest.size()) break;
    at += room.size() + rest.size();
    const Digest digest = DigestOf(values, std::span(rest).first(1));
    if (!std::equal(digest.bytes.begin(), digest.bytes.end(), rest.begin() + 1) || !IsLatent(values, rest[0])) break;
    rows.values.insert(rows.values.end(), values.begin(), values.end());
    rows.of.push_back(rest[0]);
  }
  return rows;
}

void AppendRow(WritableFile& out, std::span<const float> values, std::uint8_t of) {
  out.Append(BytesOf(values));
  out.Append(ByteView(&of, 1));
  out.Append(DigestOf(values, {&of, 1}).bytes);
}

// Starts the part anew with the rows that are good: what a crash or a full disk left behind them goes.
std::unique_ptr<WritableFile> BeginPart(FileSystem& files, const Path& part, const TableKey& key, const Rows& rows) {
  const Path beside = part.string() + ".tmp";
  const auto out = files.Create(beside);
  out->Append(key.Head());
  for (std::size_t row = 0; row < rows.of.size(); ++row) {
    AppendRow(*out, std::span(rows.values).subspan(row * key.width, key.width), rows.of[row]);
  }
  out->Close();
  files.Rename(beside, part);
  return files.OpenForAppend(part);
}

PictureLatent Compute(const DomainPictures& pictures, const LatentExtractor& extractor, std::uint32_t position) {
  const cv::Mat tile = pictures.Tile(position);
  const auto side = static_cast<int>(extractor.side());
  if (tile.rows != side || tile.cols != side) {
    throw Error(ErrorCode::kInvalidInput, "the extractor takes pictures of " + std::to_string(side) + " x " +
                                              std::to_string(side) + " px, those of " + pictures.index().domain +
                                              " are cut to " + std::to_string(tile.cols) + " x " +
                                              std::to_string(tile.rows) + "; set the plan's model.input to its side");
  }
  PictureLatent latent = extractor.Latent(tile);
  if (latent.values.size() != extractor.width() || !IsLatent(latent.values, static_cast<std::uint8_t>(latent.of))) {
    throw Error(ErrorCode::kInternal, "the latent of " + pictures.index().pictures[position].file + " has " +
                                          std::to_string(latent.values.size()) + " numbers instead of " +
                                          std::to_string(extractor.width()) + ", or one that is not finite");
  }
  return latent;
}

}  // namespace

LatentTable::LatentTable(FileSystem& files, const DomainPictures& pictures, const LatentExtractor& extractor,
                         const Path& file, const ImportProgress& progress)
    : width_(extractor.width()) {
  if (width_ == 0) throw Error(ErrorCode::kInternal, "an extractor of latents without numbers");
  const TableKey key{.extractor = extractor.digest().Hex(),
                     .index = IndexDigest(pictures.index()).Hex(),
                     .pictures = pictures.index().pictures.size(),
                     .width = width_};
  auto rows = ReadTable(files, file, key);
  if (!rows) {
    const Path part = file.string() + ".part";
    rows = ReadPart(files, part, key);
    const auto out = BeginPart(files, part, key, *rows);
    while (rows->of.size() < key.pictures) {
      const auto position = static_cast<std::uint32_t>(rows->of.size());
      if (progress && !progress(position, key.pictures)) {
        throw Error(ErrorCode::kInterrupted, "stopped while the latents of " + pictures.index().domain +
                                                 " were computed; it goes on from there");
      }
      const PictureLatent latent = Compute(pictures, extractor, position);
      AppendRow(*out, latent.values, static_cast<std::uint8_t>(latent.of));
      rows->values.insert(rows->values.end(), latent.values.begin(), latent.values.end());
      rows->of.push_back(static_cast<std::uint8_t>(latent.of));
    }
    if (progress) (void)progress(key.pictures, key.pictures);
    const Path beside = file.string() + ".tmp";
    SafetensorsWriter writer(files, beside, TensorsOf(key), MetadataOf(key, *rows));
    writer.Append(kLatents, BytesOf(rows->values));
    writer.Append(kOf, rows->of);
    (void)writer.Finish();
    files.Rename(beside, file);
    files.Remove(part);
  }
  values_ = std::move(rows->values);
  of_ = std::move(rows->of);
}

std::size_t LatentTable::Count(LatentOf of) const {
  return static_cast<std::size_t>(std::count(of_.begin(), of_.end(), static_cast<std::uint8_t>(of)));
}

}  // namespace hemafed::learning
