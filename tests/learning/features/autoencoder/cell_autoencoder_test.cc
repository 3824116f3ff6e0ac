// SPDX-License-Identifier: Apache-2.0
//
// The autoencoder's layers against torch.nn (autoencoder_reference.py), its weights and its file.
#include "learning/features/autoencoder/cell_autoencoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "codec/head_file.h"
#include "common/safetensors.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/features/autoencoder/cell_samples.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::LargestDifference;
using testing_support::SampleFeatures;
using testing_support::Uniform;

const Path kFile = "/ae.safetensors";

std::map<std::string, std::int64_t> ParametersByPart(std::int64_t latent_size) {
  std::map<std::string, std::int64_t> counts;
  for (const AutoencoderTensor& tensor : AutoencoderTensors(latent_size)) {
    const std::int64_t values =
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
    counts[tensor.name.substr(0, tensor.name.find('.'))] += values;
    if (tensor.name.find(".norm.") != std::string::npos) counts["norm"] += values;
  }
  return counts;
}

std::vector<NamedTensor> TensorsOfSize(std::int64_t latent_size) {
  std::vector<NamedTensor> tensors;
  for (const AutoencoderTensor& tensor : AutoencoderTensors(latent_size)) {
    tensors.push_back({tensor.name, at::zeros(tensor.shape, at::kFloat)});
  }
  return tensors;
}

