// SPDX-License-Identifier: Apache-2.0
//
// How fast Mask R-CNN finds cells, part by part, beside PyTorch's eager mode on the same LibTorch (eager_detector.h).
//
//     detector_bench [MIN_SIDE [ROUNDS [THREADS [DEVICE]]]]          400 5 2 cpu
//
// One picture of MIN_SIDE x MIN_SIDE pixels, ResNet-50 in torchvision's form with 2 classes, 1,000 proposals and 100
// detections as torchvision takes them at most, made-up weights.
//
//   network   body, pyramid, RPN head, box head on 1,000 crops, mask head on 100: ours, and the eager peer with
//   pictures
//             in both memory formats
//   regions   RoIAlign of 1,000 boxes to 7 x 7 and of 100 to 14 x 14
//   nms       suppression of the RPN's 4 x 1,000 best (fewer on small levels) and of the 1,000 boxes of the head
//   detect    the whole way, masks pasted
//
// Each row: the median over the rounds in milliseconds, by the clock and (in brackets) of the processor; in each round
// everything runs once, in turn, so that what else runs on the machine slows all alike. The ratio is the median over
// the rounds of peer's time / our time. Before timing, the outputs of both are compared. detector_peer.py times
// torchvision's own modules the same way; a wheel without compiled operators runs RoIAlign and suppression in Python,
// which is no peer for ours.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "learning/features/detection/detector.h"
#include "learning/features/detection/detector_network.h"
#include "learning/features/detection/nms.h"
#include "learning/models/device.h"
#include "learning/models/torch_setup.h"
#include "tests/bench/eager_detector.h"

namespace hemafed::learning {
namespace {

using testing_support::EagerDetector;

constexpr std::int64_t kProposals = 1000;
constexpr std::int64_t kDetections = 100;
constexpr std::int64_t kLevelCandidates = 1000;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Contender {
  std::string name;
  std::function<void()> work;
  int peer = -1;  // index of the contender whose time is divided by this one's
  std::vector<double> seconds = {};
  std::vector<double> processor = {};
};

double MedianRatio(const std::vector<double>& peer, const std::vector<double>& ours) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < peer.size(); ++i) ratios.push_back(peer[i] / ours[i]);
  return Median(std::move(ratios));
}

void PrintRatio(const Contender& peer, const Contender& ours) {
  std::printf("   ratio %.2f, of the processor %.2f", MedianRatio(peer.seconds, ours.seconds),
              MedianRatio(peer.processor, ours.processor));
}

void Race(std::vector<Contender>& contenders, int rounds, at::Device device) {
  for (int round = -1; round < rounds; ++round) {  // The first one allocates and compiles kernels.
    for (Contender& contender : contenders) {
      const auto start = std::chrono::steady_clock::now();
      const std::clock_t processor_start = std::clock();
      contender.work();
      if (device.is_cuda()) torch::cuda::synchronize();
      const std::clock_t processor_end = std::clock();
      const auto end = std::chrono::steady_clock::now();
      if (round < 0) continue;
      contender.seconds.push_back(std::chrono::duration<double>(end - start).count());
      contender.processor.push_back(static_cast<double>(processor_end - processor_start) / CLOCKS_PER_SEC);
    }
  }
  for (const Contender& contender : contenders) {
    std::printf("  %-34s %9.2f ms (%9.2f)", contender.name.c_str(), 1000 * Median(contender.seconds),
                1000 * Median(contender.processor));
    if (contender.peer >= 0) PrintRatio(contenders[static_cast<std::size_t>(contender.peer)], contender);
    std::printf("\n");
  }
}

// Boxes of all sizes up to the frame's, so that every level has some.
at::Tensor MadeUpBoxes(std::int64_t count, double side, std::uint64_t seed) {
  RandomStream random(seed);
  at::Tensor boxes = at::empty({count, 4}, at::kFloat);
  float* out = boxes.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i, out += 4) {
    const double width = random.NextBetween(8, side), height = random.NextBetween(8, side);
    const double x = random.NextBetween(0, side - width), y = random.NextBetween(0, side - height);
    out[0] = static_cast<float>(x);
    out[1] = static_cast<float>(y);
    out[2] = static_cast<float>(x + width);
    out[3] = static_cast<float>(y + height);
  }
  return boxes;
}

