// SPDX-License-Identifier: Apache-2.0
#include "learning/features/cells/annotated_picture.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <set>

#include "common/error.h"
#include "learning/data/csv.h"
#include "learning/data/manifest.h"
#include "learning/data/path_rules.h"
#include "learning/data/picture.h"
#include "learning/features/cells/overlap.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& where, std::uint32_t line, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, where + " line " + std::to_string(line) + ": " + problem);
}

// A coordinate in pixels: a plain finite decimal number.
float Coordinate(const std::string& text, const std::string& where, std::uint32_t line) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    Fail(where, line, "'" + Printable(text) + "' is not a coordinate in pixels");
  }
  return value;
}

std::string Stem(const std::string& file) { return Path(file).stem().string(); }

std::string SizeText(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

double ShareInside(const cv::Rect2f& inner, const cv::Rect2f& outer) {
  const double width = std::min<double>(Right(inner), Right(outer)) - std::max<double>(inner.x, outer.x);
  const double height = std::min<double>(Bottom(inner), Bottom(outer)) - std::max<double>(inner.y, outer.y);
  if (width <= 0 || height <= 0) return 0;
  return width * height / (double{inner.width} * inner.height);
}

}  // namespace

MaskCells CellsOfMask(const cv::Mat& levels) {
  if (levels.empty() || levels.type() != CV_8UC1) {
    throw Error(ErrorCode::kInvalidInput, "a mask must be an 8-bit picture with one channel");
  }
  const cv::Mat cell = levels >= kCytoplasmLevel;
  const cv::Mat nucleus = levels >= kNucleusLevel;
  cv::Mat regions, places, middles;
  const int count = cv::connectedComponentsWithStats(cell, regions, places, middles, 8, CV_32S);
  int large = 0;  // Each costs a mask of the picture's size.
  for (int i = 1; i < count; ++i) large += places.at<int>(i, cv::CC_STAT_AREA) >= kMinCellPixels ? 1 : 0;
  if (large > static_cast<int>(kMaxBoxesPerPicture)) {
    throw Error(ErrorCode::kInvalidInput, "a mask has " + std::to_string(large) + " regions, more than the " +
                                              std::to_string(kMaxBoxesPerPicture) + " cells that a picture may have");
  }
  MaskCells result;
  result.nuclei = cv::Mat::zeros(levels.size(), CV_8UC1);
  for (int i = 1; i < count; ++i) {
    if (places.at<int>(i, cv::CC_STAT_AREA) < kMinCellPixels) continue;
    const cv::Mat mask = regions == i;
    cv::Mat inside;
    cv::bitwise_and(mask, nucleus, inside);
    if (cv::countNonZero(inside) == 0) continue;
    cv::bitwise_or(result.nuclei, inside, result.nuclei);
    result.cells.push_back({BoxOfMask(mask), 1.0f, mask});
  }
  return result;
}

AnnotatedDomain::AnnotatedDomain(FileSystem& files, const Path& folder) : folder_(files, folder) {
  name_ = folder_.root().filename().string();
  ReadManifest(files);
  const std::size_t listed = entries_.size();
  bool has_boxes = files.Exists(folder_.root() / kBoxesFile);
  bool has_masks = files.Exists(folder_.root() / kMasksFolder);
  if (!has_boxes && !has_masks) {
    throw Error(ErrorCode::kNotFound, folder_.root().string() +
                                          " has neither masks/ nor boxes.csv, so no cell of its " +
                                          std::to_string(listed) + " pictures is marked");
  }
  if (has_masks) {
    const std::vector<std::string> names = files.List(folder_.root() / kMasksFolder);
    const std::set<std::string> there(names.begin(), names.end());
    std::map<std::string, std::string> owner;
    for (AnnotatedEntry& entry : entries_) {
      const std::string mask = Stem(entry.file) + ".png";
      if (!there.contains(mask)) continue;
      const auto [other, fresh] = owner.emplace(mask, entry.file);
      if (!fresh) {
        throw Error(ErrorCode::kInvalidInput, folder_.root().string() + ": masks/" + Printable(mask) + " belongs to " +
                                                  other->second + " and to " + entry.file + "; rename one of them");
      }
      entry.mask = std::string(kMasksFolder) + "/" + mask;
    }
  }
  if (has_boxes) ReadBoxes(files);
  DropNestedBoxes();
  // What no table marks is not annotated; a class without a cell is a contradiction.
  std::erase_if(entries_, [&](const AnnotatedEntry& entry) {
    if (!entry.mask.empty()) return false;
    if (entry.cells.empty() && entry.others.empty()) return true;
    if (!entry.cells.empty() || entry.class_common == "none") return false;
    notes_.push_back(entry.file + ": class " + entry.class_common + ", but no " + std::string(kCellLabel) +
                     " box; left out");
    return true;
  });
}

