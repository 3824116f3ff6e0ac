// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <utility>

#include "common/error.h"
#include "learning/features/detection/anchors.h"
#include "learning/features/detection/body_plan.h"
#include "learning/features/detection/detector_network.h"
#include "learning/features/detection/paste_masks.h"
#include "learning/features/detection/region_crops.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

TensorsByName ByName(std::vector<NamedTensor> tensors) {
  TensorsByName by_name;
  for (NamedTensor& tensor : tensors) {
    if (!tensor.value.defined()) Fail("detector tensor '" + tensor.name + "' has no value");
    if (!by_name.emplace(tensor.name, std::move(tensor.value)).second) {
      Fail("detector tensor '" + tensor.name + "' occurs twice");
    }
  }
  return by_name;
}

void RequireFit(const DetectorTensor& spec, const at::Tensor& value, const at::Tensor& like) {
  if (value.sizes() != at::IntArrayRef(spec.shape)) {
    Fail("detector tensor '" + spec.name + "' has another shape than its settings ask for");
  }
  if (value.scalar_type() != like.scalar_type() || value.device() != like.device()) {
    Fail("detector tensor '" + spec.name + "' has another type or device than the rest");
  }
}

Detections BestOf(const Detections& found, std::int64_t count) {
  return {.boxes = found.boxes.slice(0, 0, count),
          .scores = found.scores.slice(0, 0, count),
          .labels = found.labels.slice(0, 0, count),
          .masks = {},
          .features = {},
          .grids = {},
          .frame_boxes = found.frame_boxes.slice(0, 0, count)};
}

// Before the first mask is pasted.
void RequireRoomForMasks(const std::vector<Detections>& found, const std::vector<FramePlace>& places) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    bytes += found[i].size() * places[i].picture_height * places[i].picture_width;  // Below 2^11 * 2^28 each.
  }
  if (bytes <= kMaxMaskBytes) return;
  Fail("masks of all detections would take " + std::to_string(bytes >> 20) + " MiB, more than " +
       std::to_string(kMaxMaskBytes >> 20) +
       "; take fewer pictures at a time, a lower detections.most, or grids to paste one at a time");
}

}  // namespace

BoxCoding RpnCoding(DetectorForm form) {
  return form == DetectorForm::kPublished ? BoxCoding::Published() : BoxCoding::TorchvisionProposals();
}

BoxCoding HeadCoding(DetectorForm form) {
  return form == DetectorForm::kPublished ? BoxCoding::Published() : BoxCoding::TorchvisionHead();
}

at::Tensor LastPixelCorners(DetectorForm form, const at::Tensor& boxes) {
  if (form == DetectorForm::kTorchvision) return boxes;
  return boxes - at::tensor({0.0, 0.0, 1.0, 1.0}, at::kDouble).to(boxes.options());
}

Detector::Detector(DetectorSettings settings, std::vector<NamedTensor> tensors) : settings_(std::move(settings)) {
  const std::vector<DetectorTensor> specs = DetectorTensors(settings_);
  const TensorsByName by_name = ByName(std::move(tensors));
  if (by_name.empty()) Fail("a detector without tensors");
  const at::Tensor like = by_name.begin()->second;
  if (like.scalar_type() != at::kFloat && like.scalar_type() != at::kDouble) {
    Fail("detector tensor '" + by_name.begin()->first + "' is neither float32 nor float64");
  }
  for (const DetectorTensor& spec : specs) {
    const auto found = by_name.find(spec.name);
    if (found == by_name.end()) Fail("detector tensor '" + spec.name + "' is missing");
    RequireFit(spec, found->second, like);
    tensors_.push_back({spec.name, found->second});
  }
  if (by_name.size() != specs.size()) {
    std::map<std::string, bool> known;
    for (const DetectorTensor& spec : specs) known[spec.name] = true;
    for (const auto& [name, value] : by_name) {
      if (!known.contains(name)) Fail("tensor '" + name + "' does not belong to this detector");
    }
  }
  network_ = std::make_unique<const DetectorNetwork>(settings_, by_name);
}

Detector::~Detector() = default;
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;

Detector Detector::Clone() const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) copies.push_back({tensor.name, tensor.value.detach().clone()});
  return {settings_, std::move(copies)};
}

Detector Detector::To(at::Device device) const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& tensor : tensors_) {
    copies.push_back({tensor.name, tensor.value.detach().to(device, tensor.value.scalar_type(), false, /*copy=*/true)});
  }
  return {settings_, std::move(copies)};
}

void Detector::SetRules(const FrameRule& frame, const ProposalRule& proposals, const DetectionRule& detections) {
  DetectorSettings changed = settings_;
  changed.frame = frame;
  changed.proposals = proposals;
  changed.detections = detections;
  RequireValid(changed);
  settings_ = std::move(changed);
}

PreparedPictures Detector::Prepare(const std::vector<at::Tensor>& pictures) const {
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (!pictures[i].defined() || pictures[i].device() != device() ||
        pictures[i].scalar_type() != tensors_.front().value.scalar_type()) {
      Fail("picture " + std::to_string(i) + " of the batch has another type or device than the detector");
    }
  }
  return PreparePictures(settings_.form, settings_.frame, pictures);
}

std::vector<at::Tensor> Detector::Pyramid(const at::Tensor& frames) const {
  return network_->Pyramid(network_->Body(frames));
}

