// SPDX-License-Identifier: Apache-2.0
//
// How fast one round's updates become the next model: 3 updates of 23 million values (design 11.20), from the page
// cache. Usage: aggregate_bench [FOLDER] [MILLION_VALUES] [UPDATES] [RULE]; RULE is mean, median or trimmed_mean (one
// is cut at each end), of which the latter two leave the first update out of the vote. Prints one line for each part:
//   sum        reading the updates and computing the steps, nothing else;
//   aggregate  the whole: base read, steps applied, steps and model hashed, model written (not synced);
//   synced     the same with the model synced to the disk.
// Memory is the process's peak resident set (VmHWM), measured after each part; the input is written by a child process
// so that making it does not count.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "codec/aggregate.h"
#include "codec/integer_weights.h"
#include "common/error.h"
#include "common/random.h"

namespace {

using hemafed::Path;

struct Inputs {
  Path folder;
  hemafed::UpdateLayout layout;
  hemafed::Merge merge;
};

void WriteInputs(const Inputs& inputs) {
  auto& files = hemafed::RealFileSystem();
  constexpr std::size_t kPiece = 1 << 16;
  const std::uint64_t values = inputs.layout.ValueCount();
  hemafed::RandomStream random(1);
  std::vector<std::int32_t> piece(kPiece);
  for (auto& value : piece) value = static_cast<std::int32_t>(random.NextWord()) >> 12;  // Steps of about 2^-3.
  std::vector<float> weights(kPiece);
  for (auto& weight : weights) weight = static_cast<float>(random.NextNormal());
  const auto bytes_of = [](const auto& all, std::uint64_t count) {
    return hemafed::ByteView(reinterpret_cast<const std::uint8_t*>(all.data()), count * 4);
  };

  hemafed::TensorInfo tensor;
  tensor.name = "w";
  tensor.shape = {static_cast<std::int64_t>(values)};
  hemafed::SafetensorsWriter base(files, inputs.folder / "base", {tensor}, {});
  std::vector<std::unique_ptr<hemafed::WritableFile>> raw;
  for (const Path& update : inputs.merge.updates) raw.push_back(files.Create(update));
  for (std::uint64_t done = 0; done < values; done += kPiece) {
    const std::uint64_t count = std::min<std::uint64_t>(kPiece, values - done);
    base.Append("w", bytes_of(weights, count));
    for (const auto& file : raw) file->Append(bytes_of(piece, count));
  }
  (void)base.Finish();
  for (const auto& file : raw) file->Sync();  // So that writing back does not disturb the measurement.
}

long PeakMemoryKb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
  }
  return 0;
}

// Processor time of all threads so far.
double ProcessorSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Best of a few runs: the others tell how busy the machine was.
void Measure(const char* part, double input_values, const std::function<void()>& work) {
  constexpr int kRuns = 5;
  double best = 1e9, worst = 0, processor = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const double processor_before = ProcessorSeconds();
    const auto start = std::chrono::steady_clock::now();
    work();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, seconds);
    worst = std::max(worst, seconds);
    processor = std::min(processor, ProcessorSeconds() - processor_before);
  }
  std::printf(
      "%-9s  %.3f s (slowest of %d: %.3f s; processor %.3f s)  %.0f M input values/s  %.0f MB/s of input  "
      "peak memory %.1f MiB\n",
      part, best, kRuns, worst, processor, input_values / best / 1e6, input_values * 4 / best / 1e6,
      static_cast<double>(PeakMemoryKb()) / 1024);
}

hemafed::MergeRule RuleOf(const std::string& name) {
  using hemafed::MergeRule;
  for (const MergeRule rule : {MergeRule::kMean, MergeRule::kMedian, MergeRule::kTrimmedMean}) {
    if (name == hemafed::MergeRuleName(rule)) return rule;
  }
  throw hemafed::Error(hemafed::ErrorCode::kInvalidInput, "there is no rule " + name);
}

void Run(const Path& folder, std::int64_t values, int count, const std::string& rule) {
  auto& files = hemafed::RealFileSystem();
  std::vector<hemafed::WeightedUpdate> updates;
  for (int i = 0; i < count; ++i) {
    const std::uint32_t share = hemafed::kWeightSum / static_cast<std::uint32_t>(count);
    const std::uint32_t rest = i == 0 ? hemafed::kWeightSum % static_cast<std::uint32_t>(count) : 0;
    updates.push_back({folder / ("update" + std::to_string(i)), share + rest});
  }
  Inputs inputs{folder, {{{"w", {values}}}}, hemafed::WeightedMean(updates)};
  inputs.merge.rule = RuleOf(rule);
  if (inputs.merge.rule != hemafed::MergeRule::kMean) inputs.merge.active = 0;
  if (inputs.merge.rule == hemafed::MergeRule::kTrimmedMean) inputs.merge.trim = 1;
  const pid_t child = ::fork();
  if (child == 0) {
    WriteInputs(inputs);
    std::_Exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) {
    throw hemafed::Error(hemafed::ErrorCode::kUnavailable, "the inputs could not be written below " + folder.string());
  }

  const double input_values = static_cast<double>(values) * count;
  std::printf("%d updates of %.1f M values, rule %s\n", count, static_cast<double>(values) / 1e6, rule.c_str());
  std::vector<std::int32_t> steps(1 << 17);
  Measure("sum", input_values, [&] {
    hemafed::StepReader reader(files, inputs.layout, inputs.merge);
    for (std::int64_t left = values; left > 0; left -= static_cast<std::int64_t>(steps.size())) {
      reader.Next(std::span(steps).first(std::min<std::size_t>(steps.size(), static_cast<std::size_t>(left))));
    }
  });
  const auto aggregate = [&](hemafed::Durability durability) {
    (void)hemafed::Aggregate(files, folder / "base", inputs.layout, inputs.merge, folder / "merged", std::nullopt,
                             durability);
  };
  Measure("aggregate", input_values, [&] { aggregate(hemafed::Durability::kCached); });
  Measure("synced", input_values, [&] { aggregate(hemafed::Durability::kSynced); });
}

}  // namespace

int main(int argc, char** argv) {
  const Path parent = argc > 1 ? Path(argv[1]) : std::filesystem::temp_directory_path();
  const double millions = argc > 2 ? std::atof(argv[2]) : 23;
  const int count = argc > 3 ? std::atoi(argv[3]) : 3;
  const std::string rule = argc > 4 ? argv[4] : "mean";
  if (millions <= 0 || count <= 0) {
    std::fprintf(stderr, "usage: aggregate_bench [FOLDER] [MILLION_VALUES] [UPDATES] [RULE]\n");
    return 2;
  }
  std::string folder = (parent / "hemafed-bench-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror(folder.c_str());
    return 1;
  }
  int result = 0;
  try {
    Run(folder, static_cast<std::int64_t>(millions * 1e6), count, rule);
  } catch (const hemafed::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    result = 1;
  }
  std::filesystem::remove_all(folder);
  return result;
}
