// SPDX-License-Identifier: Apache-2.0
#include "learning/models/architecture.h"

#include <algorithm>

#include "common/error.h"
#include "learning/models/resnet_plan.h"

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

void AddNormalised(std::vector<TensorSpec>& specs, const std::string& convolution, const std::string& norm,
                   std::vector<std::int64_t> shape, Normalisation normalisation) {
  const std::vector<std::int64_t> channels = {shape[0]};
  specs.push_back({convolution + ".weight", std::move(shape), TensorRole::kWeight});
  specs.push_back({norm + ".weight", channels, TensorRole::kAffine});
  specs.push_back({norm + ".bias", channels, TensorRole::kAffine});
  if (!HasRunningStatistics(normalisation)) return;
  specs.push_back({norm + ".running_mean", channels, TensorRole::kBuffer});
  specs.push_back({norm + ".running_var", channels, TensorRole::kBuffer});
}

void AddConvolution(std::vector<TensorSpec>& specs, const std::string& place, std::vector<std::int64_t> shape,
                    Normalisation normalisation) {
  AddNormalised(specs, place + ".conv", place + ".norm", std::move(shape), normalisation);
}

void AddLite0(std::vector<TensorSpec>& specs, Normalisation normalisation) {
  AddConvolution(specs, "stem", {kLite0StemChannels, 3, 3, 3}, normalisation);
  const std::vector<Lite0Block>& blocks = Lite0Blocks();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Lite0Block& block = blocks[i];
    const std::string name = Lite0BlockName(i);
    const int middle = block.in_channels * block.expansion;
    if (block.expansion != 1) AddConvolution(specs, name + ".expand", {middle, block.in_channels, 1, 1}, normalisation);
    AddConvolution(specs, name + ".depthwise", {middle, 1, block.kernel, block.kernel}, normalisation);
    AddConvolution(specs, name + ".project", {block.out_channels, middle, 1, 1}, normalisation);
  }
  AddConvolution(specs, "last", {kLite0Features, blocks.back().out_channels, 1, 1}, normalisation);
}

void AddSmallCnn(std::vector<TensorSpec>& specs, Normalisation normalisation) {
  const std::vector<SmallCnnStage>& stages = SmallCnnStages();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    AddConvolution(specs, SmallCnnStageName(i),
                   {stages[i].out_channels, stages[i].in_channels, kSmallCnnKernel, kSmallCnnKernel}, normalisation);
  }
}

void AddAeCfe(std::vector<TensorSpec>& specs, Normalisation normalisation) {
  AddConvolution(specs, "layer1", {kLatentHidden, kLatentChannels, 1, 1}, normalisation);
  AddConvolution(specs, "layer2", {kLatentHidden, kLatentHidden, 1, 1}, normalisation);
}

void AddResNet(std::vector<TensorSpec>& specs, Architecture architecture, Normalisation normalisation) {
  for (const ResNetConvolution& convolution : ResNetConvolutions(architecture)) {
    AddNormalised(specs, convolution.convolution, convolution.norm,
                  {convolution.out, convolution.in / convolution.groups, convolution.kernel, convolution.kernel},
                  normalisation);
  }
}

template <typename Range, typename Name>
std::string Listed(const Range& range, const Name& name) {
  std::string text;
  for (const auto entry : range) text += (text.empty() ? "" : ", ") + std::string(name(entry));
  return text;
}

[[noreturn]] void FailUnknown(std::string_view what, std::string_view name, std::string_view known) {
  throw Error(ErrorCode::kInvalidInput, "unknown " + std::string(what) + " '" + std::string(name.substr(0, 64)) +
                                            "'; known are " + std::string(known));
}

}  // namespace

bool HasRunningStatistics(Normalisation normalisation) {
  return normalisation == Normalisation::kBatchFrozen || UsesBatchStatistics(normalisation);
}

bool UsesBatchStatistics(Normalisation normalisation) {
  return normalisation == Normalisation::kBatch || normalisation == Normalisation::kBatchLocal;
}

