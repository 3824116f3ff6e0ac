// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/annotated_source.h"

#include <ATen/ATen.h>

#include <map>
#include <opencv2/core.hpp>
#include <utility>

#include "common/error.h"
#include "common/sha256.h"

namespace hemafed::learning {

at::Tensor PictureTensor(const cv::Mat& rgb) {
  if (rgb.empty() || rgb.type() != CV_8UC3) {
    throw Error(ErrorCode::kInvalidInput, "a picture for the detector must be 8-bit RGB and not empty");
  }
  const cv::Mat whole = rgb.isContinuous() ? rgb : rgb.clone();
  return at::from_blob(whole.data, {whole.rows, whole.cols, 3}, at::kByte)
      .permute({2, 0, 1})
      .to(at::kFloat)
      .contiguous();
}

TrainingPicture ToTrainingPicture(const AnnotatedPicture& picture) {
  std::vector<at::Tensor> boxes, masks;
  for (const FoundCell& cell : picture.cells) {
    if (cell.box.width < 1.0F || cell.box.height < 1.0F) continue;
    boxes.push_back(at::tensor({cell.box.x, cell.box.y, Right(cell.box), Bottom(cell.box)}).view({1, 4}));
    if (!picture.has_masks) continue;
    const cv::Mat mask = cell.mask.isContinuous() ? cell.mask : cell.mask.clone();
    masks.push_back((at::from_blob(mask.data, {mask.rows, mask.cols}, at::kByte) > 0).to(at::kFloat));
  }
  const auto count = static_cast<std::int64_t>(boxes.size());
  TrainingPicture result{.picture = PictureTensor(picture.rgb),
                         .boxes = count > 0 ? at::cat(boxes) : at::empty({0, 4}),
                         .labels = at::ones({count}, at::kLong)};
  if (picture.has_masks) {
    result.masks = count > 0 ? at::stack(masks) : at::empty({0, picture.rgb.rows, picture.rgb.cols});
  }
  return result;
}

void AnnotatedSource::Add(const AnnotatedDomain& domain, const std::vector<std::size_t>& positions, unsigned times) {
  for (const std::size_t position : positions) {
    if (position >= domain.entries().size()) {
      throw Error(ErrorCode::kInvalidInput, "domain " + domain.name() + " has no picture " + std::to_string(position));
    }
    for (unsigned i = 0; i < times; ++i) items_.push_back({&domain, position});
  }
}

bool AnnotatedSource::HasMasks(std::size_t place) const {
  return !items_.at(place).domain->entries().at(items_.at(place).position).mask.empty();
}

TrainingPicture AnnotatedSource::Get(std::size_t place, std::uint64_t epoch) const {
  const Item& item = items_.at(place);
  const AnnotatedPicture picture = item.domain->Read(item.position);
  return ToTrainingPicture(change_.apply ? change_.apply(picture, place, epoch) : picture);
}

std::string AnnotatedSource::Description() const {
  Sha256 hash;
  std::map<std::pair<const AnnotatedDomain*, std::size_t>, Digest> contents;  // A picture may count several times.
  for (const Item& item : items_) {
    auto [content, fresh] = contents.try_emplace({item.domain, item.position});
    if (fresh) content->second = item.domain->ContentOf(item.position);
    hash.Update(item.domain->name() + "\n" + content->second.Hex() + "\n");
  }
  return std::to_string(items_.size()) + " annotated pictures " + hash.Finish().Hex() + "; " + change_.description;
}

}  // namespace hemafed::learning
