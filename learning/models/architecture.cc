// SPDX-License-Identifier: Apache-2.0
#include "learning/models/architecture.h"

#include <algorithm>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr int kLite0Features = 1280;

// Group of equal blocks: only the first has the stride and the change of channels.
struct Lite0Group {
  int repeats;
  int kernel;
  int stride;
  int expansion;
  int out_channels;
};
constexpr Lite0Group kLite0Groups[] = {{1, 3, 1, 1, 16},  {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80},
                                       {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};

void AddConvolution(std::vector<TensorSpec>& specs, const std::string& place, std::vector<std::int64_t> shape,
                    Normalisation normalisation) {
  const std::vector<std::int64_t> channels = {shape[0]};
  specs.push_back({place + ".conv.weight", std::move(shape), TensorRole::kWeight});
  specs.push_back({place + ".norm.weight", channels, TensorRole::kAffine});
  specs.push_back({place + ".norm.bias", channels, TensorRole::kAffine});
  if (normalisation == Normalisation::kBatchFrozen) {
    specs.push_back({place + ".norm.running_mean", channels, TensorRole::kBuffer});
    specs.push_back({place + ".norm.running_var", channels, TensorRole::kBuffer});
  }
}

void AddLite0(std::vector<TensorSpec>& specs) {
  constexpr auto kNorm = Normalisation::kBatchFrozen;
  AddConvolution(specs, "stem", {kLite0StemChannels, 3, 3, 3}, kNorm);
  const std::vector<Lite0Block>& blocks = Lite0Blocks();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Lite0Block& block = blocks[i];
    const std::string name = Lite0BlockName(i);
    const int middle = block.in_channels * block.expansion;
    if (block.expansion != 1) AddConvolution(specs, name + ".expand", {middle, block.in_channels, 1, 1}, kNorm);
    AddConvolution(specs, name + ".depthwise", {middle, 1, block.kernel, block.kernel}, kNorm);
    AddConvolution(specs, name + ".project", {block.out_channels, middle, 1, 1}, kNorm);
  }
  AddConvolution(specs, "last", {kLite0Features, blocks.back().out_channels, 1, 1}, kNorm);
}

void AddSmallCnn(std::vector<TensorSpec>& specs) {
  const std::vector<SmallCnnStage>& stages = SmallCnnStages();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    AddConvolution(specs, SmallCnnStageName(i),
                   {stages[i].out_channels, stages[i].in_channels, kSmallCnnKernel, kSmallCnnKernel},
                   Normalisation::kGroupWs);
  }
}

[[noreturn]] void FailUnknown(std::string_view what, std::string_view name, std::string_view known) {
  throw Error(ErrorCode::kInvalidInput, "unknown " + std::string(what) + " '" + std::string(name.substr(0, 64)) +
                                            "'; known are " + std::string(known));
}

}  // namespace

std::string_view ArchitectureName(Architecture architecture) {
  return architecture == Architecture::kEfficientNetLite0 ? "efficientnet_lite0" : "small_cnn";
}

std::string_view NormalisationName(Normalisation normalisation) {
  return normalisation == Normalisation::kBatchFrozen ? "batch_frozen" : "group_ws";
}

Architecture ArchitectureFromName(std::string_view name) {
  for (const auto candidate : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn}) {
    if (name == ArchitectureName(candidate)) return candidate;
  }
  FailUnknown("architecture", name, "efficientnet_lite0 and small_cnn");
}

Normalisation NormalisationFromName(std::string_view name) {
  for (const auto candidate : {Normalisation::kBatchFrozen, Normalisation::kGroupWs}) {
    if (name == NormalisationName(candidate)) return candidate;
  }
  FailUnknown("normalisation", name, "batch_frozen and group_ws");
}

Normalisation NormalisationOf(Architecture architecture) {
  return architecture == Architecture::kEfficientNetLite0 ? Normalisation::kBatchFrozen : Normalisation::kGroupWs;
}

void RequirePair(Architecture architecture, Normalisation normalisation) {
  if (NormalisationOf(architecture) == normalisation) return;
  throw Error(ErrorCode::kInvalidInput, "normalisation '" + std::string(NormalisationName(normalisation)) +
                                            "' does not go with architecture '" +
                                            std::string(ArchitectureName(architecture)) + "'; use '" +
                                            std::string(NormalisationName(NormalisationOf(architecture))) + "'");
}

std::int64_t FeatureWidth(Architecture architecture) {
  return architecture == Architecture::kEfficientNetLite0 ? kLite0Features : SmallCnnStages().back().out_channels;
}

std::vector<TensorSpec> TensorsOf(Architecture architecture, std::int64_t classes) {
  if (classes < 0 || classes > kMaxHeadClasses) {
    throw Error(ErrorCode::kInvalidInput,
                "a head of " + std::to_string(classes) + " classes is outside 0 to " + std::to_string(kMaxHeadClasses));
  }
  std::vector<TensorSpec> specs;
  if (architecture == Architecture::kEfficientNetLite0) {
    AddLite0(specs);
  } else {
    AddSmallCnn(specs);
  }
  if (classes > 0) {
    specs.push_back({std::string(kHeadWeight), {classes, FeatureWidth(architecture)}, TensorRole::kHead});
    specs.push_back({std::string(kHeadBias), {classes}, TensorRole::kHead});
  }
  std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) { return a.name < b.name; });
  return specs;
}

const std::vector<Lite0Block>& Lite0Blocks() {
  static const std::vector<Lite0Block> blocks = [] {
    std::vector<Lite0Block> made;
    int channels = kLite0StemChannels;
    for (const Lite0Group& group : kLite0Groups) {
      for (int i = 0; i < group.repeats; ++i) {
        made.push_back({group.kernel, i == 0 ? group.stride : 1, group.expansion, channels, group.out_channels});
        channels = group.out_channels;
      }
    }
    return made;
  }();
  return blocks;
}

const std::vector<SmallCnnStage>& SmallCnnStages() {
  static const std::vector<SmallCnnStage> stages = {{2, 3, 32}, {2, 32, 64}, {2, 64, 96}, {1, 96, 128}};
  return stages;
}

std::string Lite0BlockName(std::size_t block) { return (block < 10 ? "blocks.0" : "blocks.") + std::to_string(block); }

std::string SmallCnnStageName(std::size_t stage) { return "stage" + std::to_string(stage + 1); }

}  // namespace hemafed::learning
