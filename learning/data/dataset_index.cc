// SPDX-License-Identifier: Apache-2.0
#include "learning/data/dataset_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "learning/data/label_map.h"
#include "learning/data/path_rules.h"
#include "learning/data/picture_folder.h"
#include "learning/data/picture_header.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

json PictureJson(const PictureEntry& picture) {
  return {{"file", picture.file},         {"label", picture.label},
          {"class", picture.class_index}, {"split", SplitName(picture.split)},
          {"width", picture.width},       {"height", picture.height},
          {"bytes", picture.bytes},       {"sha256", picture.digest.Hex()},
          {"group", picture.group},       {"patient", picture.patient}};
}

std::string PlainName(JsonFields& fields, const std::string& key) {
  std::string name = fields.Text(key, kMaxNameBytes);
  if (!IsPlainName(name)) fields.Fail(key, "is no plain name");
  return name;
}

std::string PlainText(JsonFields& fields, const std::string& key, std::size_t max_bytes) {
  std::string text = fields.Text(key, max_bytes);
  if (!IsPlainText(text)) fields.Fail(key, "holds control characters");
  return text;
}

PictureEntry ParsePicture(JsonFields& fields, std::size_t classes) {
  PictureEntry picture;
  picture.file = fields.Text("file", kMaxPicturePathBytes);
  if (CheckPicturePath(picture.file)) fields.Fail("file", "is no path below the domain folder");
  picture.label = PlainText(fields, "label", kMaxShortNameBytes);
  picture.class_index = static_cast<std::uint32_t>(fields.Unsigned("class", classes - 1));
  const std::string split = fields.Text("split", 5);
  if (split != "train" && split != "test") fields.Fail("split", "is neither 'train' nor 'test'");
  picture.split = split == "test" ? Split::kTest : Split::kTrain;
  picture.width = static_cast<std::uint32_t>(fields.Unsigned("width", kMaxPicturePixels));
  picture.height = static_cast<std::uint32_t>(fields.Unsigned("height", kMaxPicturePixels));
  if (std::min(picture.width, picture.height) < kMinPictureSide) fields.Fail("width", "or height is too small");
  if (std::uint64_t{picture.width} * picture.height > kMaxPicturePixels)
    fields.Fail("width", "times height is too large");
  picture.bytes = fields.Unsigned("bytes", kMaxPictureFileBytes);
  picture.digest = fields.Sha256Digest("sha256");
  picture.group = PlainText(fields, "group", kMaxGroupBytes);
  picture.patient = PlainText(fields, "patient", kMaxGroupBytes);
  fields.RequireAllRead();
  return picture;
}

}  // namespace

std::string_view SplitName(Split split) noexcept { return split == Split::kTrain ? "train" : "test"; }

std::vector<std::uint64_t> DatasetIndex::CountsPerClass(Split split) const {
  std::vector<std::uint64_t> counts(classes.size());
  for (const PictureEntry& picture : pictures) {
    if (picture.split == split) ++counts[picture.class_index];
  }
  return counts;
}

std::vector<std::uint32_t> DatasetIndex::Positions(Split split) const {
  std::vector<std::uint32_t> positions;
  for (std::uint32_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].split == split) positions.push_back(i);
  }
  return positions;
}

std::string FormatIndex(const DatasetIndex& index) {
  // One picture a line: a quarter of a million of them stay readable, comparable and cheap to write.
  std::string text = "{\"classes\":" + json(index.classes).dump() + ",\n\"domain\":" + json(index.domain).dump() +
                     ",\n\"label_map\":" + json(index.label_map).dump() + ",\n\"pictures\":[";
  for (std::size_t i = 0; i < index.pictures.size(); ++i) {
    text += (i == 0 ? "\n" : ",\n") + PictureJson(index.pictures[i]).dump();
  }
  return text + "\n],\n\"version\":" + std::to_string(kIndexVersion) + "}\n";
}

Digest IndexDigest(const DatasetIndex& index) { return Sha256Of(FormatIndex(index)); }

DatasetIndex ParseIndex(std::string_view text, const std::string& where) {
  if (text.size() > kMaxIndexBytes) {
    throw Error(ErrorCode::kInvalidInput, where + " is larger than " + std::to_string(kMaxIndexBytes) + " bytes");
  }
  const json parsed = ParseJsonObject(text, where);
  JsonFields fields(parsed, where);
  const std::uint64_t version = fields.Unsigned("version", UINT32_MAX);
  if (version != kIndexVersion) {
    fields.Fail("version", "is " + std::to_string(version) + ", this program reads " + std::to_string(kIndexVersion) +
                               "; import the pictures again");
  }
  DatasetIndex index;
  index.domain = PlainName(fields, "domain");
  index.label_map = PlainName(fields, "label_map");
  index.classes = fields.Texts("classes", kMaxClasses, kMaxNameBytes);
  const std::set<std::string> distinct(index.classes.begin(), index.classes.end());
  if (index.classes.empty() || distinct.size() != index.classes.size())
    fields.Fail("classes", "is empty or repeats a name");
  for (const std::string& name : index.classes) {
    if (!IsPlainName(name)) fields.Fail("classes", "holds '" + Printable(name) + "', which is no plain name");
  }
  for (JsonFields& picture : fields.Objects("pictures", kMaxFilesPerDomain)) {
    index.pictures.push_back(ParsePicture(picture, index.classes.size()));
    const std::size_t count = index.pictures.size();
    if (count > 1 && !(index.pictures[count - 2].digest < index.pictures[count - 1].digest)) {
      picture.Fail("sha256", "is not larger than the one before; pictures stand in ascending order, none twice");
    }
  }
  fields.RequireAllRead();
  return index;
}

void SaveIndex(FileSystem& files, const Path& path, const DatasetIndex& index) {
  WriteFileAtomically(files, path, FormatIndex(index));
}

DatasetIndex LoadIndex(FileSystem& files, const Path& path) {
  return ParseIndex(ReadFile(files, path, kMaxIndexBytes), path.string());
}

}  // namespace hemafed::learning
