// SPDX-License-Identifier: Apache-2.0
#include "learning/models/grow_head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "learning/models/model_file.h"
#include "tests/expect_error.h"
#include "tests/learning/philox_tensors.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeModel;
using testing_support::Uniform;

at::Tensor Named(const Classifier& model, std::string_view name) {
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == name) return tensor.value;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

TEST(GrowHead, KeepsOldRowsBiasesAndTrunkBitForBitAndFillsNewRowsFromTheFormula) {
  for (const auto architecture : {Architecture::kEfficientNetLite0, Architecture::kSmallCnn, Architecture::kResNet18}) {
    const Classifier three = RecipeModel(architecture, 3);
    const Classifier six = GrowHead(three, 6, /*seed=*/99, /*task=*/2);
    ASSERT_EQ(six.classes(), 6);
    EXPECT_EQ(six.normalisation(), three.normalisation());
    for (std::size_t i = 0; i < three.tensors().size(); ++i) {
      const at::Tensor& old = three.tensors()[i].value;
      const at::Tensor& grown = six.tensors()[i].value;
      EXPECT_TRUE(at::equal(grown.narrow(0, 0, old.size(0)), old)) << three.tensors()[i].name;
      EXPECT_NE(grown.data_ptr(), old.data_ptr()) << three.tensors()[i].name;
    }
    for (std::uint32_t row = 3; row < 6; ++row) {
      const std::vector<float> want = NewHeadRow(99, 2, row, static_cast<std::uint32_t>(six.feature_width()));
      EXPECT_TRUE(at::equal(Named(six, kHeadWeight)[row], at::tensor(want))) << "row " << row;
      EXPECT_EQ(Named(six, kHeadBias)[row].item<float>(), 0.0f);
    }
  }
}

TEST(GrowHead, OldLogitsStay) {
  // published-systems 2.9, check 1.
  const Classifier three = RecipeModel(Architecture::kResNet18, 3);
  const Classifier six = GrowHead(three, 6, 99, 2);
  const at::NoGradGuard no_gradients;
  const at::Tensor pictures = Uniform(1, {2, 3, 48, 48}, -2, 2);
  EXPECT_LT(LargestDifference(six.Forward(pictures).narrow(1, 0, 3), three.Forward(pictures)), 1e-6);
}

TEST(GrowHead, GivesTheFileThatTheCoordinatorMakes) {
  const hemafed::testing_support::Scratch scratch;
  FileSystem& files = RealFileSystem();
  for (const std::int64_t classes : {0, 2}) {
    const Classifier model = RecipeModel(Architecture::kSmallCnn, classes, 5, Normalisation::kBatch);
    SaveModel(files, scratch / "old", model, {{"source.package", "x"}});
    const Digest coordinator = hemafed::GrowHead(files, scratch / "old", scratch / "new", 7, 1, 5);
    EXPECT_EQ(SaveModel(files, scratch / "ours", GrowHead(model, 5, 7, 1), {{"source.package", "x"}}), coordinator);
  }
}

TEST(GrowHead, KeepsTypePrecisionAndTakesTheSameNumberOfClasses) {
  Classifier model = RecipeModel(Architecture::kSmallCnn, 2);
  EXPECT_EQ(Named(GrowHead(model.Clone(at::kDouble), 3, 1, 1), kHeadWeight).scalar_type(), at::kDouble);
  model.SetPrecision(Precision::kBfloat16);
  EXPECT_EQ(GrowHead(model, 3, 1, 1).precision(), Precision::kBfloat16);
  EXPECT_TRUE(at::equal(Named(GrowHead(model, 2, 1, 1), kHeadWeight), Named(model, kHeadWeight)));
}

TEST(GrowHead, RefusesToShrinkAndToExceedTheLimit) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "3 classes and cannot grow to 2", (void)GrowHead(model, 2, 1, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot grow to 4097", (void)GrowHead(model, 4097, 1, 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot grow to 0",
               (void)GrowHead(RecipeModel(Architecture::kSmallCnn, 0), 0, 1, 1));
}

}  // namespace
}  // namespace hemafed::learning
