// SPDX-License-Identifier: Apache-2.0
#include "learning/data/domain_pictures.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "learning/data/label_map.h"
#include "learning/data/split_rule.h"

namespace hemafed::learning {

namespace {

Import ImportDomain(FileSystem& files, const DomainSource& source, const ImportProgress& progress) {
  const LabelMap labels = LabelMap::Load(files, source.labels);
  if (source.layout == PictureLayout::kManifest) {
    return ImportManifest(files, source.folder, source.name, labels, progress);
  }
  return ImportTree(files, source.folder, source.name, labels, {}, progress);
}

std::vector<std::uint32_t> PartOf(const DatasetIndex& index, DomainPart part) {
  switch (part) {
    case DomainPart::kTrain: return index.Positions(Split::kTrain);
    case DomainPart::kTest: return index.Positions(Split::kTest);
    case DomainPart::kFit: return SplitTraining(index).train;
    case DomainPart::kValidation: return SplitTraining(index).validation;
  }
  throw Error(ErrorCode::kInternal, "a part of a domain that does not exist");
}

std::vector<std::int64_t> LabelsOfClasses(const std::vector<std::string>& index_classes,
                                          const std::vector<std::string>& classes) {
  std::vector<std::int64_t> labels;
  for (const std::string& name : index_classes) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) {
      throw Error(ErrorCode::kInvalidInput, "the label map has the class '" + name +
                                                "', which is not among the classes to learn; use another label map");
    }
    labels.push_back(found - classes.begin());
  }
  return labels;
}

}  // namespace

DomainPictures::DomainPictures(FileSystem& files, const DomainSource& source, const Path& state_folder,
                               std::vector<std::string> classes, std::uint32_t side,
                               const AugmentationPlan& augmentation, const ImportProgress& progress)
    : classes_(std::move(classes)),
      augmentation_(augmentation),
      index_([&] {
        Import import = ImportDomain(files, source, progress);
        report_ = import.report.ToText();
        left_out_ = import.report.SkippedInAll();
        return std::move(import.index);
      }()),
      label_of_class_(LabelsOfClasses(index_.classes, classes_)),
      tiles_(TileCache::OpenOrBuild(files, source.folder, index_, {.side = side, .crop = source.crop}, state_folder,
                                    progress)) {
  SaveIndex(files, state_folder / (source.name + ".index"), index_);
}

std::int64_t DomainPictures::Label(std::uint32_t position) const {
  return label_of_class_.at(index_.pictures.at(position).class_index);
}

std::vector<std::uint32_t> DomainPictures::Positions(DomainPart part, std::span<const std::int64_t> labels) const {
  std::vector<std::uint32_t> positions = PartOf(index_, part);
  std::erase_if(positions, [&](std::uint32_t position) {
    return !labels.empty() && std::find(labels.begin(), labels.end(), Label(position)) == labels.end();
  });
  return positions;
}

std::unique_ptr<BatchSource> DomainPictures::Batches(const std::vector<std::uint32_t>& positions,
                                                     TileThreads threads) const {
  return std::make_unique<TileBatches>(tiles_, index_, positions, classes_, augmentation_, PixelScale{}, threads);
}

cv::Mat DomainPictures::Tile(std::uint32_t position) const {
  const int side = static_cast<int>(tiles_.shape().side);
  cv::Mat tile(side, side, CV_8UC3);
  tiles_.Read(position, {tile.data, tiles_.shape().Bytes()});
  return tile;
}

}  // namespace hemafed::learning