void AnnotatedDomain::ReadManifest(FileSystem& files) {
  const Path path = folder_.root() / kManifestFile;
  if (!files.Exists(path)) {
    throw Error(ErrorCode::kNotFound, path.string() + " is missing; annotated pictures need it (docs/segment.md)");
  }
  const std::string where = path.string();
  std::set<std::string> seen;
  std::uint32_t row = 0;
  for (const ManifestRow& line : ParseManifest(ReadFile(files, path, kMaxCsvBytes), where)) {
    ++row;
    const std::string what = where + ", picture " + std::to_string(row) + ": ";
    if (const auto reason = CheckPicturePath(line.file)) {
      throw Error(ErrorCode::kInvalidInput, what + std::string(SkipReasonText(*reason)));
    }
    if (!seen.insert(line.file).second) throw Error(ErrorCode::kInvalidInput, what + line.file + " is listed twice");
    if (std::uint64_t{line.width} * line.height > kMaxPicturePixels || line.width < kMinPictureSide ||
        line.height < kMinPictureSide) {
      throw Error(ErrorCode::kInvalidInput, what + line.file + " is " + std::to_string(line.width) + "x" +
                                                std::to_string(line.height) + ", which is no size of a picture here");
    }
    entries_.push_back({.file = line.file,
                        .class_common = line.class_common,
                        .split = line.split,
                        .width = static_cast<int>(line.width),
                        .height = static_cast<int>(line.height)});
  }
}

void AnnotatedDomain::ReadBoxes(FileSystem& files) {
  const Path path = folder_.root() / kBoxesFile;
  const std::string where = path.string();
  const CsvTable table = ParseCsv(ReadFile(files, path, kMaxCsvBytes), where);
  const std::size_t file = table.Column("file", where);
  const std::size_t label = table.Column("label", where);
  const std::array columns = {table.Column("x0", where), table.Column("y0", where), table.Column("x1", where),
                              table.Column("y1", where)};
  std::map<std::string_view, AnnotatedEntry*> entries;
  for (AnnotatedEntry& entry : entries_) entries.emplace(entry.file, &entry);
  for (const CsvRow& row : table.rows) {
    const auto found = entries.find(row.fields[file]);
    if (found == entries.end()) {
      Fail(where, row.line,
           "'" + Printable(row.fields[file]) + "' is not in manifest.csv; add it there or remove the line");
    }
    AnnotatedEntry& entry = *found->second;
    if (!IsShortName(row.fields[label])) {
      Fail(where, row.line,
           "'" + Printable(row.fields[label]) + "' is no label; use letters, digits, '_', '-' and '.'");
    }
    std::array<float, 4> corner{};
    for (std::size_t i = 0; i < 4; ++i) corner[i] = Coordinate(row.fields[columns[i]], where, row.line);
    const auto [x0, y0, x1, y1] = corner;
    if (x0 >= x1 || y0 >= y1) Fail(where, row.line, "the box is empty: x0 must be below x1, and y0 below y1");
    if (x0 < 0 || y0 < 0 || x1 > static_cast<float>(entry.width) || y1 > static_cast<float>(entry.height)) {
      Fail(where, row.line,
           "the box reaches outside the picture, which is " + SizeText(entry.width, entry.height) +
               " pixels; correct the box or remove the line");
    }
    if (entry.cells.size() + entry.others.size() >= kMaxBoxesPerPicture) {
      Fail(where, row.line, "more than " + std::to_string(kMaxBoxesPerPicture) + " boxes in " + entry.file);
    }
    const cv::Rect2f box(x0, y0, x1 - x0, y1 - y0);
    if (row.fields[label] != kCellLabel) {
      entry.others.push_back({row.fields[label], box});
    } else if (entry.mask.empty()) {
      entry.cells.push_back(box);
    }
  }
}

