// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_finder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstring>
#include <opencv2/core.hpp>
#include <sstream>
#include <utility>

#include "learning/features/detection/annotated_source.h"
#include "learning/features/detection/detector_losses.h"
#include "learning/features/detection/exact_masks.h"

namespace hemafed::learning {

DetectorFinder::DetectorFinder(Detector detector, double min_score, std::string name)
    : detector_(std::move(detector)), min_score_(min_score), name_(std::move(name)) {}

std::vector<FoundCell> DetectorFinder::Find(const cv::Mat& rgb) {
  const at::NoGradGuard no_gradients;
  // The steps of Detector::Detect, but for the pasting.
  const PreparedPictures prepared = detector_.Prepare({PictureTensor(rgb).to(detector_.device())});
  const std::vector<at::Tensor> pyramid = detector_.Pyramid(prepared.frames);
  const Proposals proposals =
      detector_.Propose(detector_.Rpn(pyramid), detector_.Anchors(pyramid, prepared), prepared, /*training=*/false);
  const Detections found =
      detector_.Finish(detector_.BoxHead(pyramid, proposals.boxes, prepared), proposals.boxes, prepared).front();
  const std::int64_t sure = (found.scores >= min_score_).sum().item<std::int64_t>();  // Best first.
  if (sure == 0) return {};
  const at::Tensor logits = detector_.MaskLogits(pyramid, {found.frame_boxes.slice(0, 0, sure)}, prepared);
  const at::Tensor probabilities = at::sigmoid(OfTrueClass(logits, found.labels.slice(0, 0, sure))).cpu();
  const at::Tensor boxes = found.boxes.slice(0, 0, sure).cpu().to(at::kFloat).contiguous();
  const at::Tensor scores = found.scores.cpu().to(at::kFloat).contiguous();
  const at::Tensor masks = PasteMasksExactly(probabilities.to(at::kFloat), boxes, rgb.rows, rgb.cols).contiguous();

  std::vector<FoundCell> cells;
  for (std::int64_t i = 0; i < sure; ++i) {
    const float* box = boxes.const_data_ptr<float>() + 4 * i;
    FoundCell cell{.box = {box[0], box[1], box[2] - box[0], box[3] - box[1]},
                   .score = scores.const_data_ptr<float>()[i],
                   .mask = cv::Mat(rgb.rows, rgb.cols, CV_8UC1)};
    std::memcpy(cell.mask.data, masks[i].const_data_ptr(), masks[i].nbytes());
    cells.push_back(std::move(cell));
  }
  return cells;
}

std::string DetectorFinder::Description() const {
  const DetectorSettings& settings = detector_.settings();
  std::ostringstream text;
  text << "mask r-cnn " << DetectorBodyName(settings.body) << " " << DetectorFormName(settings.form) << " " << name_
       << ", frame " << settings.frame.min_side << " to " << settings.frame.max_side << ", score " << min_score_;
  return text.str();
}

}  // namespace hemafed::learning
