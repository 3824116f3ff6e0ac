// SPDX-License-Identifier: Apache-2.0
//
// A training step of the autoencoder (three domains, alignment, Adam) beside PyTorch's eager mode on the same LibTorch
// (eager_autoencoder.h), and the peak memory of both.
//
//     autoencoder_bench                                         batches of 32 and 64, two threads
//     autoencoder_bench BATCH ROUNDS [THREADS [DEVICE [DECODE_CELLS]]]
//     autoencoder_bench peak ours|eager BATCH [DECODE_CELLS]    one step, then the process's VmHWM
//
// Each row: the median time of a step over the rounds. In each round every contender runs once, in turn, so that what
// else runs on the machine slows all alike; the ratio is the median over the rounds of peer's time / our time, and the
// same of processor time. Before timing, the losses of the first steps are compared. DEVICE is cpu, cuda or cuda:N.
#include <ATen/ATen.h>
#include <spawn.h>
#include <sys/wait.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/continual/optimiser.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_loss.h"
#include "learning/models/device.h"
#include "learning/models/torch_setup.h"
#include "tests/bench/eager_autoencoder.h"

namespace hemafed::learning {
namespace {

using testing_support::EagerAutoencoder;

constexpr std::uint32_t kDomains = 3;
constexpr double kBeta = 5.0;

struct Job {
  std::int64_t batch = 32;
  int rounds = 3;
  int threads = 2;
  std::string device = "cpu";
  std::uint32_t decode_cells = 32;
};

struct Batch {
  at::Tensor features, pictures;
  std::vector<std::uint32_t> domain_of;
  std::vector<at::Tensor> cells_of;
};

Batch MakeBatch(std::int64_t cells, at::Device device) {
  at::manual_seed(1);
  Batch batch{(at::rand({cells, 256, 14, 14}) * 2 - 1).to(device), at::rand({cells, 3, 128, 128}).to(device), {}, {}};
  for (std::uint32_t domain = 0; domain < kDomains; ++domain) {
    batch.cells_of.push_back(at::arange(domain, cells, kDomains, at::kLong).to(device));
  }
  for (std::int64_t i = 0; i < cells; ++i) batch.domain_of.push_back(static_cast<std::uint32_t>(i) % kDomains);
  return batch;
}

class Ours {
 public:
  Ours(CellAutoencoder model, std::uint32_t decode_cells)
      : model_(std::move(model)),
        optimiser_(MakeOptimiser(model_.BeginTraining(), {.kind = OptimiserKind::kAdam})),
        decode_cells_(decode_cells) {}

  double Step(const Batch& batch) {
    const std::vector<std::uint32_t> domains = {0, 1, 2};
    const BatchLosses losses =
        AddGradients(model_, batch.features, batch.pictures, {}, decode_cells_, kBeta,
                     [&](const at::Tensor& z) { return AlignDomains(z, batch.domain_of, 0, domains); });
    optimiser_->Step(1e-3);
    return losses.features + losses.pictures + kBeta * losses.domains;
  }

