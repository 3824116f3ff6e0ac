// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/detector_settings.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::learning {

namespace {

using Json = nlohmann::json;

// Bounds of settings from a file. The largest published network has 256 channels, head layers of 1024 and 91 classes.
constexpr std::int64_t kMaxChannels = 2048;
constexpr std::int64_t kMaxHeadWidth = 8192;
constexpr int kMaxClasses = 1024;
constexpr std::size_t kMaxRatios = 16;
// Boxes of one picture that suppression has to compare with each other, all levels together.
constexpr std::int64_t kMaxProposals = 20000;

[[noreturn]] void Fail(const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, "detector settings: " + message);
}

template <typename Value>
void RequireBetween(const char* name, Value value, Value low, Value high) {
  if (value >= low && value <= high) return;  // False for NaN, too.
  Fail(std::string(name) + " is " + std::to_string(value) + ", outside " + std::to_string(low) + " to " +
       std::to_string(high));
}

template <typename Range, typename Name>
auto FromName(const char* what, std::string_view name, const Range& range, const Name& name_of) {
  std::string known;
  for (const auto candidate : range) {
    if (name == name_of(candidate)) return candidate;
    known += (known.empty() ? "" : ", ") + std::string(name_of(candidate));
  }
  Fail("unknown " + std::string(what) + " '" + std::string(name.substr(0, 64)) + "'; known are " + known);
}

double Number(JsonFields& fields, const std::string& key) {
  const Json& value = fields.Raw(key);
  if (!value.is_number()) fields.Fail(key, "is no number");
  return value.get<double>();
}

template <typename Numbers>
Numbers NumberList(JsonFields& fields, const std::string& key, std::size_t least, std::size_t most) {
  const Json& value = fields.Raw(key);
  if (!value.is_array() || value.size() < least || value.size() > most) fields.Fail(key, "is no list of that length");
  std::vector<double> numbers;
  for (const Json& entry : value) {
    if (!entry.is_number()) fields.Fail(key, "holds something that is no number");
    numbers.push_back(entry.get<double>());
  }
  if constexpr (std::is_same_v<Numbers, std::vector<double>>) {
    return numbers;
  } else {
    Numbers fixed{};
    std::copy(numbers.begin(), numbers.end(), fixed.begin());
    return fixed;
  }
}

void RequireBody(DetectorForm form, DetectorBody body) {
  if (form == DetectorForm::kPublished && body == DetectorBody::kEfficientNetLite0) {
    Fail("the published form has residual bodies only; take resnet50 or resnet101, or the torchvision form");
  }
}

void RequireValidFrame(DetectorForm form, const FrameRule& frame) {
  RequireBetween<std::int64_t>("frame.first_side", frame.first_side, 0, kMaxFrameSide);
  RequireBetween<std::int64_t>("frame.min_side", frame.min_side, 32, kMaxFrameSide);
  RequireBetween<std::int64_t>("frame.max_side", frame.max_side, frame.min_side, kMaxFrameSide);
  for (const double mean : frame.mean) RequireBetween("frame.mean", mean, 0.0, 255.0);
  for (const double deviation : frame.deviation) RequireBetween("frame.deviation", deviation, 1e-3, 255.0);
  if (form == DetectorForm::kPublished && frame.max_side % 64 != 0) {
    Fail("frame.max_side must be a multiple of 64, the stride of the coarsest level");
  }
  if (form == DetectorForm::kTorchvision && frame.first_side != 0) {
    Fail("frame.first_side belongs to the published form");
  }
}

}  // namespace

std::string_view DetectorBodyName(DetectorBody body) {
  switch (body) {
    case DetectorBody::kEfficientNetLite0: return "efficientnet_lite0";
    case DetectorBody::kResNet50: return "resnet50";
    case DetectorBody::kResNet101: return "resnet101";
  }
  throw Error(ErrorCode::kInternal, "a detector body that has no name");
}

