// SPDX-License-Identifier: Apache-2.0
//
// The two forms of score histograms as bytes (docs/score_histograms.md).
#include <algorithm>
#include <bit>

#include "codec/plan.h"
#include "codec/plane_frame.h"
#include "codec/score_histograms.h"
#include "common/error.h"

namespace hemafed {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{'H', 'F', 'H', '\n'};
constexpr std::uint16_t kVersion = 1;
// Magic, version, bins, classes, classes shown (bit k for class k).
constexpr std::size_t kHeaderBytes = 4 + 2 + 2 + 4 + 8;
constexpr std::size_t kClassValues = 2 * kHistogramBins;
static_assert(kMaxClasses <= 64, "the classes shown are the bits of one 64-bit number");

[[noreturn]] void Damaged(const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, "score histograms: " + what);
}

std::array<std::uint8_t, kHeaderBytes> HeaderOf(std::size_t classes, std::uint64_t shown) {
  std::array<std::uint8_t, kHeaderBytes> header{};
  std::copy(kMagic.begin(), kMagic.end(), header.begin());
  StoreLittleEndian(kVersion, &header[4]);
  StoreLittleEndian(static_cast<std::uint16_t>(kHistogramBins), &header[6]);
  StoreLittleEndian(static_cast<std::uint32_t>(classes), &header[8]);
  StoreLittleEndian(shown, &header[12]);
  return header;
}

std::uint64_t ShownOf(const ScoreHistograms& histograms) {
  std::uint64_t shown = 0;
  for (std::size_t k = 0; k < histograms.classes(); ++k) shown |= std::uint64_t{histograms.At(k).has_value()} << k;
  return shown;
}

// Of the classes shown, as they lie in the canonical form.
std::vector<std::int32_t> ValuesOf(const ScoreHistograms& histograms) {
  std::vector<std::int32_t> values;
  for (std::size_t k = 0; k < histograms.classes(); ++k) {
    if (!histograms.At(k)) continue;
    // A picture is counted once, and a site has no more than kMaxPictures.
    for (const std::uint32_t count : histograms.At(k)->positives) values.push_back(static_cast<std::int32_t>(count));
    for (const std::uint32_t count : histograms.At(k)->negatives) values.push_back(static_cast<std::int32_t>(count));
  }
  return values;
}

// Checks the header against the plan's classes; returns the classes shown.
std::uint64_t ReadHeader(const ReadableFile& file, std::size_t classes) {
  std::array<std::uint8_t, kHeaderBytes> header{};
  if (file.ReadAt(0, header) != header.size()) Damaged("the file ends within its header");
  const auto shown = LoadLittleEndian<std::uint64_t>(&header[12]);
  if (header != HeaderOf(classes, shown)) {
    Damaged("the file does not begin as version " + std::to_string(kVersion) + " of " + std::to_string(classes) +
            " classes with " + std::to_string(kHistogramBins) + " bins");
  }
  if (classes < 64 && shown >> classes != 0) Damaged("a class is shown that the plan does not have");
  if (shown == 0) Damaged("no class is shown; then there is no file");
  return shown;
}

std::array<std::uint32_t, kHistogramBins> CountsOf(std::span<const std::int32_t> values, const std::string& what) {
  std::array<std::uint32_t, kHistogramBins> counts{};
  std::uint64_t sum = 0;  // No overflow: 1,024 numbers below 2^31.
  for (std::size_t bin = 0; bin < kHistogramBins; ++bin) {
    if (values[bin] < 0) Damaged(what + " has a count below zero");
    counts[bin] = static_cast<std::uint32_t>(values[bin]);
    sum += counts[bin];
  }
  if (sum > kMaxPictures) Damaged(what + " counts more than " + std::to_string(kMaxPictures) + " pictures");
  return counts;
}

std::vector<std::optional<ClassHistogram>> Assemble(std::span<const std::int32_t> values, std::uint64_t shown,
                                                    std::size_t classes) {
  std::vector<std::optional<ClassHistogram>> histograms(classes);
  for (std::size_t k = 0; k < classes; ++k) {
    if ((shown >> k & 1) == 0) continue;
    const std::string what = "class " + std::to_string(k);
    histograms[k] = ClassHistogram{.positives = CountsOf(values.first(kHistogramBins), what),
                                   .negatives = CountsOf(values.subspan(kHistogramBins, kHistogramBins), what)};
    values = values.subspan(kClassValues);
  }
  return histograms;
}

}  // namespace

