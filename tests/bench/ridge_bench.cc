// SPDX-License-Identifier: Apache-2.0
//
// How long the analytic head takes without its network: summing the random features of a task's pictures, writing and
// reading the file of sums, and solving the head. Usage: ridge_bench [FEATURES] [CLASSES] [PICTURES] [FOLDER]; default
// 2048 5 6000. Features are random with half of them zero, as after a ReLU. One thread, one run of each part; memory is
// the process's peak resident set.
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

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double ProcessorSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) * 1e-6;
}

void Run(std::uint32_t features, std::uint32_t classes, std::uint32_t pictures, const Path& folder) {
  std::printf("%u features, %u classes, %u pictures\n", features, classes, pictures);
  double summing = 0;
  FeatureSumsBuilder builder(features, classes);
  std::vector<double> phi(features);
  std::vector<std::uint16_t> rounded(features);
  for (std::uint32_t p = 0; p < pictures; ++p) {
    RandomStream random(1, p);
    for (double& value : phi) value = std::max(0.0, random.NextBetween(-2, 2));
    summing += Seconds([&] {
      (void)RoundFeatures(phi, rounded);
      builder.Add(rounded, p % classes);
    });
  }
  std::optional<FeatureSums> sums;
  summing += Seconds([&] { sums = builder.Finish(); });
  std::printf("sum      %.3f s  %.0f pictures/s\n", summing, pictures / summing);

  const Path file = folder / "bench.hfs";
  FeatureSumsFileInfo info;
  const double writing = Seconds([&] { info = WriteFeatureSums(RealFileSystem(), file, *sums, Durability::kCached); });
  std::printf("write    %.3f s  %.1f MB\n", writing, static_cast<double>(info.file_bytes) / 1e6);
  const double reading =
      Seconds([&] { sums = ReadFeatureSums(*RealFileSystem().OpenForRead(file), features, classes); });
  std::printf("read     %.3f s, checks included\n", reading);

  const double processor = ProcessorSeconds();
  RidgeHead head;
  const double solving = Seconds([&] { head = SolveRidge(*sums, 1.0); });
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("solve    %.3f s (processor %.3f s), residual check included; head %s\n", solving,
              ProcessorSeconds() - processor, head.Hash().Hex().substr(0, 16).c_str());
  std::printf("peak memory %.1f MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
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
