// SPDX-License-Identifier: Apache-2.0
//
// Views over several sources, exemplars as pictures, and prediction by their means.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "learning/continual/memory.h"
#include "learning/continual/nearest_mean.h"
#include "learning/continual/picture_view.h"
#include "learning/continual/source_digest.h"
#include "tests/expect_error.h"
#include "tests/learning/task_source.h"

namespace hemafed::learning {
namespace {

using testing_support::LargestDifference;
using testing_support::RecipeModel;
using testing_support::TaskSource;

TEST(PictureView, GivesEachPlaceItsPictureWhateverSourceItComesFrom) {
  TaskSource a("a", {5}, 3);
  TaskSource b("b", {7}, 2);
  PictureView view({&a, &b}, {{1, 1, 0}, {0, 2, 1}, {0, 0, 1}, {1, 0, 0}});
  EXPECT_EQ(view.Labels(), (std::vector<std::int64_t>{0, 1, 1, 0}));
  EXPECT_EQ(view.PictureDigest(1), a.PictureDigest(2));
  const Batch batch = view.Get(std::vector<std::uint32_t>{2, 0, 1, 2, 3}, std::nullopt);
  const std::vector<at::Tensor> want = {a.pictures()[0], b.pictures()[1], a.pictures()[2], a.pictures()[0],
                                        b.pictures()[0]};
  for (std::int64_t k = 0; k < 5; ++k) EXPECT_TRUE(at::equal(batch.images[k], want[static_cast<std::size_t>(k)])) << k;
  EXPECT_TRUE(at::equal(batch.labels, at::tensor({1, 0, 1, 1, 0}, at::kLong)));
}

TEST(PictureView, VariesPicturesOfDifferentSourcesDifferentlyAndAgainAlike) {
  TaskSource a("a", {0}, 1);
  TaskSource b("b", {0}, 1);
  PictureView view({&a, &b}, {{0, 0, 0}, {1, 0, 0}});
  const std::vector<std::uint32_t> both = {0, 1};
  const Batch once = view.Get(both, AugmentationKey{3, 4});
  const double change_a = (once.images[0] - a.pictures()[0]).mean().item<double>();
  const double change_b = (once.images[1] - b.pictures()[0]).mean().item<double>();
  EXPECT_GT(std::abs(change_a - change_b), 1e-6);
  EXPECT_TRUE(at::equal(view.Get(both, AugmentationKey{3, 4}).images, once.images));
  EXPECT_FALSE(at::equal(view.Get(both, AugmentationKey{3, 5}).images, once.images));
}

TEST(PictureView, RefusesWhatIsNotThereAndPicturesOfTwoSizes) {
  TaskSource a("a", {0}, 2);
  TaskSource large("large", {0}, 2, 0.0, 24);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not exist", PictureView({&a}, {{0, 2, 0}}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not exist", PictureView({&a}, {{1, 0, 0}}));
  PictureView view({&a, &large}, {{0, 0, 0}, {1, 0, 0}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "differ in size",
               (void)view.Get(std::vector<std::uint32_t>{0, 1}, std::nullopt));
}

ExemplarStore StoreOf(const TaskSource& source, const std::string& domain, std::uint32_t label,
                      std::vector<std::size_t> herding, std::vector<std::size_t> uncertainty) {
  ExemplarList list{domain, label, {}, {}};
  for (const std::size_t i : herding) list.herding.push_back({source.PictureDigest(i), domain});
  for (const std::size_t i : uncertainty) list.uncertainty.push_back({source.PictureDigest(i), domain});
  ExemplarStore store;
  AddList(store, list);
  return store;
}

TEST(Memory, FindsPicturesInTheSourcesOfTheirDomainAndGivesTheirHeadRow) {
  TaskSource first("first", {4}, 3);
  TaskSource other("other", {4}, 3);
  ExemplarStore store = StoreOf(first, "here", 4, {2, 0}, {1});
  AddList(store, StoreOf(other, "there", 4, {1}, {}).lists[0]);
  Memory memory = BuildMemory(store, {{"there", &other}, {"here", &first}}, {9, 4});
  ASSERT_EQ(memory.keys.size(), 4u);
  EXPECT_EQ(memory.view.Labels(), (std::vector<std::int64_t>{1, 1, 1, 1}));
  const std::vector<Digest> want = {first.PictureDigest(2), first.PictureDigest(0), first.PictureDigest(1),
                                    other.PictureDigest(1)};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(memory.view.PictureDigest(i), want[i]);
    EXPECT_EQ(memory.keys[i].picture, want[i]);
    EXPECT_EQ(memory.keys[i].domain, i < 3 ? "here" : "there");
  }
  EXPECT_ERROR(ErrorCode::kNotFound, "of here/4 is not among the pictures",
               (void)BuildMemory(store, {{"there", &other}, {"here", &other}}, {9, 4}));
  EXPECT_ERROR(ErrorCode::kNotFound, "here/4", (void)BuildMemory(store, {{"here", &first}, {"there", &other}}, {9}));
}

// Mean of the normalised features of the given pictures, normalised; one picture at a time.
std::vector<double> SlowMean(const Classifier& model, TaskSource& source, const std::vector<std::uint32_t>& pictures) {
  std::vector<double> mean(static_cast<std::size_t>(model.feature_width()), 0.0);
  const auto add = [&](std::vector<double>& to, const std::vector<double>& from, double scale) {
    for (std::size_t j = 0; j < to.size(); ++j) to[j] += scale * from[j];
  };
  const auto length = [](const std::vector<double>& vector) {
    double squares = 0;
    for (const double value : vector) squares += value * value;
    return std::sqrt(squares);
  };
  for (const std::uint32_t picture : pictures) {
    const at::Tensor features =
        model.Features(source.Get(std::vector<std::uint32_t>{picture}, std::nullopt).images).to(at::kDouble)[0];
    const std::vector<double> row(features.const_data_ptr<double>(), features.const_data_ptr<double>() + mean.size());
    add(mean, row, 1.0 / length(row) / static_cast<double>(pictures.size()));
  }
  std::vector<double> scaled(mean.size(), 0.0);
  add(scaled, mean, 1.0 / length(mean));
  return scaled;
}

double Distance(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (std::size_t j = 0; j < a.size(); ++j) squares += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(squares);
}

TEST(NearestMean, RowsAreScaledToLengthOneAndAZeroVectorStaysZero) {
  const at::Tensor rows = at::tensor({3.0, -4.0, 0.0, 0.0, 0.0, 2.0}, at::kDouble).reshape({3, 2});
  const at::Tensor want = at::tensor({0.6, -0.8, 0.0, 0.0, 0.0, 1.0}, at::kDouble).reshape({3, 2});
  EXPECT_TRUE(at::allclose(LengthOne(rows), want, 0, 1e-15));
}

TEST(NearestMean, ScoresByTheDistanceToMeansOfNormalisedFeatures) {
  TaskSource first("first", {0}, 4);
  TaskSource second("second", {0}, 4, 1.0);
  TaskSource third("third", {1}, 4);
  const Classifier model = RecipeModel(Architecture::kSmallCnn, 3);
  ExemplarStore store = StoreOf(first, "here", 0, {2, 0}, {1});
  AddList(store, StoreOf(second, "there", 0, {1}, {3}).lists[0]);
  AddList(store, StoreOf(third, "here", 1, {0, 3}, {}).lists[0]);
  Memory memory = BuildMemory(store, {{"here", &first}, {"there", &second}, {"here", &third}}, {0, 1, 2});
  const std::vector<double> here = SlowMean(model, first, {2, 0, 1});
  const std::vector<double> there = SlowMean(model, second, {1, 3});
  const std::vector<double> other = SlowMean(model, third, {0, 3});
  const std::vector<double> query = SlowMean(model, first, {3});
  const at::Tensor features = model.Features(first.Get(std::vector<std::uint32_t>{3}, std::nullopt).images);

  const at::Tensor by_domain = NearestMeanScores(MeansOfExemplars(model, memory, true, 2), features, 3);
  EXPECT_NEAR(by_domain[0][0].item<double>(), -std::min(Distance(query, here), Distance(query, there)), 1e-5);
  EXPECT_NEAR(by_domain[0][1].item<double>(), -Distance(query, other), 1e-5);
  EXPECT_EQ(by_domain[0][2].item<double>(), -std::numeric_limits<double>::infinity());

  std::vector<double> both(here.size());  // Five pictures of class 0, each of length 1: not the mean of the two means.
  const ExemplarMeans means = MeansOfExemplars(model, memory, false, 3);
  ASSERT_EQ(means.rows, (std::vector<std::int64_t>{0, 1}));
  double squares = 0;
  for (const auto& [source, pictures] :
       std::vector<std::pair<TaskSource*, std::vector<std::uint32_t>>>{{&first, {2, 0, 1}}, {&second, {1, 3}}}) {
    for (const std::uint32_t picture : pictures) {
      const std::vector<double> row = SlowMean(model, *source, {picture});
      for (std::size_t j = 0; j < both.size(); ++j) both[j] += row[j];
    }
  }
  for (const double value : both) squares += value * value;
  for (double& value : both) value /= std::sqrt(squares);
  EXPECT_NEAR(NearestMeanScores(means, features, 3)[0][0].item<double>(), -Distance(query, both), 1e-5);

  Memory empty = BuildMemory({}, {}, {});
  EXPECT_ERROR(ErrorCode::kConflict, "none are stored", (void)MeansOfExemplars(model, empty, false, 2));
}

TEST(SourceDigest, ChangesWithPicturesOrderAndLabels) {
  TaskSource a("a", {0, 1}, 2);
  TaskSource same("a", {0, 1}, 2);
  TaskSource relabelled("a", {0, 2}, 2);
  TaskSource longer("a", {0, 1}, 3);
  EXPECT_EQ(DigestOfSource(a), DigestOfSource(same));
  EXPECT_NE(DigestOfSource(a), DigestOfSource(relabelled));
  EXPECT_NE(DigestOfSource(a), DigestOfSource(longer));
}

}  // namespace
}  // namespace hemafed::learning