std::string_view DetectorFormName(DetectorForm form) {
  return form == DetectorForm::kTorchvision ? "torchvision" : "published";
}

DetectorBody DetectorBodyFromName(std::string_view name) {
  return FromName("body", name, kDetectorBodies, DetectorBodyName);
}

DetectorForm DetectorFormFromName(std::string_view name) {
  return FromName("form", name, kDetectorForms, DetectorFormName);
}

DetectorSettings TorchvisionDetector(DetectorBody body) { return {.body = body}; }

DetectorSettings PublishedDetector(DetectorBody body) {
  RequireBody(DetectorForm::kPublished, body);
  return {.form = DetectorForm::kPublished,
          .body = body,
          .batch_epsilon = 1e-3,
          .rpn_channels = 512,
          .frame = {.first_side = 400,
                    .min_side = 900,
                    .max_side = 1024,
                    .mean = {123.7, 116.8, 103.9},
                    .deviation = {1, 1, 1}},
          .proposals = {.before_training = 6000,
                        .before_testing = 6000,
                        .after_training = 2000,
                        .after_testing = 1000,
                        .overlap = 0.7,
                        .min_side = 0},
          .detections = {.min_score = 0.7, .overlap = 0.3, .min_side = 0, .most = 100}};
}

DetectorSettings SmallMachineDetector() {
  return {.body = DetectorBody::kEfficientNetLite0,
          .batch_epsilon = 1e-3,
          .first_rpn_level = 1,
          .frame = {.min_side = 256, .max_side = 512},
          .proposals = {.before_training = 400, .before_testing = 200, .after_training = 200, .after_testing = 50},
          .detections = {.most = 20}};
}

void RequireValid(const DetectorSettings& settings) {
  RequireBody(settings.form, settings.body);
  RequireBetween("classes", settings.classes, 2, kMaxClasses);
  RequireBetween("batch_epsilon", settings.batch_epsilon, 0.0, 1.0);
  RequireBetween<std::int64_t>("channels", settings.channels, 1, kMaxChannels);
  RequireBetween<std::int64_t>("rpn_channels", settings.rpn_channels, 1, kMaxChannels);
  RequireBetween<std::int64_t>("head_width", settings.head_width, 1, kMaxHeadWidth);
  RequireBetween<std::size_t>("first_rpn_level", settings.first_rpn_level, 0, kPyramidLevels - 1);
  for (const double side : settings.anchor_sides) RequireBetween("anchor_sides", side, 1.0, double{kMaxFrameSide});
  RequireBetween<std::size_t>("number of anchor_ratios", settings.anchor_ratios.size(), 1, kMaxRatios);
  for (const double ratio : settings.anchor_ratios) RequireBetween("anchor_ratios", ratio, 0.01, 100.0);
  RequireValidFrame(settings.form, settings.frame);
  const ProposalRule& proposals = settings.proposals;
  for (const std::int64_t count :
       {proposals.before_training, proposals.before_testing, proposals.after_training, proposals.after_testing}) {
    RequireBetween<std::int64_t>("a number of proposals", count, 1, kMaxProposals);
  }
  RequireBetween("proposals.overlap", proposals.overlap, 0.0, 1.0);
  RequireBetween("proposals.min_side", proposals.min_side, 0.0, double{kMaxFrameSide});
  RequireBetween("detections.min_score", settings.detections.min_score, 0.0, 1.0);
  RequireBetween("detections.overlap", settings.detections.overlap, 0.0, 1.0);
  RequireBetween("detections.min_side", settings.detections.min_side, 0.0, double{kMaxFrameSide});
  RequireBetween<std::int64_t>("detections.most", settings.detections.most, 1, kMaxDetections);
}