at::Tensor MadeUpValues(std::vector<std::int64_t> shape, double low, double high, std::uint64_t seed) {
  RandomStream random(seed);
  at::Tensor values = at::empty(shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(random.NextBetween(low, high));
  return values;
}

void RequireClose(const char* what, const at::Tensor& ours, const at::Tensor& peer) {
  const double difference = (ours - peer).abs().max().item<double>(), scale = peer.abs().max().item<double>();
  if (difference <= 1e-3 * scale) return;
  throw Error(ErrorCode::kInternal, std::string(what) + " differs from the peer by " + std::to_string(difference));
}

void Measure(std::int64_t side, int rounds, at::Device device) {
  const at::NoGradGuard no_gradients;
  DetectorSettings settings = TorchvisionDetector(DetectorBody::kResNet50);
  settings.frame.min_side = side;
  settings.frame.max_side = std::max(settings.frame.max_side, side);
  settings.detections.min_score = 0;  // Made-up weights are sure of nothing; a full list is what is to be timed.
  const Detector detector = InitialDetector(settings, 1).To(device);
  const EagerDetector plain(detector, at::MemoryFormat::Contiguous), last(detector, at::MemoryFormat::ChannelsLast);

  const at::Tensor picture = MadeUpValues({3, side, side}, 0, 255, 2).to(device);
  const PreparedPictures prepared = detector.Prepare({picture});
  const std::vector<at::Tensor> pyramid = detector.Pyramid(prepared.frames);
  const std::vector<at::Tensor> proposals = {MadeUpBoxes(kProposals, static_cast<double>(side), 3).to(device)};
  const std::vector<at::Tensor> found = {MadeUpBoxes(kDetections, static_cast<double>(side), 4).to(device)};
  // Crops of both, in their own formats: who crops is timed apart.
  const at::Tensor box_crops = detector.FeaturesAt(pyramid, proposals, prepared, 7);
  const at::Tensor mask_crops = detector.FeaturesAt(pyramid, found, prepared, 14);
  TensorsByName by_name;
  for (const NamedTensor& tensor : detector.tensors()) by_name.emplace(tensor.name, tensor.value);
  const DetectorNetwork network(settings, by_name);
  const at::Tensor box_crops_plain = box_crops.contiguous(), mask_crops_plain = mask_crops.contiguous();
  const at::Tensor box_crops_last = box_crops.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor mask_crops_last = mask_crops.contiguous(at::MemoryFormat::ChannelsLast);
  RequireClose("P2", pyramid[0], plain.Pyramid(prepared.frames)[0]);
  RequireClose("the box head", network.BoxHead(box_crops_last).logits, plain.BoxHead(box_crops_plain));
  RequireClose("the mask head", network.MaskLogits(mask_crops_last), plain.MaskLogits(mask_crops_plain));

  const RpnOutput rpn = detector.Rpn(pyramid);
  const AnchorSet anchors = detector.Anchors(pyramid, prepared);
  std::vector<at::Tensor> candidates, groups;
  std::int64_t level = 0;
  for (const std::int64_t count : anchors.levels) {
    const std::int64_t taken = std::min(count, kLevelCandidates);
    candidates.push_back(MadeUpBoxes(taken, static_cast<double>(side), 5 + static_cast<std::uint64_t>(level)));
    groups.push_back(at::full({taken}, level++, at::kLong));
  }
  const at::Tensor boxes = at::cat(candidates).to(device), group = at::cat(groups).to(device);
  const at::Tensor scores = MadeUpValues({boxes.size(0)}, 0, 1, 20).to(device);

  const auto peer_network = [&](const EagerDetector& peer, const at::Tensor& seven, const at::Tensor& fourteen) {
    (void)peer.Rpn(peer.Pyramid(prepared.frames));
    (void)peer.BoxHead(seven);
    (void)peer.MaskLogits(fourteen);
  };
  std::printf("detector, resnet50, %lld x %lld px, %d threads, %s\n", static_cast<long long>(side),
              static_cast<long long>(side), at::get_num_threads(), DeviceText(device).c_str());
  std::vector<Contender> contenders = {
      {"network, eager", [&] { peer_network(plain, box_crops_plain, mask_crops_plain); }},
      {"network, eager channels-last", [&] { peer_network(last, box_crops_last, mask_crops_last); }},
      {"network, ours beside eager",
       [&] {
         (void)network.Rpn(network.Pyramid(network.Body(prepared.frames)));
         (void)network.BoxHead(box_crops_last);
         (void)network.MaskLogits(mask_crops_last);
       },
       0},
      {"  body and pyramid, eager", [&] { (void)plain.Pyramid(prepared.frames); }},
      {"  body and pyramid, ours", [&] { (void)detector.Pyramid(prepared.frames); }, 3},
      {"  RPN head, eager", [&] { (void)plain.Rpn(pyramid); }},
      {"  RPN head, ours", [&] { (void)network.Rpn(pyramid); }, 5},
      {"  box head, eager", [&] { (void)plain.BoxHead(box_crops_plain); }},
      {"  box head, ours", [&] { (void)network.BoxHead(box_crops_last); }, 7},
      {"  mask head, eager", [&] { (void)plain.MaskLogits(mask_crops_plain); }},
      {"  mask head, ours", [&] { (void)network.MaskLogits(mask_crops_last); }, 9},
      {"regions",
       [&] {
         (void)detector.FeaturesAt(pyramid, proposals, prepared, 7);
         (void)detector.FeaturesAt(pyramid, found, prepared, 14);
       }},
      {"nms",
       [&] {
         (void)SuppressOverlaps(boxes, scores, group, 0.7, kProposals);
         (void)SuppressOverlaps(proposals[0], scores.slice(0, 0, kProposals), {}, 0.5, kDetections);
       }},
      {"detect", [&] { (void)detector.Detect({picture}); }}};
  Race(contenders, rounds, device);
  std::printf("  network beside eager channels-last");
  PrintRatio(contenders[1], contenders[2]);
  std::printf("\n");
}

int Run(int argc, char** argv) {
  const auto number = [&](int at, std::int64_t otherwise) {
    return argc > at ? std::strtoll(argv[at], nullptr, 10) : otherwise;
  };
  const std::int64_t side = number(1, 400), rounds = number(2, 5);
  if (argc > 5 || side < 64 || side > kMaxFrameSide || rounds < 1) {
    std::fprintf(stderr, "usage: detector_bench [MIN_SIDE [ROUNDS [THREADS [cpu|cuda|cuda:N]]]]\n");
    return 2;
  }
  ConfigureTorch(static_cast<int>(number(3, 2)));
  const at::Device device = argc > 4 ? RequireDevice(argv[4]) : at::Device(at::kCPU);
  // Bits do not matter here, and some of a device's kernels have no deterministic form.
  if (device.is_cuda()) at::globalContext().setDeterministicAlgorithms(false, false);
  Measure(side, static_cast<int>(rounds), device);
  return 0;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) {
  try {
    return hemafed::learning::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "detector_bench: %s\n", error.what());
    return 1;
  }
}