 private:
  CellAutoencoder model_;
  std::unique_ptr<Optimiser> optimiser_;
  std::uint32_t decode_cells_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Contender {
  std::string name;
  std::function<double()> step;
  std::vector<double> seconds = {};
  std::vector<double> processor = {};
};

std::string Ratio(const std::vector<double>& peer, const std::vector<double>& ours) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < peer.size(); ++i) ratios.push_back(peer[i] / ours[i]);
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", Median(std::move(ratios)));
  return text;
}

void Race(const Job& job) {
  const at::Device device = RequireDevice(job.device);
  // Bits do not matter here, and some of a device's kernels have no deterministic form.
  if (device.is_cuda()) at::globalContext().setDeterministicAlgorithms(false, false);
  std::printf("batch %ld, %s, %d thread(s), %u cells decoded at a time\n", static_cast<long>(job.batch),
              DeviceText(device).c_str(), at::get_num_threads(), job.decode_cells);
  const Batch batch = MakeBatch(job.batch, device);
  const CellAutoencoder initial = InitialAutoencoder(50, 1).To(device);
  Ours ours(initial.To(device), job.decode_cells);
  EagerAutoencoder rows(initial, at::MemoryFormat::Contiguous), last(initial, at::MemoryFormat::ChannelsLast);
  std::vector<Contender> contenders = {
      {"eager", [&] { return rows.Step(batch.features, batch.pictures, batch.cells_of); }},
      {"eager channels-last", [&] { return last.Step(batch.features, batch.pictures, batch.cells_of); }},
      {"ours", [&] { return ours.Step(batch); }}};
  for (int round = -1; round < job.rounds; ++round) {  // The first one allocates and compiles kernels.
    std::vector<double> losses;
    for (Contender& contender : contenders) {
      const auto start = std::chrono::steady_clock::now();
      const std::clock_t processor_start = std::clock();
      losses.push_back(contender.step());
      if (device.is_cuda()) torch::cuda::synchronize();
      const std::clock_t processor_end = std::clock();
      const auto end = std::chrono::steady_clock::now();
      if (round < 0) continue;
      contender.seconds.push_back(std::chrono::duration<double>(end - start).count());
      contender.processor.push_back(static_cast<double>(processor_end - processor_start) / CLOCKS_PER_SEC);
    }
    for (const double loss : losses) {
      if (round < 1 && !(std::abs(loss - losses.back()) < 1e-2 * std::abs(loss))) {  // TF32 on a device.
        throw Error(ErrorCode::kInternal,
                    "the peer's loss is " + std::to_string(loss) + ", ours " + std::to_string(losses.back()));
      }
    }
  }
  const Contender& mine = contenders.back();
  for (const Contender& contender : contenders) {
    const double seconds = Median(contender.seconds);
    std::printf("  %-20s %8.3f s a step (%.3f of the processor), %7.2f cells/s", contender.name.c_str(), seconds,
                Median(contender.processor), static_cast<double>(job.batch) / seconds);
    if (&contender != &mine) {
      std::printf("   its time / ours %s, of the processor %s", Ratio(contender.seconds, mine.seconds).c_str(),
                  Ratio(contender.processor, mine.processor).c_str());
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

long PeakKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
  }
  throw Error(ErrorCode::kUnavailable, "/proc/self/status does not tell VmHWM");
}

void Peak(const std::string& who, std::int64_t cells, std::uint32_t decode_cells) {
  const Batch batch = MakeBatch(cells, at::kCPU);
  const CellAutoencoder initial = InitialAutoencoder(50, 1);
  if (who == "ours") {
    (void)Ours(initial.Clone(), decode_cells).Step(batch);
  } else if (who == "eager") {
    (void)EagerAutoencoder(initial, at::MemoryFormat::Contiguous).Step(batch.features, batch.pictures, batch.cells_of);
  } else {
    throw Error(ErrorCode::kInvalidInput, "peak of '" + who + "'; name ours or eager");
  }
  std::printf("  peak memory, batch %5ld, %-5s %6ld MiB\n", static_cast<long>(cells), who.c_str(), PeakKiB() / 1024);
}

// A peak is a process's: each is measured in one of its own.
void PeakInItsOwnProcess(const char* who, const char* batch) {
  std::fflush(stdout);
  std::string program = "/proc/self/exe", mode = "peak", whose = who, cells = batch;
  char* const arguments[] = {program.data(), mode.data(), whose.data(), cells.data(), nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0 ||
      ::waitpid(child, &status, 0) != child || status != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("the peak of ") + who + " could not be measured");
  }
}

int Run(int argc, char** argv) {
  const auto number = [&](int index, long standard) {
    return argc > index ? std::strtol(argv[index], nullptr, 10) : standard;
  };
  if (argc == 1) {
    for (const char* batch : {"32", "64"}) {
      for (const char* who : {"ours", "eager"}) PeakInItsOwnProcess(who, batch);
    }
    ConfigureTorch(2);
    Race({.batch = 32});
    Race({.batch = 64});
    return 0;
  }
  const bool peak = std::string(argv[1]) == "peak";
  const int batch_at = peak ? 3 : 1;
  // At least two cells of every domain.
  if (argc < (peak ? 4 : 3) || number(batch_at, 0) < 2 * kDomains || number(batch_at, 0) > 65'536 ||
      (!peak && (number(2, 0) < 1 || number(2, 0) > 1'000)) || number(peak ? 4 : 5, 32) < 1) {
    std::fprintf(stderr,
                 "usage: autoencoder_bench [BATCH(6-65536) ROUNDS(1-1000) [THREADS [cpu|cuda|cuda:N [DECODE_CELLS]]]]\n"
                 "       autoencoder_bench peak ours|eager BATCH [DECODE_CELLS]\n");
    return 2;
  }
  if (peak) {
    ConfigureTorch(2);
    Peak(argv[2], number(3, 0), static_cast<std::uint32_t>(number(4, 32)));
    return 0;
  }
  Job job{.batch = number(1, 0), .rounds = static_cast<int>(number(2, 0)), .threads = static_cast<int>(number(3, 2))};
  if (argc > 4) job.device = argv[4];
  job.decode_cells = static_cast<std::uint32_t>(number(5, 32));
  ConfigureTorch(job.threads);
  Race(job);
  return 0;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) {
  try {
    return hemafed::learning::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "autoencoder_bench: %s\n", error.what());
    return 1;
  }
}