Bytes ScoreHistograms::Canonical() const {
  const auto header = HeaderOf(classes(), ShownOf(*this));
  Bytes bytes(header.begin(), header.end());
  const std::vector<std::int32_t> values = ValuesOf(*this);
  bytes.resize(kHeaderBytes + values.size() * sizeof(std::int32_t));
  for (std::size_t i = 0; i < values.size(); ++i) StoreLittleEndian(values[i], &bytes[kHeaderBytes + 4 * i]);
  return bytes;
}

Digest ScoreHistograms::Hash() const { return Sha256Of(ByteView(Canonical())); }

std::uint64_t MaxCanonicalScoresBytes(std::size_t classes) {
  return kHeaderBytes + std::uint64_t{classes} * kClassValues * sizeof(std::int32_t);
}

std::uint64_t MaxScoreHistogramsFileBytes(std::size_t classes) {
  const std::uint64_t values = std::uint64_t{classes} * kClassValues;
  std::uint64_t bytes =
      kHeaderBytes + values / kPlaneBlockValues * MaxPlaneBlockBytes(kPlaneBlockValues, sizeof(std::int32_t));
  if (values % kPlaneBlockValues != 0) bytes += MaxPlaneBlockBytes(values % kPlaneBlockValues, sizeof(std::int32_t));
  return bytes;
}

ScoresFile WriteScoreHistograms(FileSystem& files, const Path& path, const ScoreHistograms& histograms,
                                Durability durability) {
  if (histograms.Empty()) throw Error(ErrorCode::kInternal, "score histograms without a class have no file");
  const auto file = files.Create(path);
  ScoresFile info{.values = histograms.Hash()};
  Sha256 file_hash;
  const auto write = [&](ByteView bytes) {
    file->Append(bytes);
    file_hash.Update(bytes);
    info.file_bytes += bytes.size();
  };
  write(HeaderOf(histograms.classes(), ShownOf(histograms)));
  PlaneFrameWriter frames(path.string());
  const std::vector<std::int32_t> values = ValuesOf(histograms);
  for (std::size_t done = 0; done < values.size(); done += kPlaneBlockValues) {
    const std::size_t here = std::min(kPlaneBlockValues, values.size() - done);
    write(frames.Encode<std::int32_t>(std::span(values).subspan(done, here)));
  }
  if (durability == Durability::kSynced) file->Sync();
  file->Close();
  info.file = file_hash.Finish();
  return info;
}

ScoreHistograms ReadScoreHistograms(const ReadableFile& file, std::size_t classes) {
  ScoreHistograms result(classes);  // Checks the plan's number, which bounds everything below.
  const std::uint64_t shown = ReadHeader(file, classes);
  std::vector<std::int32_t> values(static_cast<std::size_t>(std::popcount(shown)) * kClassValues);
  PlaneFrameReader frames("score histograms");
  std::uint64_t offset = kHeaderBytes;
  std::uint64_t block = 0;
  for (std::size_t done = 0; done < values.size(); done += kPlaneBlockValues) {
    const std::size_t here = std::min(kPlaneBlockValues, values.size() - done);
    offset = frames.Read(file, offset, block++, std::span(values).subspan(done, here));
  }
  if (const std::uint64_t size = file.Size(); size != offset) {
    Damaged("the file has " + std::to_string(size - offset) + " bytes after its last block");
  }
  result.histograms_ = Assemble(values, shown, classes);
  return result;
}

ScoreHistograms ReadCanonicalScores(const ReadableFile& file, std::size_t classes) {
  ScoreHistograms result(classes);
  const std::uint64_t shown = ReadHeader(file, classes);
  std::vector<std::int32_t> values(static_cast<std::size_t>(std::popcount(shown)) * kClassValues);
  Bytes bytes(values.size() * sizeof(std::int32_t));
  if (file.Size() != kHeaderBytes + bytes.size() || file.ReadAt(kHeaderBytes, bytes) != bytes.size()) {
    Damaged("the stored integers do not have the length that the classes shown take");
  }
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = LoadLittleEndian<std::int32_t>(&bytes[4 * i]);
  result.histograms_ = Assemble(values, shown, classes);
  return result;
}

}  // namespace hemafed
