// SPDX-License-Identifier: Apache-2.0
#include "learning/features/extractor/cell_cache.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/error.h"
#include "learning/features/cells/cell_crop.h"

namespace hemafed::learning {

namespace {

constexpr std::size_t kHeadBytes = 64;
constexpr std::size_t kRowBytes = 1 + sizeof(Digest::bytes);
// A power cut costs at most so many pictures, about a minute of them.
constexpr std::size_t kSyncPictures = 200;

// A row of "<file>.pictures".
struct PictureRow {
  CellOutcome outcome = CellOutcome::kCell;
  Digest record;  // zeros where there is none
};

bool HasRecord(CellOutcome outcome) { return outcome == CellOutcome::kCell || outcome == CellOutcome::kWhole; }

// One picture of one source.
struct Place {
  const DomainCells* source;
  std::uint32_t position;
};

std::vector<Place> PlacesOf(std::span<const DomainCells> sources) {
  std::vector<Place> places;
  for (const DomainCells& source : sources)
    for (const std::uint32_t position : source.positions) places.push_back({&source, position});
  return places;
}

CellLabel LabelOf(const Place& place) {
  const DomainPictures& pictures = *place.source->pictures;
  return {.picture = pictures.index().pictures.at(place.position).digest,
          .domain = place.source->domain,
          .cell_class = static_cast<std::uint16_t>(pictures.Label(place.position))};
}

// SHA-256 of all that the cells depend on, as the first bytes of the list of pictures.
std::string HeadOf(const CellDescriber& describer, std::span<const DomainCells> sources,
                   const CellCacheSettings& settings) {
  Sha256 hash;
  hash.Update("cells 1 " + describer.digest().Hex() + " " + std::to_string(static_cast<unsigned>(settings.storage)) +
              (settings.take_whole ? " whole" : " cells") + (settings.crop_to_box ? " box" : " picture"));
  for (const DomainCells& source : sources) {
    const TileShape& shape = source.pictures->shape();
    hash.Update("\n" + std::to_string(source.domain) + " " + IndexDigest(source.pictures->index()).Hex() + " " +
                std::to_string(shape.side) + " " + std::to_string(shape.crop));
    for (const std::string& name : source.pictures->classes()) hash.Update(" " + name);
    hash.Update(":");
    for (const std::uint32_t position : source.positions) hash.Update(" " + std::to_string(position));
  }
  return hash.Finish().Hex();
}

std::vector<PictureRow> ReadRows(FileSystem& files, const Path& list, const std::string& head, std::size_t most) {
  std::vector<PictureRow> rows;
  if (!files.Exists(list)) return rows;
  const auto in = files.OpenForRead(list);
  std::string begin(kHeadBytes, '\0');
  if (in->ReadAt(0, {reinterpret_cast<std::uint8_t*>(begin.data()), begin.size()}) != begin.size() || begin != head)
    return rows;
  Bytes row(kRowBytes);
  while (rows.size() < most && in->ReadAt(kHeadBytes + rows.size() * kRowBytes, row) == row.size()) {
    if (row[0] > static_cast<std::uint8_t>(CellOutcome::kUnusable)) break;
    PictureRow& read = rows.emplace_back();
    read.outcome = static_cast<CellOutcome>(row[0]);
    std::copy(row.begin() + 1, row.end(), read.record.bytes.begin());
  }
  return rows;
}

void AppendRow(WritableFile& out, const PictureRow& row) {
  Bytes bytes(kRowBytes);
  bytes[0] = static_cast<std::uint8_t>(row.outcome);
  std::copy(row.record.bytes.begin(), row.record.bytes.end(), bytes.begin() + 1);
  out.Append(bytes);
}

// Starts the list anew with the rows that hold: what a crash left behind them goes.
std::unique_ptr<WritableFile> BeginRows(FileSystem& files, const Path& list, const std::string& head,
                                        const std::vector<PictureRow>& rows) {
  const Path beside = list.string() + ".tmp";
  const auto out = files.Create(beside);
  out->Append(head);
  for (const PictureRow& row : rows) AppendRow(*out, row);
  out->Sync();
  out->Close();
  files.Rename(beside, list);
  files.SyncDirectory(list.parent_path());
  return files.OpenForAppend(list);
}

std::vector<CellOutcome> OutcomesOf(const std::vector<PictureRow>& rows) {
  std::vector<CellOutcome> outcomes;
  for (const PictureRow& row : rows) outcomes.push_back(row.outcome);
  return outcomes;
}

// The cache that these rows, one for each picture, describe; nothing where the file is missing or another one.
std::optional<CellCache> OpenWhole(FileSystem& files, const Path& file, const std::vector<PictureRow>& rows) {
  if (!files.Exists(file)) return std::nullopt;
  try {
    CellCache cache{.cells = FeatureCache::Open(files, file), .outcomes = OutcomesOf(rows)};
    std::uint32_t record = 0;
    for (const PictureRow& row : rows) {
      if (!HasRecord(row.outcome)) continue;
      if (record >= cache.cells.size() || cache.cells.RecordDigest(record) != row.record) return std::nullopt;
      ++record;
    }
    if (record != cache.cells.size()) return std::nullopt;
    return cache;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput && error.code() != ErrorCode::kCorrupt) throw;
    return std::nullopt;
  }
}

std::vector<WrittenCell> WrittenOf(const std::vector<PictureRow>& rows, const std::vector<Place>& places) {
  std::vector<WrittenCell> written;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (HasRecord(rows[i].outcome)) written.push_back({LabelOf(places[i]), rows[i].record});
  return written;
}

// Cuts the rows behind those whose records were kept.
void KeepRows(std::vector<PictureRow>& rows, std::uint64_t records) {
  std::size_t kept = 0;
  for (; kept < rows.size(); ++kept) {
    if (!HasRecord(rows[kept].outcome)) continue;
    if (records == 0) break;
    --records;
  }
  rows.resize(kept);
}

PictureRow Describe(FeatureCacheWriter& writer, const CellDescriber& describer, const Place& place,
                    const CellCacheSettings& settings) {
  const cv::Mat tile = place.source->pictures->Tile(place.position);
  const cv::Rect2f whole_box(0, 0, static_cast<float>(tile.cols), static_cast<float>(tile.rows));
  const auto append = [&](CellOutcome outcome, const std::vector<float>& features, const cv::Rect2f& box) {
    const cv::Mat target = CropCell(tile, settings.crop_to_box ? box : whole_box);
    return PictureRow{outcome,
                      writer.Append(features, {target.data, target.total() * target.elemSize()}, LabelOf(place))};
  };
  const auto usable = [&](const std::vector<float>& features) { return !writer.WhyNotTaken(features); };
  const auto cell = describer.BestCell(tile);
  if (cell && usable(cell->features)) return append(CellOutcome::kCell, cell->features, cell->box);
  if (!settings.take_whole) return {cell ? CellOutcome::kUnusable : CellOutcome::kNoCell, {}};
  const std::vector<float> whole = describer.WholePicture(tile);
  if (!usable(whole)) return {CellOutcome::kUnusable, {}};
  return append(CellOutcome::kWhole, whole, whole_box);
}

}  // namespace