TEST(CellAutoencoder, HasThePublishedNumbersOfParameters) {
  const auto counts = ParametersByPart(50);
  EXPECT_EQ(counts.at("encoder"), 915'390);
  EXPECT_EQ(counts.at("norm"), 1'160);
  EXPECT_EQ(counts.at("feature_decoder"), 1'128'906);
  EXPECT_EQ(counts.at("picture_decoder"), 1'924'845);
  EXPECT_EQ(counts.at("encoder") + counts.at("feature_decoder") + counts.at("picture_decoder"), 3'969'141);
}

TEST(CellAutoencoder, GivesThePublishedShapesForEveryLatentSize) {
  const at::NoGradGuard no_gradients;
  const at::Tensor features = ScaleFeatures(SampleFeatures(2));
  for (const std::int64_t size : {5, 10, 50, 100, 1'000}) {
    const CellAutoencoder model = InitialAutoencoder(size, 7);
    EXPECT_EQ(model.latent_size(), size);
    const at::Tensor latents = model.Encode(features);
    EXPECT_EQ(latents.sizes(), (at::IntArrayRef{2, size}));
    EXPECT_LT(latents.abs().max().item<double>(), 1.0);
    const at::Tensor decoded = model.DecodeFeatures(latents);
    EXPECT_EQ(decoded.sizes(), (at::IntArrayRef{2, 256, 14, 14}));
    if (size != 5) continue;  // What follows does not depend on it and takes longer.
    const at::Tensor pictures = model.DecodePictures(decoded);
    EXPECT_EQ(pictures.sizes(), (at::IntArrayRef{2, 3, 128, 128}));
    EXPECT_GE(pictures.min().item<double>(), 0.0);
    EXPECT_LE(pictures.max().item<double>(), 1.0);
  }
}

// Numbers from autoencoder_reference.py: torch.nn layers in float64.
TEST(CellAutoencoder, ComputesWhatTorchsLayersCompute) {
  const at::NoGradGuard no_gradients;
  const at::Tensor raw = SampleFeatures(4).narrow(0, 1, 1);
  const CellAutoencoder plain = InitialAutoencoder(50, 2024);
  const at::Tensor latent_values =
      at::tensor({-0.214025972, -0.268479849, 0.107384334, 0.318897846, -0.0565144783}, at::kDouble);
  const at::Tensor feature_values = at::tensor(
      {0.00110087665, -0.0034021607, -0.00381856899, -0.00607942591, -0.00344991498, -0.00523895558, -0.00529550062,
       -0.0045697922, -0.004956747, -0.00580217366, -0.00778852348, -0.00520562729, -0.00652266929, -0.0014478915},
      at::kDouble);
  const at::Tensor picture_values =
      at::tensor({0.573029726, 0.573727061, 0.572844885, 0.573773144, 0.572661394, 0.573288695, 0.572442668,
                  0.573370743, 0.62742768, 0.628326579, 0.627378459, 0.628085519},
                 at::kDouble)
          .view({3, 4});
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const double near = type == at::kDouble ? 1e-8 : 2e-5;
    const CellAutoencoder model = plain.Clone(type);
    const at::Tensor latents = model.Encode(ScaleFeatures(raw.to(type)));
    EXPECT_LT(LargestDifference(latents[0].narrow(0, 0, 5), latent_values), near);
    const at::Tensor decoded = model.DecodeFeatures(latents);
    EXPECT_LT(LargestDifference(decoded[0][7][3], feature_values), near);
    const at::Tensor picture = model.DecodePictures(decoded);
    EXPECT_LT(LargestDifference(picture[0].select(1, 64).narrow(1, 60, 4), picture_values), near);
  }
}

TEST(CellAutoencoder, EncodesACellAloneAsInABatch) {
  const at::NoGradGuard no_gradients;
  const CellAutoencoder model = InitialAutoencoder(50, 7);
  const at::Tensor features = ScaleFeatures(SampleFeatures(3));
  const at::Tensor together = model.Encode(features);
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_LT(LargestDifference(model.Encode(features.narrow(0, i, 1))[0], together[i]), 1e-5);
  }
}

TEST(CellAutoencoder, RefusesInputsOfAnotherShapeOrType) {
  const CellAutoencoder model = InitialAutoencoder(8, 7);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "features of shape [256, 14, 14] a cell; these have the shape [2, 256, 7, 7]",
               (void)model.Encode(at::zeros({2, 256, 7, 7})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "features of shape", (void)model.Encode(at::zeros({256, 14, 14})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "latents of shape [8]", (void)model.DecodeFeatures(at::zeros({2, 9})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "features of shape", (void)model.DecodePictures(at::zeros({1, 255, 14, 14})));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another type", (void)model.Encode(at::zeros({1, 256, 14, 14}, at::kDouble)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "allowed are 5 to 1000", (void)InitialAutoencoder(4, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "allowed are 5 to 1000", (void)InitialAutoencoder(1'001, 1));
}

TEST(CellAutoencoder, RefusesTensorsThatAreNotItsOwn) {
  const auto changed = [](const auto& change) {
    std::vector<NamedTensor> tensors = TensorsOfSize(8);
    change(tensors);
    return CellAutoencoder(std::move(tensors));
  };
  EXPECT_NO_THROW((void)changed([](auto& tensors) { std::reverse(tensors.begin(), tensors.end()); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'encoder.0.conv.weight' is missing",
               (void)changed([](auto& tensors) { tensors.erase(tensors.begin() + 1); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'picture_decoder.4.weight' is missing",
               (void)changed([](auto& tensors) { tensors.pop_back(); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'zzz' does not belong", (void)changed([](auto& tensors) {
                 tensors.push_back({"zzz", at::zeros({1})});
               }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there twice",
               (void)changed([](auto& tensors) { tensors.push_back(tensors.front()); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'encoder.0.conv.bias' has the shape [7] instead of [200]",
               (void)changed([](auto& tensors) { tensors[0].value = at::zeros({7}); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another type",
               (void)changed([](auto& tensors) { tensors[0].value = at::zeros({200}, at::kDouble); }));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'encoder.5.conv.bias' is missing", (void)CellAutoencoder({}));
}

TEST(InitialAutoencoder, FollowsItsFormulaAndTheSeedAlone) {
  const CellAutoencoder model = InitialAutoencoder(50, 2024);
  EXPECT_EQ(DigestOfAutoencoder(model), DigestOfAutoencoder(InitialAutoencoder(50, 2024)));
  EXPECT_NE(DigestOfAutoencoder(model), DigestOfAutoencoder(InitialAutoencoder(50, 2025)));
  const std::vector<AutoencoderTensor> specs = AutoencoderTensors(50);
  for (std::size_t t = 0; t < specs.size(); ++t) {
    const at::Tensor& value = model.tensors()[t].value;
    if (specs[t].fan_in == 0) {
      EXPECT_TRUE(value.eq(specs[t].name.ends_with("weight") ? 1 : 0).all().item<bool>()) << specs[t].name;
      continue;
    }
    const double bound = 1.0 / std::sqrt(static_cast<double>(specs[t].fan_in));
    for (const std::int64_t e : {std::int64_t{0}, std::int64_t{2}, value.numel() - 1}) {
      const auto element = static_cast<std::uint32_t>(e);
      const PhiloxBlock words = Philox4x32(2024, {element / 4, static_cast<std::uint32_t>(t), 0, 0});
      const double want = bound * (2 * ((words[element % 4] >> 8) * 0x1p-24) - 1);
      EXPECT_EQ(value.flatten()[e].item<float>(), static_cast<float>(want)) << specs[t].name;
    }
  }
}

TEST(AutoencoderFile, GivesBackEveryBitAndHasOneDigest) {
  FaultFileSystem files;
  const CellAutoencoder model = InitialAutoencoder(5, 3);
  const Digest digest = SaveAutoencoder(files, kFile, model, {{"source", "a test"}});
  EXPECT_EQ(digest, Sha256Of(*files.Peek(kFile)));
  const CellAutoencoder read = LoadAutoencoder(files, kFile);
  EXPECT_EQ(read.latent_size(), 5);
  EXPECT_EQ(DigestOfAutoencoder(read), DigestOfAutoencoder(model));
  EXPECT_EQ(SaveAutoencoder(files, "/again", read, {{"source", "a test"}}), digest);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "set 'hemafed.architecture'",
               (void)SaveAutoencoder(files, kFile, model, {{"hemafed.architecture", "x"}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not float32", (void)SaveAutoencoder(files, kFile, model.Clone(at::kDouble)));
}

// Writes tensors and metadata as they are, without asking whether they make sense.
void WriteRaw(FileSystem& files, const std::vector<NamedTensor>& tensors, std::map<std::string, std::string> metadata) {
  std::vector<TensorInfo> infos;
  std::map<std::string, at::Tensor> by_name;
  for (const NamedTensor& tensor : tensors) {
    const bool is_float = tensor.value.scalar_type() == at::kFloat;
    infos.push_back(
        {.name = tensor.name, .dtype = is_float ? DType::kF32 : DType::kF64, .shape = tensor.value.sizes().vec()});
    by_name[tensor.name] = tensor.value.contiguous();
  }
  SafetensorsWriter writer(files, kFile, std::move(infos), metadata);
  for (const TensorInfo& info : writer.tensors()) {
    const at::Tensor& value = by_name.at(info.name);
    writer.Append(info.name, {static_cast<const std::uint8_t*>(value.const_data_ptr()), value.nbytes()});
  }
  (void)writer.Finish();
}

TEST(AutoencoderFile, IsRefusedForWhateverIsNotAnAutoencoder) {
  FaultFileSystem files;
  const std::map<std::string, std::string> good = {{std::string(kArchitectureKey), "cell_autoencoder"},
                                                   {std::string(kFeatureWidthKey), "5"}};
  const auto with = [&](const std::string& key, const std::string& value) {
    auto metadata = good;
    metadata[key] = value;
    return metadata;
  };
  WriteRaw(files, TensorsOfSize(5), good);
  EXPECT_EQ(LoadAutoencoder(files, kFile).latent_size(), 5);
  WriteRaw(files, TensorsOfSize(5), {});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no metadata 'hemafed.architecture'", (void)LoadAutoencoder(files, kFile));
  WriteRaw(files, TensorsOfSize(5), with(std::string(kArchitectureKey), "resnet18"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a model of another kind", (void)LoadAutoencoder(files, kFile));
  for (const char* width : {"4", "1001", "", "05", "5 ", "99999999999999999999", "x"}) {
    WriteRaw(files, TensorsOfSize(5), with(std::string(kFeatureWidthKey), width));
    EXPECT_ERROR(ErrorCode::kInvalidInput, "is not a number from 5 to 1000", (void)LoadAutoencoder(files, kFile));
  }
  WriteRaw(files, TensorsOfSize(5), with(std::string(kFeatureWidthKey), "6"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'encoder.5.conv.bias' has another shape",
               (void)LoadAutoencoder(files, kFile));
  const auto changed = [&](const auto& change) {
    std::vector<NamedTensor> tensors = TensorsOfSize(5);
    change(tensors);
    WriteRaw(files, tensors, good);
  };
  changed([](auto& tensors) { tensors.erase(tensors.begin()); });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "encoder.0.conv.bias", (void)LoadAutoencoder(files, kFile));
  changed([](auto& tensors) { tensors.push_back({"extra", at::zeros({1})}); });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'extra' does not belong", (void)LoadAutoencoder(files, kFile));
  changed([](auto& tensors) { tensors[3].value[0] = std::nan(""); });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number", (void)LoadAutoencoder(files, kFile));
  changed([](auto& tensors) { tensors[0].value = tensors[0].value.to(at::kDouble); });
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'encoder.0.conv.bias' is not float32", (void)LoadAutoencoder(files, kFile));
}

}  // namespace
}  // namespace hemafed::learning