std::string DetectorSettingsText(const DetectorSettings& settings) {
  const FrameRule& frame = settings.frame;
  const ProposalRule& proposals = settings.proposals;
  const DetectionRule& detections = settings.detections;
  const Json json = {{"form", DetectorFormName(settings.form)},
                     {"body", DetectorBodyName(settings.body)},
                     {"classes", settings.classes},
                     {"batch_epsilon", settings.batch_epsilon},
                     {"channels", settings.channels},
                     {"rpn_channels", settings.rpn_channels},
                     {"head_width", settings.head_width},
                     {"first_rpn_level", settings.first_rpn_level},
                     {"anchor_sides", settings.anchor_sides},
                     {"anchor_ratios", settings.anchor_ratios},
                     {"frame",
                      {{"first_side", frame.first_side},
                       {"min_side", frame.min_side},
                       {"max_side", frame.max_side},
                       {"mean", frame.mean},
                       {"deviation", frame.deviation}}},
                     {"proposals",
                      {{"before_training", proposals.before_training},
                       {"before_testing", proposals.before_testing},
                       {"after_training", proposals.after_training},
                       {"after_testing", proposals.after_testing},
                       {"overlap", proposals.overlap},
                       {"min_side", proposals.min_side}}},
                     {"detections",
                      {{"min_score", detections.min_score},
                       {"overlap", detections.overlap},
                       {"min_side", detections.min_side},
                       {"most", detections.most}}}};
  return json.dump();
}

DetectorSettings DetectorSettingsFromText(std::string_view text) {
  const Json json = ParseJsonObject(text, "detector settings");
  JsonFields fields(json, "detector settings");
  DetectorSettings settings;
  settings.form = DetectorFormFromName(fields.Text("form", 32));
  settings.body = DetectorBodyFromName(fields.Text("body", 32));
  settings.classes = static_cast<int>(fields.Integer("classes", 2, kMaxClasses));
  settings.batch_epsilon = Number(fields, "batch_epsilon");
  settings.channels = fields.Integer("channels", 1, kMaxChannels);
  settings.rpn_channels = fields.Integer("rpn_channels", 1, kMaxChannels);
  settings.head_width = fields.Integer("head_width", 1, kMaxHeadWidth);
  settings.first_rpn_level = fields.Unsigned("first_rpn_level", kPyramidLevels - 1);
  settings.anchor_sides =
      NumberList<decltype(settings.anchor_sides)>(fields, "anchor_sides", kPyramidLevels, kPyramidLevels);
  settings.anchor_ratios = NumberList<std::vector<double>>(fields, "anchor_ratios", 1, kMaxRatios);
  JsonFields frame = fields.Object("frame");
  settings.frame.first_side = frame.Integer("first_side", 0, kMaxFrameSide);
  settings.frame.min_side = frame.Integer("min_side", 1, kMaxFrameSide);
  settings.frame.max_side = frame.Integer("max_side", 1, kMaxFrameSide);
  settings.frame.mean = NumberList<std::array<double, 3>>(frame, "mean", 3, 3);
  settings.frame.deviation = NumberList<std::array<double, 3>>(frame, "deviation", 3, 3);
  frame.RequireAllRead();
  JsonFields proposals = fields.Object("proposals");
  settings.proposals.before_training = proposals.Integer("before_training", 1, kMaxProposals);
  settings.proposals.before_testing = proposals.Integer("before_testing", 1, kMaxProposals);
  settings.proposals.after_training = proposals.Integer("after_training", 1, kMaxProposals);
  settings.proposals.after_testing = proposals.Integer("after_testing", 1, kMaxProposals);
  settings.proposals.overlap = Number(proposals, "overlap");
  settings.proposals.min_side = Number(proposals, "min_side");
  proposals.RequireAllRead();
  JsonFields detections = fields.Object("detections");
  settings.detections.min_score = Number(detections, "min_score");
  settings.detections.overlap = Number(detections, "overlap");
  settings.detections.min_side = Number(detections, "min_side");
  settings.detections.most = detections.Integer("most", 1, kMaxDetections);
  detections.RequireAllRead();
  fields.RequireAllRead();
  RequireValid(settings);
  return settings;
}

}  // namespace hemafed::learning
