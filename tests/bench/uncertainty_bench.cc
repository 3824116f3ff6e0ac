// SPDX-License-Identifier: Apache-2.0
//
// What computing the trunk once saves when uncertainty takes T dropout passes.
//
//     uncertainty_bench [ARCHITECTURE [SIDE [BATCH [BATCHES [THREADS]]]]]      default: efficientnet_lite0 128 16 4 1
//
// Prints pictures/s of ScorePictures with T = 10 (features, then ten passes from the place of dropout on) beside ten
// full passes with the same masks, batch by batch in turn so that other programs disturb both alike, and whether both
// give the same uncertainty. Weights are made up: speed does not depend on them.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"
#include "learning/continual/training_step.h"
#include "learning/continual/uncertainty.h"
#include "learning/models/dropout.h"
#include "learning/models/torch_setup.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

constexpr std::uint32_t kPasses = 10;
constexpr double kDropout = 0.2;
constexpr std::uint64_t kSeed = 3;

// The definition: T passes through the whole network.
std::vector<double> FullPasses(const Classifier& model, BatchSource& source, std::span<const std::uint32_t> indices) {
  const at::NoGradGuard no_gradients;
  const at::Tensor images = source.Get(indices, std::nullopt).images;
  std::vector<std::uint64_t> keys;
  for (const std::uint32_t index : indices) {
    keys.push_back(LoadLittleEndian<std::uint64_t>(source.PictureDigest(index).bytes.data()));
  }
  std::vector<at::Tensor> outputs;
  (void)model.Features(images);  // Selection needs features too.
  for (std::uint32_t pass = 0; pass < kPasses; ++pass) {
    const at::Tensor activations = model.TrunkBefore(images);
    const at::Tensor mask =
        DropoutMask(kSeed, pass, keys, activations.size(1), activations.size(2), activations.size(3), kDropout);
    outputs.push_back(model.Head(model.TrunkAfter(activations * mask)).to(at::kDouble).softmax(1));
  }
  const at::Tensor all = at::stack(outputs).transpose(0, 1).contiguous();  // [N, T, C]
  const auto classes = static_cast<std::size_t>(model.classes());
  std::vector<double> result;
  for (std::size_t n = 0; n < indices.size(); ++n) {
    result.push_back(UncertaintyOf({all.const_data_ptr<double>() + n * kPasses * classes, kPasses * classes}, classes));
  }
  return result;
}

template <typename Work>
double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Run(int argc, char** argv) {
  const auto number = [&](int index, long standard) {
    return argc > index ? std::strtol(argv[index], nullptr, 10) : standard;
  };
  const Architecture architecture = ArchitectureFromName(argc > 1 ? argv[1] : "efficientnet_lite0");
  const long side = number(2, 128);
  const long batch = number(3, 16);
  const long batches = number(4, 4);
  const long threads = number(5, 1);
  if (side < 8 || side > 1024 || batch < 1 || batch > 256 || batches < 1 || batches > 1000 || threads < 1 ||
      threads > kMaxThreads) {
    std::fprintf(stderr,
                 "usage: uncertainty_bench [ARCHITECTURE [SIDE 8-1024 [BATCH 1-256 [BATCHES 1-1000 [THREADS]]]]]\n");
    return 2;
  }
  ConfigureTorch(static_cast<int>(threads));
  testing_support::MemorySource source = testing_support::EasyPictures(batch, 5, side, /*seed=*/1);
  const Classifier model = testing_support::RecipeModel(architecture, 5);
  std::vector<std::uint32_t> indices(static_cast<std::size_t>(batch));
  std::iota(indices.begin(), indices.end(), 0u);
  const UncertaintySettings settings{kPasses, kDropout, kSeed, static_cast<std::uint32_t>(batch)};
  std::vector<double> once;
  std::vector<double> full;
  double difference = 0.0;
  for (long i = 0; i <= batches; ++i) {  // The first does not count: it also allocates and compiles kernels.
    PictureScores scores;
    std::vector<double> want;
    const double fast = Seconds([&] { scores = ScorePictures(model, source, indices, settings); });
    const double slow = Seconds([&] { want = FullPasses(model, source, indices); });
    for (std::size_t n = 0; n < want.size(); ++n) {
      difference = std::max(difference, std::abs(want[n] - scores.uncertainty[n]));
    }
    if (i == 0) continue;
    once.push_back(fast);
    full.push_back(slow);
  }
  const std::string name(ArchitectureName(architecture));
  std::printf("%s, %ldx%ld px, batch %ld, T = %u, %ld thread(s), median of %ld batches\n", name.c_str(), side, side,
              batch, kPasses, threads, batches);
  std::printf("trunk once %.2f pictures/s, ten full passes %.2f pictures/s: %.2f times; largest difference of U %.1e\n",
              static_cast<double>(batch) / Median(once), static_cast<double>(batch) / Median(full),
              Median(full) / Median(once), difference);
  return difference < 1e-9 ? 0 : 1;
}

}  // namespace
}  // namespace hemafed::learning

int main(int argc, char** argv) {
  try {
    return hemafed::learning::Run(argc, argv);
  } catch (const hemafed::Error& error) {
    std::fprintf(stderr, "uncertainty_bench: %s\n", error.what());
    return 1;
  }
}
