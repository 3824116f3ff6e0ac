// SPDX-License-Identifier: Apache-2.0
//
// How fast a local training step is: EfficientNet-Lite0 (or small_cnn) with UACL's loss, student and teacher.
//
//     train_step_bench [architecture [side [batch [steps [threads]]]]]      default: efficientnet_lite0 128 16 12 2
//
// Prints, for 1, 2, .. threads: pictures/s of training without a teacher, with a teacher, and of evaluation, each
// the median over the steps, and the peak memory. In brackets: milliseconds of processor time a picture, which other
// programs on the machine disturb less than the clock on the wall. Weights are made up: speed does not depend on them
// as long as activations stay in a common range. Pictures come from memory, so decoding is not counted.
#include <ATen/ATen.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "common/error.h"
#include "learning/continual/evaluate.h"
#include "learning/continual/local_training.h"
#include "learning/models/torch_setup.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using Clock = std::chrono::steady_clock;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0.0 : values[values.size() / 2];
}

struct Speed {
  double pictures_per_s;
  double processor_ms;  // per picture
};

double ProcessorSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Speed of a loop that calls its argument after each batch. The first batch does not count: it also allocates and
// compiles kernels.
template <typename Loop>
Speed MeasureLoop(double batch, const Loop& loop) {
  std::vector<double> wall;
  std::vector<double> processor;
  auto last_wall = Clock::now();
  double last_processor = 0;
  bool warm = false;
  loop([&] {
    if (warm) {
      wall.push_back(std::chrono::duration<double>(Clock::now() - last_wall).count());
      processor.push_back(ProcessorSeconds() - last_processor);
    }
    warm = true;
    last_wall = Clock::now();
    last_processor = ProcessorSeconds();
  });
  return {batch / Median(std::move(wall)), 1000 * Median(std::move(processor)) / batch};
}

void Measure(Architecture architecture, std::int64_t side, std::uint32_t batch, std::uint32_t steps, int threads) {
  constexpr std::int64_t kClasses = 5;
  testing_support::MemorySource source =
      testing_support::EasyPictures(std::int64_t{batch} * 4, kClasses, side, /*seed=*/1);
  const Classifier base = testing_support::RecipeModel(architecture, kClasses);
  const TrainingSettings settings{.steps = steps,
                                  .batch = batch,
                                  .rounds = 1,
                                  .learning_rate = 1e-4,
                                  .schedule = LearningRateSchedule::kConstant,
                                  .sgd = {.momentum = 0.9, .nesterov = true, .weight_decay = 1e-4, .clip_norm = 5},
                                  .dropout = 0.2,
                                  .freeze_affine = false,
                                  .augment = false,
                                  .sampling = Sampling::kUniform,
                                  .threads = threads};
  const auto train = [&](const Classifier* teacher) {
    Classifier model = base.Clone();
    return MeasureLoop(batch, [&](const auto& tick) {
      TrainLocally(model, DistilledLoss(teacher, 1), source, settings, {1, 0, 0, "bench"},
                   [&](const TrainingProgress&) { tick(); });
    });
  };
  const Speed alone = train(nullptr);
  const Speed with_teacher = train(&base);
  ConfigureTorch(threads);
  const Speed evaluation = MeasureLoop(batch, [&](const auto& tick) {
    for (int repeat = 0; repeat < 3; ++repeat) (void)Evaluate(base, source, kClasses, batch, [&](auto) { tick(); });
  });
  std::printf(
      "%d thread(s): training %.1f pictures/s (%.2f ms), with teacher %.1f (%.2f ms), evaluation %.1f (%.2f ms)\n",
      threads, alone.pictures_per_s, alone.processor_ms, with_teacher.pictures_per_s, with_teacher.processor_ms,
      evaluation.pictures_per_s, evaluation.processor_ms);
}

int Run(int argc, char** argv) {
  const auto number = [&](int index, long standard) {
    return argc > index ? std::strtol(argv[index], nullptr, 10) : standard;
  };
  const Architecture architecture = ArchitectureFromName(argc > 1 ? argv[1] : "efficientnet_lite0");
  const long side = number(2, 128);
  const long batch = number(3, 16);
  const long steps = number(4, 12);
  const long most_threads = number(5, 2);
  if (side < 8 || side > 1024 || batch < 1 || batch > 256 || steps < 2 || steps > 10'000 || most_threads < 1 ||
      most_threads > kMaxThreads) {
    std::fprintf(stderr,
                 "usage: train_step_bench [architecture [side 8-1024 [batch 1-256 [steps 2-10000 [threads]]]]]\n");
    return 2;
  }
  const std::string name(ArchitectureName(architecture));
  std::printf("%s, %ldx%ld px, batch %ld, median of %ld steps\n", name.c_str(), side, side, batch, steps - 1);
  for (int threads = 1; threads <= most_threads; ++threads) {
    Measure(architecture, side, static_cast<std::uint32_t>(batch), static_cast<std::uint32_t>(steps), threads);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("peak memory %ld MiB\n", usage.ru_maxrss / 1024);
  return 0;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) {
  try {
    return hemafed::learning::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_step_bench: %s\n", error.what());
    return 1;
  }
}