void AnnotatedDomain::DropNestedBoxes() {
  for (AnnotatedEntry& entry : entries_) {
    std::vector<cv::Rect2f> kept;
    // Largest first, so that what stays is the outer box; equal ones keep their order.
    std::stable_sort(entry.cells.begin(), entry.cells.end(),
                     [](const cv::Rect2f& a, const cv::Rect2f& b) { return a.area() > b.area(); });
    for (const cv::Rect2f& box : entry.cells) {
      const bool nested = std::any_of(kept.begin(), kept.end(),
                                      [&](const cv::Rect2f& outer) { return ShareInside(box, outer) >= kNestedShare; });
      if (!nested) kept.push_back(box);
    }
    if (kept.size() < entry.cells.size()) {
      notes_.push_back(entry.file + ": " + std::to_string(entry.cells.size() - kept.size()) +
                       " box(es) mark a cell that another box marks; left out");
      entry.cells = std::move(kept);
    }
  }
}

std::vector<std::size_t> AnnotatedDomain::Positions(Split split) const {
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].split == split) positions.push_back(i);
  }
  return positions;
}

std::string AnnotatedDomain::BytesOf(const std::string& file) const {
  auto content = folder_.Read(file);
  if (const auto* reason = std::get_if<SkipReason>(&content)) {
    throw Error(ErrorCode::kInvalidInput,
                (folder_.root() / file).string() + ": " + std::string(SkipReasonText(*reason)));
  }
  return std::move(std::get<std::string>(content));
}

Digest AnnotatedDomain::ContentOf(std::size_t position) const {
  const AnnotatedEntry& entry = entries_.at(position);
  std::string text =
      entry.file + "\n" + std::string(SplitName(entry.split)) + "\n" + Sha256Of(BytesOf(entry.file)).Hex();
  text += "\n" + (entry.mask.empty() ? std::string("boxes") : Sha256Of(BytesOf(entry.mask)).Hex());
  const auto add = [&](const std::string& label, const cv::Rect2f& box) {
    text += "\n" + label;
    for (const float value : {box.x, box.y, box.width, box.height}) text += " " + std::to_string(value);
  };
  for (const cv::Rect2f& box : entry.cells) add("cell", box);
  for (const LabelledBox& other : entry.others) add(other.label, other.box);
  return Sha256Of(text);
}

Digest AnnotatedDomain::Content() const {
  std::string all;
  for (std::size_t i = 0; i < entries_.size(); ++i) all += ContentOf(i).Hex();
  return Sha256Of(all);
}

cv::Mat AnnotatedDomain::Decode(const std::string& file, const AnnotatedEntry& entry) const {
  const std::string where = (folder_.root() / file).string();
  auto decoded = DecodePicture(AsBytes(BytesOf(file)));
  if (const auto* reason = std::get_if<SkipReason>(&decoded)) {
    throw Error(ErrorCode::kInvalidInput, where + ": " + std::string(SkipReasonText(*reason)));
  }
  cv::Mat rgb = std::get<cv::Mat>(decoded);
  if (rgb.cols != entry.width || rgb.rows != entry.height) {
    throw Error(ErrorCode::kInvalidInput, where + " is " + SizeText(rgb.cols, rgb.rows) +
                                              " pixels, but its picture is " + SizeText(entry.width, entry.height) +
                                              " in manifest.csv; scale neither, export the right file again");
  }
  return rgb;
}

AnnotatedPicture AnnotatedDomain::Read(std::size_t position) const {
  const AnnotatedEntry& entry = entries_.at(position);
  AnnotatedPicture picture{.file = entry.file, .split = entry.split, .rgb = Decode(entry.file, entry)};
  picture.others = entry.others;
  if (entry.mask.empty()) {
    for (const cv::Rect2f& box : entry.cells) picture.cells.push_back({box, 1.0f, {}});
    return picture;
  }
  std::vector<cv::Mat> planes;
  cv::split(Decode(entry.mask, entry), planes);
  if (cv::norm(planes[0], planes[1], cv::NORM_INF) > 0 || cv::norm(planes[0], planes[2], cv::NORM_INF) > 0) {
    throw Error(ErrorCode::kInvalidInput, (folder_.root() / entry.mask).string() +
                                              " is coloured; a mask is grey: 0 background, 128 cytoplasm, 255 nucleus");
  }
  MaskCells cells = CellsOfMask(planes[0]);
  picture.has_masks = true;
  picture.cells = std::move(cells.cells);
  picture.nuclei = std::move(cells.nuclei);
  return picture;
}

}  // namespace hemafed::learning