std::uint64_t CellCache::Count(CellOutcome outcome) const {
  return static_cast<std::uint64_t>(std::count(outcomes.begin(), outcomes.end(), outcome));
}

std::vector<std::optional<std::uint32_t>> CellCache::Records() const {
  std::vector<std::optional<std::uint32_t>> records;
  std::uint32_t next = 0;
  for (const CellOutcome outcome : outcomes)
    records.push_back(HasRecord(outcome) ? std::optional(next++) : std::nullopt);
  return records;
}

CellCache OpenCellCache(FileSystem& files, const Path& file, const CellDescriber& describer,
                        std::span<const DomainCells> sources, const CellCacheSettings& settings,
                        const ImportProgress& progress) {
  const std::vector<Place> places = PlacesOf(sources);
  const Path list = file.string() + ".pictures";
  const std::string head = HeadOf(describer, sources, settings);
  std::vector<PictureRow> rows = ReadRows(files, list, head, places.size());
  if (rows.size() == places.size()) {
    if (auto cache = OpenWhole(files, file, rows)) return std::move(*cache);
  }
  FeatureCacheWriter writer(files, file, settings.storage, WrittenOf(rows, places));
  KeepRows(rows, writer.size());
  const auto out = BeginRows(files, list, head, rows);
  while (rows.size() < places.size()) {
    if (progress && !progress(rows.size(), places.size())) {
      throw Error(ErrorCode::kInterrupted,
                  "stopped while the cells for " + file.string() + " were described; it goes on from there");
    }
    rows.push_back(Describe(writer, describer, places[rows.size()], settings));
    AppendRow(*out, rows.back());
    if (rows.size() % kSyncPictures != 0) continue;
    writer.Sync();  // Records before the rows that name them.
    out->Sync();
  }
  writer.Sync();
  out->Sync();
  out->Close();
  (void)writer.Finish();
  if (progress) (void)progress(places.size(), places.size());
  auto cache = OpenWhole(files, file, rows);
  if (!cache) throw Error(ErrorCode::kInternal, file.string() + " does not hold what was just written");
  return std::move(*cache);
}

}  // namespace hemafed::learning