std::string_view ArchitectureName(Architecture architecture) {
  switch (architecture) {
    case Architecture::kEfficientNetLite0: return "efficientnet_lite0";
    case Architecture::kSmallCnn: return "small_cnn";
    case Architecture::kResNet18: return "resnet18";
    case Architecture::kResNet50: return "resnet50";
    case Architecture::kResNeXt50: return "resnext50_32x4d";
    case Architecture::kAeCfe: return "ae_cfe";
  }
  throw Error(ErrorCode::kInternal, "an architecture that has no name");
}

std::string_view NormalisationName(Normalisation normalisation) {
  switch (normalisation) {
    case Normalisation::kBatch: return "batch";
    case Normalisation::kBatchFrozen: return "batch_frozen";
    case Normalisation::kBatchLocal: return "batch_local";
    case Normalisation::kGroup: return "group";
    case Normalisation::kGroupWs: return "group_ws";
  }
  throw Error(ErrorCode::kInternal, "a normalisation that has no name");
}

Architecture ArchitectureFromName(std::string_view name) {
  for (const Architecture candidate : kArchitectures) {
    if (name == ArchitectureName(candidate)) return candidate;
  }
  FailUnknown("architecture", name, Listed(kArchitectures, ArchitectureName));
}

Normalisation NormalisationFromName(std::string_view name) {
  for (const Normalisation candidate : kNormalisations) {
    if (name == NormalisationName(candidate)) return candidate;
  }
  FailUnknown("normalisation", name, Listed(kNormalisations, NormalisationName));
}

Normalisation NormalisationOf(Architecture architecture) {
  const bool starts_at_random = architecture == Architecture::kSmallCnn || architecture == Architecture::kAeCfe;
  return starts_at_random ? Normalisation::kGroupWs : Normalisation::kBatchFrozen;
}

void RequirePair(Normalisation normalisation, WeightOrigin origin) {
  const bool imported = origin == WeightOrigin::kImported;
  if (HasRunningStatistics(normalisation) == imported) return;
  throw Error(
      ErrorCode::kInvalidInput,
      "normalisation '" + std::string(NormalisationName(normalisation)) + "' does not go with " +
          (imported ? "imported weights, whose batch statistics it would throw away; use batch_frozen, batch or "
                      "batch_local"
                    : "random weights, which have no batch statistics; use group or group_ws"));
}

std::int64_t InputChannels(Architecture architecture) {
  return architecture == Architecture::kAeCfe ? kLatentChannels : 3;
}

std::int64_t FeatureWidth(Architecture architecture) {
  if (architecture == Architecture::kAeCfe) return kLatentHidden;
  if (architecture == Architecture::kEfficientNetLite0) return kLite0Features;
  if (architecture == Architecture::kSmallCnn) return SmallCnnStages().back().out_channels;
  return ResNetPlanOf(architecture).StageChannels(kResNetStages - 1);
}

std::vector<TensorSpec> TensorsOf(Architecture architecture, std::int64_t classes) {
  return TensorsOf(architecture, classes, NormalisationOf(architecture));
}

std::vector<TensorSpec> TensorsOf(Architecture architecture, std::int64_t classes, Normalisation normalisation) {
  if (classes < 0 || classes > kMaxHeadClasses) {
    throw Error(ErrorCode::kInvalidInput,
                "a head of " + std::to_string(classes) + " classes is outside 0 to " + std::to_string(kMaxHeadClasses));
  }
  std::vector<TensorSpec> specs;
  if (architecture == Architecture::kEfficientNetLite0) {
    AddLite0(specs, normalisation);
  } else if (architecture == Architecture::kSmallCnn) {
    AddSmallCnn(specs, normalisation);
  } else if (architecture == Architecture::kAeCfe) {
    AddAeCfe(specs, normalisation);
  } else {
    AddResNet(specs, architecture, normalisation);
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
