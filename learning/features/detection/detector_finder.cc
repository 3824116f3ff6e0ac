// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_finder.h"

#include <ATen/ATen.h>

#include <cstring>
#include <opencv2/core.hpp>
#include <sstream>
#include <utility>

#include "common/error.h"
#include "learning/features/detection/annotated_source.h"
#include "learning/features/detection/exact_masks.h"

namespace hemafed::learning {

DetectorFinder::DetectorFinder(Detector detector, double min_score, std::string name)
    : detector_(std::move(detector)), min_score_(min_score), name_(std::move(name)) {}

std::vector<FoundCell> DetectorFinder::Find(const cv::Mat& rgb) {
  const at::Tensor picture = PictureTensor(rgb).to(detector_.device());
  const Detections found =
      detector_.Detect({picture}, {.masks = false, .features = false, .grids = true, .min_score = min_score_}).front();
  const std::int64_t pixels = std::int64_t{rgb.rows} * rgb.cols;
  if (found.size() * pixels > kMaxMaskBytes) {
    throw Error(ErrorCode::kInvalidInput, std::to_string(found.size()) + " cells in a picture of " +
                                              std::to_string(rgb.cols) + " x " + std::to_string(rgb.rows) +
                                              " pixels: their masks would take more than " +
                                              std::to_string(kMaxMaskBytes >> 20) +
                                              " MiB; cut the picture into parts, or ask for a higher score");
  }
  const at::Tensor grids = found.grids.to(at::kFloat);
  const at::Tensor boxes = found.boxes.cpu().to(at::kFloat).contiguous();
  const at::Tensor scores = found.scores.cpu().to(at::kFloat).contiguous();
  std::vector<FoundCell> cells;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const float* box = boxes.const_data_ptr<float>() + 4 * i;
    FoundCell cell{.box = {box[0], box[1], box[2] - box[0], box[3] - box[1]},
                   .score = scores.const_data_ptr<float>()[i],
                   .mask = cv::Mat(rgb.rows, rgb.cols, CV_8UC1)};
    const at::Tensor mask = PasteMasksExactly(grids.slice(0, i, i + 1), boxes.slice(0, i, i + 1), rgb.rows, rgb.cols);
    std::memcpy(cell.mask.data, mask.const_data_ptr(), mask.nbytes());
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
