// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/evaluate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learning/models/grow_head.h"
#include "tests/expect_error.h"
#include "tests/learning/memory_source.h"

namespace hemafed::learning {
namespace {

using testing_support::EasyPictures;
using testing_support::MemorySource;
using testing_support::RecipeModel;

TEST(Evaluate, CountsWhatOnePictureAtATimeGives) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  MemorySource source = EasyPictures(23, 5, 24, 1);  // Labels 3 and 4 are not known to the model.
  std::vector<std::uint64_t> done;
  const ConfusionMatrix counts =
      Evaluate(model, source, 5, 10, [&](std::uint64_t pictures) { done.push_back(pictures); });
  std::vector<std::vector<std::uint64_t>> want(5, std::vector<std::uint64_t>(5));
  const at::NoGradGuard no_gradients;
  for (std::uint32_t i = 0; i < 23; ++i) {
    const at::Tensor logits = model.Forward(source.Get(std::vector<std::uint32_t>{i}, std::nullopt).images);
    ++want[static_cast<std::size_t>(source.Label(i))][static_cast<std::size_t>(logits.argmax().item<std::int64_t>())];
  }
  for (std::size_t label = 0; label < 5; ++label) {
    for (std::size_t answer = 0; answer < 5; ++answer) EXPECT_EQ(counts.At(label, answer), want[label][answer]);
  }
  EXPECT_EQ(done, (std::vector<std::uint64_t>{10, 20, 23}));
  EXPECT_TRUE(source.augmentations.empty());
}

TEST(Evaluate, CountsEachPicturesSoftmaxScoresInTheSamePass) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  MemorySource source = EasyPictures(23, 5, 24, 1);  // Labels 3 and 4 are not known to the model.
  ScoreTally tally(5);
  std::uint64_t passes = 0;
  const ConfusionMatrix counts = Evaluate(
      model, source, 5, 23, [&](std::uint64_t) { ++passes; }, &tally);
  EXPECT_EQ(passes, 1u);
  const at::NoGradGuard no_gradients;
  std::vector<std::uint32_t> all(23);
  for (std::uint32_t i = 0; i < 23; ++i) all[i] = i;
  // The same batch, so that the logits have the same last bits.
  const at::Tensor logits = model.Forward(source.Get(all, std::nullopt).images).to(at::kDouble);
  std::vector<std::vector<std::vector<std::uint32_t>>> want(
      5, std::vector<std::vector<std::uint32_t>>(5, std::vector<std::uint32_t>(kHistogramBins)));
  for (std::uint32_t i = 0; i < 23; ++i) {
    double sum = 0;
    const double largest = logits[i].max().item<double>();
    for (std::int64_t k = 0; k < 3; ++k) sum += std::exp(logits[i][k].item<double>() - largest);
    for (std::int64_t k = 0; k < 5; ++k) {
      const double score = k < 3 ? std::exp(logits[i][k].item<double>() - largest) / sum : 0.0;
      const auto bin = std::min<std::size_t>(1023, static_cast<std::size_t>(std::floor(score * 1024)));
      ++want[static_cast<std::size_t>(source.Label(i))][static_cast<std::size_t>(k)][bin];
    }
  }
  for (std::size_t truth = 0; truth < 5; ++truth) {
    for (std::size_t k = 0; k < 5; ++k) {
      const auto got = tally.Of(truth, k);
      EXPECT_EQ(std::vector<std::uint32_t>(got.begin(), got.end()), want[truth][k]) << truth << " scored as " << k;
    }
    std::uint64_t pictures = 0;
    for (std::uint32_t i = 0; i < 23; ++i) pictures += source.Label(i) == static_cast<std::int64_t>(truth) ? 1 : 0;
    EXPECT_EQ(counts.RowSum(truth), pictures);
  }
}

TEST(Evaluate, EqualLogitsGoToTheLowestClass) {
  std::vector<NamedTensor> tensors = RecipeModel(Architecture::kSmallCnn, 3).tensors();
  for (NamedTensor& tensor : tensors) {
    if (tensor.name.starts_with("head.")) tensor.value = at::zeros_like(tensor.value);
  }
  const Classifier model(Architecture::kSmallCnn, std::move(tensors));
  MemorySource source = EasyPictures(6, 3, 24, 1);
  const ConfusionMatrix counts = Evaluate(model, source, 3, 4);
  for (std::size_t label = 0; label < 3; ++label) EXPECT_EQ(counts.At(label, 0), 2u);
}

TEST(CountAgreements, ComparesTheBestOfTheTeachersClasses) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 5), teacher = RecipeModel(Architecture::kSmallCnn, 3);
  MemorySource source = EasyPictures(40, 4, 24, 2);
  std::uint64_t want = 0;
  for (std::uint32_t i = 0; i < 40; ++i) {
    const at::NoGradGuard no_gradients;
    const at::Tensor images = source.Get(std::vector<std::uint32_t>{i}, std::nullopt).images;
    const auto ours = model.Forward(images).narrow(1, 0, 3).argmax().item<std::int64_t>();
    want += ours == teacher.Forward(images).argmax().item<std::int64_t>() ? 1 : 0;
  }
  EXPECT_EQ(CountAgreements(model, teacher, source, 7), want);
  EXPECT_EQ(CountAgreements(teacher, teacher, source, 16), 40u);
  EXPECT_EQ(CountAgreements(GrowHead(teacher, 6, 1, 1), teacher, source, 16), 40u) << "new rows play no part";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a class that the model does not",
               (void)CountAgreements(teacher, model, source, 7));
}

TEST(Evaluate, NoPicturesGiveZeros) {
  MemorySource source(at::zeros({0, 3, 16, 16}), {});
  const ConfusionMatrix counts = Evaluate(RecipeModel(Architecture::kSmallCnn, 3), source, 3, 4);
  for (std::size_t label = 0; label < 3; ++label) EXPECT_EQ(counts.RowSum(label), 0u);
}

TEST(Evaluate, WhatCannotBeCountedIsRefused) {
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  MemorySource source = EasyPictures(6, 3, 24, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the model knows 3 classes, the plan 2", (void)Evaluate(model, source, 2, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of at most 64", (void)Evaluate(model, source, 65, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "at least one picture", (void)Evaluate(model, source, 3, 0));
  MemorySource four = EasyPictures(6, 4, 24, 1);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 3", (void)Evaluate(model, four, 3, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "knows no class",
               (void)Evaluate(RecipeModel(Architecture::kSmallCnn, 0), source, 3, 4));
  MemorySource broken(at::full({1, 3, 16, 16}, std::nan("")), {0});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not a finite number", (void)Evaluate(model, broken, 3, 4));
}

}  // namespace
}  // namespace hemafed::learning