RpnOutput Detector::Rpn(const std::vector<at::Tensor>& pyramid) const { return network_->Rpn(pyramid); }

AnchorSet Detector::Anchors(const std::vector<at::Tensor>& pyramid, const PreparedPictures& prepared) const {
  AnchorSet set;
  std::vector<at::Tensor> levels;
  for (std::size_t level = settings_.first_rpn_level; level < pyramid.size(); ++level) {
    const LevelSize size{pyramid[level].size(2), pyramid[level].size(3)};
    levels.push_back(LevelAnchors(settings_, level, size, {prepared.height(), prepared.width()},
                                  pyramid[level].options().requires_grad(false)));
    set.levels.push_back(levels.back().size(0));
  }
  set.boxes = at::cat(levels);
  return set;
}

BoxHeadOutput Detector::BoxHead(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                const PreparedPictures& prepared) const {
  const RegionCrops crops = CropRegions(settings_.form, pyramid, boxes, prepared, kBoxCropSide);
  const BoxHeadOutput by_level = network_->BoxHead(crops.values);
  return {by_level.logits.index_select(0, crops.place_of_box), by_level.deltas.index_select(0, crops.place_of_box)};
}

at::Tensor Detector::MaskLogits(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                const PreparedPictures& prepared) const {
  const RegionCrops crops = CropRegions(settings_.form, pyramid, boxes, prepared, kMaskCropSide);
  return network_->MaskLogits(crops.values).index_select(0, crops.place_of_box);
}

at::Tensor Detector::FeaturesAt(const std::vector<at::Tensor>& pyramid, const std::vector<at::Tensor>& boxes,
                                const PreparedPictures& prepared, std::int64_t side) const {
  const RegionCrops crops = CropRegions(settings_.form, pyramid, boxes, prepared, side);
  return crops.values.index_select(0, crops.place_of_box);
}

std::vector<Detections> Detector::Detect(const std::vector<at::Tensor>& pictures, const DetectOptions& options) const {
  const at::NoGradGuard no_gradients;
  const PreparedPictures prepared = Prepare(pictures);
  const std::vector<at::Tensor> pyramid = Pyramid(prepared.frames);
  const Proposals proposals = Propose(Rpn(pyramid), Anchors(pyramid, prepared), prepared, /*training=*/false);
  std::vector<Detections> found = Finish(BoxHead(pyramid, proposals.boxes, prepared), proposals.boxes, prepared);
  std::vector<at::Tensor> boxes;
  std::int64_t count = 0;
  for (Detections& detections : found) {
    if (options.min_score > 0) {
      detections = BestOf(detections, (detections.scores >= options.min_score).sum().item<std::int64_t>());
    }
    boxes.push_back(detections.frame_boxes);
    count += detections.size();
  }
  // The heads see all pictures' boxes at once; what belongs to which picture follows from the numbers.
  at::Tensor features;
  if (options.features) features = FeaturesAt(pyramid, boxes, prepared);
  if (options.masks) RequireRoomForMasks(found, prepared.places);
  at::Tensor grids = at::empty({0, kMaskSide, kMaskSide}, prepared.frames.options().device(at::kCPU));
  if ((options.masks || options.grids) && count > 0) {
    std::vector<at::Tensor> labels;
    for (const Detections& detections : found) labels.push_back(detections.labels);
    const at::Tensor logits = MaskLogits(pyramid, boxes, prepared);
    const at::Tensor rows = at::arange(count, at::cat(labels).options());
    grids = at::sigmoid(logits.index({rows, at::cat(labels)})).cpu();
  }
  std::int64_t first = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::int64_t last = first + found[i].size();
    if (options.features) found[i].features = features.slice(0, first, last);
    if (options.grids) found[i].grids = grids.slice(0, first, last);
    if (options.masks) {
      const FramePlace& place = prepared.places[i];
      found[i].masks = PasteMasks(settings_.form, grids.slice(0, first, last), found[i].boxes.cpu(),
                                  place.picture_height, place.picture_width);
    }
    first = last;
  }
  return found;
}

std::vector<NamedTensor> Detector::BeginTraining(const TrainedParts& parts) {
  if (parts.frozen_stages < 0 || parts.frozen_stages > static_cast<int>(kBodyStages) + 1) {
    Fail("frozen_stages is " + std::to_string(parts.frozen_stages) + ", outside 0 to 5");
  }
  std::vector<NamedTensor> trained;
  const std::vector<DetectorTensor> specs = DetectorTensors(settings_);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const DetectorTensor& spec = specs[i];
    const bool frozen = spec.part == DetectorPart::kBody && static_cast<int>(spec.stage) < parts.frozen_stages;
    const bool trains = spec.role != DetectorRole::kBuffer && (spec.role != DetectorRole::kAffine || parts.affine) &&
                        (spec.part != DetectorPart::kMaskHead || parts.mask_head) && !frozen;
    tensors_[i].value.requires_grad_(trains);
    if (trains) trained.push_back(tensors_[i]);
  }
  return trained;
}

void Detector::EndTraining() {
  for (NamedTensor& tensor : tensors_) {
    tensor.value.requires_grad_(false);
    tensor.value.mutable_grad().reset();
  }
}

}  // namespace hemafed::learning
