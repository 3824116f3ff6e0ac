// SPDX-License-Identifier: Apache-2.0
//
// How fast the networks are beside PyTorch's eager mode on the same LibTorch (eager_networks.h).
//
//     networks_bench                                                     the rows of docs/performance.md
//     networks_bench ARCHITECTURE SIDE BATCH ROUNDS [THREADS [NORMALISATION [DEVICE]]]
//
// Each row: pictures/s of a training step (forward, cross-entropy, backward, plain gradient step) or of inference, the
// median over the rounds. In each round every contender runs once, in turn, so that what else runs on the machine slows
// all alike; the ratio is the median over the rounds of peer's time / our time, for the peer with the same precision
// and channels-last pictures. Weights and pictures are made up; before timing, the logits of both are compared. Works
// on a machine with nothing but LibTorch; DEVICE is cpu,
// cuda or cuda:N.
#include <ATen/ATen.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/models/device.h"
#include "learning/models/grow_head.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "tests/bench/eager_networks.h"

namespace hemafed::learning {
namespace {

using testing_support::EagerNetwork;

constexpr std::int64_t kClasses = 13;
constexpr double kLearningRate = 1e-4;

struct Job {
  Architecture architecture;
  std::int64_t side;
  std::int64_t batch;
  int rounds;
  Normalisation normalisation = Normalisation::kBatchFrozen;
  at::Device device = at::kCPU;
  bool inference = true;  // false: training alone
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Synchronise(at::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize();
}

void GradientStep(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_gradients;
  for (at::Tensor parameter : parameters) {
    parameter.add_(parameter.grad(), -kLearningRate);
    parameter.mutable_grad().reset();
  }
}

// One of those who run in turn.
struct Contender {
  std::string name;
  int peer;  // index of the contender to be compared with, -1: none
  std::function<void()> work;
  std::vector<double> seconds = {};
  std::vector<double> processor = {};
};

double MedianRatio(const std::vector<double>& peer, const std::vector<double>& ours) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < peer.size(); ++i) ratios.push_back(peer[i] / ours[i]);
  return Median(std::move(ratios));
}

void Race(const char* what, const Job& job, std::vector<Contender>& contenders) {
  for (int round = -1; round < job.rounds; ++round) {  // The first one allocates and compiles kernels.
    for (Contender& contender : contenders) {
      Synchronise(job.device);
      const auto start = std::chrono::steady_clock::now();
      const std::clock_t processor_start = std::clock();
      contender.work();
      Synchronise(job.device);
      const std::clock_t processor_end = std::clock();
      const auto end = std::chrono::steady_clock::now();
      if (round < 0) continue;
      contender.seconds.push_back(std::chrono::duration<double>(end - start).count());
      contender.processor.push_back(static_cast<double>(processor_end - processor_start) / CLOCKS_PER_SEC);
    }
  }
  for (const Contender& contender : contenders) {
    const auto pictures = static_cast<double>(job.batch);
    std::printf("  %-9s %-28s %8.2f pictures/s (%7.2f ms)", what, contender.name.c_str(),
                pictures / Median(contender.seconds), 1000 * Median(contender.processor) / pictures);
    if (contender.peer >= 0) {
      const Contender& peer = contenders[static_cast<std::size_t>(contender.peer)];
      std::printf("   ratio %.2f, of the processor %.2f", MedianRatio(peer.seconds, contender.seconds),
                  MedianRatio(peer.processor, contender.processor));
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

Classifier Model(const Job& job) {
  // Random weights; running statistics as those of standard normal activations. Speed depends on neither.
  return GrowHead(InitialModel(job.architecture, 1, Normalisation::kBatch).WithNormalisation(job.normalisation),
                  kClasses, 1, 1)
      .To(job.device);
}

// Throws unless both compute the same function.
void RequireEqual(const Classifier& ours, const EagerNetwork& peer, const at::Tensor& pictures) {
  const at::NoGradGuard no_gradients;
  const at::Tensor a = ours.Forward(pictures.narrow(0, 0, 1));
  const at::Tensor b = peer.Forward(pictures.narrow(0, 0, 1));
  const double difference = ((a - b).abs().max() / b.abs().max()).item<double>();
  if (!(difference < 1e-2)) {  // TF32 on a device; on a processor 1e-6.
    throw Error(ErrorCode::kInternal, "the peer's logits differ by " + std::to_string(difference));
  }
}

void Measure(const Job& job) {
  std::printf("%s, %ldx%ld, batch %ld, %s, %s, %d thread(s)\n", std::string(ArchitectureName(job.architecture)).c_str(),
              static_cast<long>(job.side), static_cast<long>(job.side), static_cast<long>(job.batch),
              std::string(NormalisationName(job.normalisation)).c_str(), DeviceText(job.device).c_str(),
              at::get_num_threads());
  at::manual_seed(1);
  const at::Tensor pictures = at::randn({job.batch, 3, job.side, job.side}).to(job.device);
  const at::Tensor labels = at::randint(kClasses, {job.batch}, at::kLong).to(job.device);
  Classifier plain = Model(job);
  Classifier reduced = Model(job);
  reduced.SetPrecision(Precision::kBfloat16);
  EagerNetwork peer_rows(plain, at::MemoryFormat::Contiguous);
  EagerNetwork peer(plain, at::MemoryFormat::ChannelsLast);
  RequireEqual(plain, peer, pictures);

  const auto ours = [&](const Classifier& model, const std::vector<at::Tensor>* trained) {
    const at::Tensor logits = model.Forward(pictures);
    if (trained == nullptr) return;
    at::cross_entropy_loss(logits, labels).backward();
    GradientStep(*trained);
  };
  const auto eager = [&](const EagerNetwork& network, Precision precision, bool train) {
    at::Tensor logits;
    {
      const PrecisionScope scope(precision, job.device.type());
      logits = network.Forward(pictures).to(at::kFloat);
    }
    if (!train) return;
    at::cross_entropy_loss(logits, labels).backward();
    GradientStep(network.parameters());
  };
  for (const bool train : {true, false}) {
    if (!train && !job.inference) continue;
    at::AutoGradMode mode(train);
    std::vector<std::vector<at::Tensor>> trained(2);
    for (std::size_t i = 0; i < 2; ++i) {
      Classifier& model = i == 0 ? plain : reduced;
      if (!train) continue;
      for (NamedTensor& tensor : model.BeginTraining(/*freeze_affine=*/false)) trained[i].push_back(tensor.value);
    }
    peer.SetTraining(train);
    peer_rows.SetTraining(train);
    std::vector<Contender> contenders = {
        {"eager float32", -1, [&] { eager(peer_rows, Precision::kFloat32, train); }},
        {"eager float32 channels-last", -1, [&] { eager(peer, Precision::kFloat32, train); }},
        {"eager bfloat16 channels-last", -1, [&] { eager(peer, Precision::kBfloat16, train); }},
        {"ours float32", 1, [&] { ours(plain, train ? &trained[0] : nullptr); }},
        {"ours bfloat16", 2, [&] { ours(reduced, train ? &trained[1] : nullptr); }}};
    Race(train ? "training" : "inference", job, contenders);
    if (!train) continue;
    plain.EndTraining();
    reduced.EndTraining();
  }
}

int Run(int argc, char** argv) {
  const auto number = [&](int index, long standard) {
    return argc > index ? std::strtol(argv[index], nullptr, 10) : standard;
  };
  const long threads = number(5, 2);
  if (argc > 1 && (argc < 5 || number(2, 0) < 1 || number(2, 0) > 1024 || number(3, 0) < 2 || number(3, 0) > 1024 ||
                   number(4, 0) < 1 || number(4, 0) > 1000)) {
    std::fprintf(stderr,
                 "usage: networks_bench [ARCHITECTURE SIDE(1-1024) BATCH(2-1024) ROUNDS(1-1000) [THREADS "
                 "[NORMALISATION [cpu|cuda|cuda:N]]]]\n");
    return 2;
  }
  ConfigureTorch(static_cast<int>(threads));
  if (argc > 1) {
    Job job{ArchitectureFromName(argv[1]), number(2, 0), number(3, 0), static_cast<int>(number(4, 0))};
    if (job.architecture == Architecture::kSmallCnn) {
      throw Error(ErrorCode::kInvalidInput, "small_cnn has no peer; name another architecture");
    }
    if (argc > 6) job.normalisation = NormalisationFromName(argv[6]);
    if (!HasRunningStatistics(job.normalisation)) {
      throw Error(ErrorCode::kInvalidInput, "the peer has batch norm only; name batch_frozen or batch");
    }
    if (argc > 7) job.device = RequireDevice(argv[7]);
    // Bits do not matter here, and some of a device's kernels have no deterministic form.
    if (job.device.is_cuda()) at::globalContext().setDeterministicAlgorithms(false, false);
    Measure(job);
    return 0;
  }
  for (const Job& job : {Job{Architecture::kEfficientNetLite0, 128, 32, 5}, Job{Architecture::kResNet18, 128, 32, 5},
                         Job{.architecture = Architecture::kResNet18,
                         .side = 128,
                         .batch = 32,
                         .rounds = 5,
                         .normalisation = Normalisation::kBatch,
                         .inference = false},  // Like batch_frozen's: both fold running statistics.
                         Job{Architecture::kResNeXt50, 224, 32, 2}}) {
    Measure(job);
  }
  return 0;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) {
  try {
    return hemafed::learning::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "networks_bench: %s\n", error.what());
    return 1;
  }
}
