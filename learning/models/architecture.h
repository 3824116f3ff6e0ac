// learning/models/architecture.h
// SPDX-License-Identifier: Apache-2.0
//
// What models exist: their names, the tensors each one consists of, and which normalisation goes with which. The one
// description from which models are built, files are checked and initial weights are made. No LibTorch here.
//
// efficientnet_lite0  EfficientNet-Lite0 (Tan, Le, "EfficientNet", ICML 2019; Lite variant of the TensorFlow TPU
//                     models: ReLU6, no squeeze-and-excite, stem of 32 and last convolution of 1280 channels fixed).
//                     3,371,008 parameters and 1280 features; with a head of 1000 classes 4,652,008.
// small_cnn           four 3x3 convolutions (32, 64, 96, 128 channels; the first three with stride 2), each weight
//                     standardised, then group norm and ReLU; 185,824 parameters and 128 features. For quick runs.
// ae_cfe              two 1x1 convolutions (128 channels each) with group norm and ReLU over a picture's latent, which
//                     a frozen extractor computed (learning/features/extractor/): 23,296 parameters and 128 features,
//                     what UACL trains on AE-CFE (design 4.7). Its "pictures" are latents [N, 50, 1, 1].
// resnet18, resnet50, resnext50_32x4d
//                     residual networks as torchvision has them (resnet_plan.h); 512, 2048 and 2048 features.
//
// Tensor names. A convolution is "<place>.conv.weight" [out, in / groups, k, k] without bias; its normalisation is
// "<place>.norm.weight" and ".bias" [out], with batch statistics also ".running_mean" and ".running_var" [out]. Places:
// stem, blocks.NN.expand | depthwise | project (NN = 00..15; block 00 has no expand), last; stage1..stage4. The
// residual networks have torchvision's names (conv1.weight, bn1.weight, layer1.0.conv1.weight,
// layer1.0.downsample.1.bias, ..), whatever the normalisation. The head is "head.weight" [C, d] and "head.bias" [C]
// everywhere (codec/head_growth.h); a file without the two is a model that knows no class yet (C = 0). Canonical order
// is ascending byte order of the names. All tensors are float32.
//
// Thread-safety: free functions without state.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/head_growth.h"

namespace hemafed::learning {

enum class Architecture : std::uint8_t { kEfficientNetLite0, kSmallCnn, kResNet18, kResNet50, kResNeXt50, kAeCfe };
inline constexpr std::array kArchitectures = {Architecture::kEfficientNetLite0, Architecture::kSmallCnn,
                                              Architecture::kResNet18,          Architecture::kResNet50,
                                              Architecture::kResNeXt50,         Architecture::kAeCfe};

// How activations are normalised (design 4.6); every architecture takes every one.
//   batch         batch norm (Ioffe, Szegedy, ICML 2015): while the model trains with the statistics of the batch at
//                 hand, which the running statistics follow with momentum 0.1 (population variance for the output, the
//                 unbiased one for the running variance, as LibTorch does it); otherwise with the running ones.
//   batch_frozen  batch norm with the statistics of the imported file in training and evaluation alike, never updated.
//   batch_local   computed as batch; the running statistics stay with the hospital that made them.
//   group         group norm (Wu, He, ECCV 2018), 8 channels a group.
//   group_ws      group norm, 8 channels a group, after convolutions with standardised weights.
enum class Normalisation : std::uint8_t { kBatchFrozen, kGroupWs, kBatch, kBatchLocal, kGroup };
inline constexpr std::array kNormalisations = {Normalisation::kBatch, Normalisation::kBatchFrozen,
                                               Normalisation::kBatchLocal, Normalisation::kGroup,
                                               Normalisation::kGroupWs};

// Whether a model normalised so has running statistics among its tensors.
[[nodiscard]] bool HasRunningStatistics(Normalisation normalisation);
// Whether a training step normalises by the statistics of its own batch.
[[nodiscard]] bool UsesBatchStatistics(Normalisation normalisation);

[[nodiscard]] std::string_view ArchitectureName(Architecture architecture);
[[nodiscard]] std::string_view NormalisationName(Normalisation normalisation);
// Throw Error(kInvalidInput) that lists the known names.
[[nodiscard]] Architecture ArchitectureFromName(std::string_view name);
[[nodiscard]] Normalisation NormalisationFromName(std::string_view name);

// What a model has whose file or maker does not say: group_ws for small_cnn and ae_cfe, which start from random
// weights, batch_frozen for the others, which start from imported ones.
[[nodiscard]] Normalisation NormalisationOf(Architecture architecture);

// Where a model's first weights come from.
enum class WeightOrigin : std::uint8_t { kImported, kRandom };
// The rule for plans (design 4.6): the batch normalisations carry on with the statistics of imported weights, the group
// normalisations need none and learn from random weights. Measured: Lite0 whose norm is swapped for group norm falls
// from 0.82 to 0.20-0.34. Throws Error(kInvalidInput) for any other pair; studies need not ask.
void RequirePair(Normalisation normalisation, WeightOrigin origin);

enum class TensorRole : std::uint8_t {
  kWeight,  // of a convolution
  kAffine,  // scale or shift of a normalisation
  kBuffer,  // running statistics: never trained, in no update
  kHead,
};

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  TensorRole role;
};

// Channels of what the model sees: 3 of a picture, or the numbers of a latent.
[[nodiscard]] std::int64_t InputChannels(Architecture architecture);
// Number of features d that the trunk hands to the head.
[[nodiscard]] std::int64_t FeatureWidth(Architecture architecture);
// Every tensor of a model with `classes` classes (0: no head), in canonical order. Throws Error(kInvalidInput) if
// `classes` is outside 0..kMaxHeadClasses. Without a third argument: NormalisationOf(architecture).
[[nodiscard]] std::vector<TensorSpec> TensorsOf(Architecture architecture, std::int64_t classes,
                                                Normalisation normalisation);
[[nodiscard]] std::vector<TensorSpec> TensorsOf(Architecture architecture, std::int64_t classes);

// The plan of EfficientNet-Lite0: 16 inverted residual blocks, input to output.
struct Lite0Block {
  int kernel;  // of the depthwise convolution
  int stride;
  int expansion;  // 1: no expand convolution
  int in_channels;
  int out_channels;
};
inline constexpr int kLite0StemChannels = 32;
// Dropout sits behind this many blocks: after the last one with 40 channels (design 11.8).
inline constexpr int kLite0BlocksBeforeDropout = 5;
[[nodiscard]] const std::vector<Lite0Block>& Lite0Blocks();

// The plan of small_cnn; dropout sits behind the second stage.
struct SmallCnnStage {
  int stride;
  int in_channels;
  int out_channels;
};
inline constexpr int kSmallCnnStagesBeforeDropout = 2;
inline constexpr int kSmallCnnKernel = 3;
[[nodiscard]] const std::vector<SmallCnnStage>& SmallCnnStages();
inline constexpr int kChannelsPerGroup = 8;

// The plan of ae_cfe; dropout sits behind the first layer. The latent is the published one (AE-CFE, Table 3.1).
inline constexpr int kLatentChannels = 50;
inline constexpr int kLatentHidden = 128;

// "blocks.07", "stage2": where a block's or stage's tensors are.
[[nodiscard]] std::string Lite0BlockName(std::size_t block);
[[nodiscard]] std::string SmallCnnStageName(std::size_t stage);

}  // namespace hemafed::learning
