// SPDX-License-Identifier: Apache-2.0
//
// How long the analytic head takes without its network: summing the random features of a task's pictures, writing and
// reading the file of sums, and solving the head. Usage: ridge_bench [FEATURES] [CLASSES] [PICTURES] [FOLDER]; default
// 2048 5 6000. Features are random with half of them zero, as after a ReLU. One thread, one run of each part.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>

#include "codec/feature_sums.h"
#include "codec/ridge_head.h"
#include "common/error.h"
#include "common/random.h"

namespace {

using namespace hemafed;

double ProcessorSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// On the clock, and of the processor: the difference tells how busy the machine was.
struct Time {
  double clock = 0;
  double processor = 0;
};

Time Measure(const std::function<void()>& work) {
  const double processor = ProcessorSeconds();
  const auto start = std::chrono::steady_clock::now();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          ProcessorSeconds() - processor};
}

void Print(const char* part, const Time& time) {
  std::printf("%-6s %.3f s (processor %.3f s)", part, time.clock, time.processor);
}

void Run(std::uint32_t features, std::uint32_t classes, std::uint32_t pictures, const Path& folder) {
  std::printf("%u features, %u classes, %u pictures\n", features, classes, pictures);
  // All features first, so that drawing them is not measured.
  std::vector<double> phi(std::size_t{features} * pictures);
  RandomStream random(1);
  for (double& value : phi) value = std::max(0.0, random.NextBetween(-2, 2));
  std::optional<FeatureSums> sums;
  const Time summing = Measure([&] {
    FeatureSumsBuilder builder(features, classes);
    std::vector<std::uint16_t> rounded(features);
    for (std::uint32_t p = 0; p < pictures; ++p) {
      (void)RoundFeatures(std::span(phi).subspan(std::size_t{p} * features, features), rounded);
      builder.Add(rounded, p % classes);
    }
    sums = builder.Finish();
  });
  phi = {};
  Print("sum", summing);
  std::printf("  %.0f pictures/s of processor time\n", pictures / summing.processor);

  const Path file = folder / "bench.hfs";
  FeatureSumsFileInfo info;
  Print("write", Measure([&] { info = WriteFeatureSums(RealFileSystem(), file, *sums, Durability::kCached); }));
  std::printf("  %.1f MB\n", static_cast<double>(info.file_bytes) / 1e6);
  Print("read", Measure([&] { sums = ReadFeatureSums(*RealFileSystem().OpenForRead(file), features, classes); }));
  std::printf("  checks included\n");

  RidgeHead head;
  Print("solve", Measure([&] { head = SolveRidge(*sums, 1.0); }));
  std::printf("  residual check included; head %s\n", head.Hash().Hex().substr(0, 16).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int at, std::uint32_t otherwise) {
    return argc > at ? static_cast<std::uint32_t>(std::strtoul(argv[at], nullptr, 10)) : otherwise;
  };
  std::string folder = ((argc > 4 ? Path(argv[4]) : std::filesystem::temp_directory_path()) / "hemafed-bench-XXXXXX");
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror(folder.c_str());
    return 1;
  }
  int result = 0;
  try {
    Run(number(1, 2048), number(2, 5), number(3, 6000), folder);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    result = 1;
  }
  std::filesystem::remove_all(folder);
  return result;
}
