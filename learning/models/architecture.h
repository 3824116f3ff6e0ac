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
//
// Tensor names. A convolution is "<place>.conv.weight" [out, in / groups, k, k] without bias; its normalisation is
// "<place>.norm.weight" and ".bias" [out], under batch_frozen also ".running_mean" and ".running_var" [out]. Places:
// stem, blocks.NN.expand | depthwise | project (NN = 00..15; block 00 has no expand), last; stage1..stage4. The head is
// "head.weight" [C, d] and "head.bias" [C] (codec/head_growth.h); a file without the two is a model that knows no class
// yet (C = 0). Canonical order is ascending byte order of the names. All tensors are float32.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/head_growth.h"

namespace hemafed::learning {

enum class Architecture : std::uint8_t { kEfficientNetLite0, kSmallCnn };

// How activations are normalised (design 4.6).
//   batch_frozen  batch norm with the statistics of the imported file in training and evaluation alike, never updated.
//   group_ws      group norm, 8 channels a group, after convolutions with standardised weights.
enum class Normalisation : std::uint8_t { kBatchFrozen, kGroupWs };

[[nodiscard]] std::string_view ArchitectureName(Architecture architecture);
[[nodiscard]] std::string_view NormalisationName(Normalisation normalisation);
// Throw Error(kInvalidInput) that lists the known names.
[[nodiscard]] Architecture ArchitectureFromName(std::string_view name);
[[nodiscard]] Normalisation NormalisationFromName(std::string_view name);

// The one normalisation that works with the weights we have for this architecture: batch_frozen with imported ones,
// group_ws with random ones. Measured: Lite0 whose norm is swapped for group norm falls from 0.82 to 0.20-0.34.
[[nodiscard]] Normalisation NormalisationOf(Architecture architecture);
// Throws Error(kInvalidInput) for any other pair.
void RequirePair(Architecture architecture, Normalisation normalisation);

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

// Number of features d that the trunk hands to the head.
[[nodiscard]] std::int64_t FeatureWidth(Architecture architecture);
// Every tensor of a model with `classes` classes (0: no head), in canonical order. Throws Error(kInvalidInput) if
// `classes` is outside 0..kMaxHeadClasses.
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

// "blocks.07", "stage2": where a block's or stage's tensors are.
[[nodiscard]] std::string Lite0BlockName(std::size_t block);
[[nodiscard]] std::string SmallCnnStageName(std::size_t stage);

}  // namespace hemafed::learning
