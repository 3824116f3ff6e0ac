// SPDX-License-Identifier: Apache-2.0
#include "learning/data/tile_batches.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "learning/continual/prefetch_batches.h"
#include "learning/data/label_map.h"
#include "tests/expect_error.h"
#include "tests/learning/data/picture_files.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

using testing_support::Png;
using testing_support::Write;

class TileBatchesTest : public testing::Test {
 protected:
  TileBatchesTest() {
    for (std::uint64_t i = 0; i < 6; ++i) Write(scratch_ / ("p/a/" + std::to_string(i) + ".png"), Png(i));
    for (std::uint64_t i = 6; i < 11; ++i) Write(scratch_ / ("p/b/" + std::to_string(i) + ".png"), Png(i));
    const LabelMap labels = LabelMap::Parse(
        "name=\"t\"\nunknown=\"error\"\ndropped=[]\n[[class]]\nname=\"a\"\nlabels=[\"a\"]\n[[class]]\nname=\"b\"\n"
        "labels=[\"b\"]\n",
        "labels.toml");
    index_ = ImportTree(RealFileSystem(), scratch_ / "p", "d", labels).index;
  }
  TileBatches Batches(const std::vector<std::uint32_t>& positions, const std::vector<std::string>& classes) {
    return {
        Cache(), index_, positions, classes, {.flips = true, .rotation = Rotation::kAny, .brightness = 0.2, .blur = 1}};
  }
  TileCache Cache() {
    return TileCache::OpenOrBuild(RealFileSystem(), scratch_ / "p", index_, {.side = 20}, scratch_ / "cache");
  }

  hemafed::testing_support::Scratch scratch_;
  DatasetIndex index_;
};

TEST_F(TileBatchesTest, GiveThePicturesOfTheirPositionsUnderThePlansLabels) {
  const std::vector<std::uint32_t> train = index_.Positions(Split::kTrain);
  TileBatches source = Batches(train, {"c", "b", "a"});
  ASSERT_EQ(source.Size(), train.size());
  const TileCache cache = Cache();
  const std::vector<std::uint32_t> indices = {3, 0, 3};
  const Batch batch = source.Get(indices, std::nullopt);
  EXPECT_EQ(batch.images.sizes(), (std::vector<std::int64_t>{3, 3, 20, 20}));
  for (std::size_t k = 0; k < indices.size(); ++k) {
    const PictureEntry& picture = index_.pictures[train[indices[k]]];
    EXPECT_EQ(source.PictureDigest(indices[k]), picture.digest);
    EXPECT_EQ(source.Label(indices[k]), picture.class_index == 0 ? 2 : 1);
    EXPECT_EQ(batch.labels[static_cast<std::int64_t>(k)].item<std::int64_t>(), source.Label(indices[k]));
    std::vector<std::uint8_t> tile(cache.shape().Bytes());
    cache.Read(train[indices[k]], tile);
    const at::Tensor want =
        (at::tensor(at::ArrayRef<std::uint8_t>(tile), at::kByte).view({20, 20, 3}).permute({2, 0, 1}) / 255.0 -
         at::tensor({0.485, 0.456, 0.406}).view({3, 1, 1})) /
        at::tensor({0.229, 0.224, 0.225}).view({3, 1, 1});
    EXPECT_LT((batch.images[static_cast<std::int64_t>(k)] - want).abs().max().item<double>(), 1e-5);
  }
}

TEST_F(TileBatchesTest, AugmentByPlaceInTheBatchWhateverTheThreads) {
  std::vector<std::uint32_t> all(index_.pictures.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  TileBatches source = Batches(all, {"a", "b"});
  const AugmentationKey key{.seed = 5, .step = 9};
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = source.Get(all, key).images;
  at::set_num_threads(3);
  const at::Tensor three = source.Get(all, key).images;
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three));
  EXPECT_FALSE(at::equal(one, source.Get(all, AugmentationKey{.seed = 5, .step = 10}).images));
  const std::vector<std::uint32_t> twice = {4, 4};
  const at::Tensor same_picture = source.Get(twice, key).images;
  EXPECT_FALSE(at::equal(same_picture[0], same_picture[1]));
  EXPECT_TRUE(at::equal(source.Get(std::vector<std::uint32_t>{7, 4}, key).images[1], same_picture[1]));
  EXPECT_EQ(source.Get({}, key).images.size(0), 0);
}

TEST_F(TileBatchesTest, FetchedAheadHaveTheSameBitsOnAnyNumberOfThreads) {
  std::vector<std::uint32_t> all(index_.pictures.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  constexpr std::uint32_t kSteps = 25;
  const auto request = [](std::uint32_t step) {
    return BatchRequest{{step % 11, (step * 7) % 11, (step * 5 + 3) % 11},
                        step % 4 == 3 ? std::nullopt : std::optional(AugmentationKey{.seed = 2, .step = step})};
  };
  TileBatches plain = Batches(all, {"a", "b"});
  TileBatches shared(Cache(), index_, all, std::vector<std::string>{"a", "b"},
                     {.flips = true, .rotation = Rotation::kAny, .brightness = 0.2, .blur = 1}, {},
                     TileThreads::kCaller);
  for (const unsigned threads : {0u, 1u, 2u, 5u}) {
    std::uint32_t asked = 0;
    PrefetchBatches ahead(shared,
                          [&]() -> std::optional<BatchRequest> {
                            if (asked == kSteps) return std::nullopt;
                            return request(asked++);
                          },
                          {.threads = threads, .depth = 3});
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      const std::optional<Batch> got = ahead.Next();
      ASSERT_TRUE(got) << step;
      const BatchRequest asked_for = request(step);
      const Batch want = plain.Get(asked_for.indices, asked_for.augmentation);
      EXPECT_TRUE(at::equal(got->images, want.images)) << threads << " threads, step " << step;
      EXPECT_TRUE(at::equal(got->labels, want.labels));
    }
    EXPECT_FALSE(ahead.Next());
  }
}

TEST_F(TileBatchesTest, RefuseAPlanWithoutTheirClassesAndPositionsThatAreNotThere) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the class 'b', which the plan does not have", (void)Batches({0}, {"a"}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must ascend", (void)Batches({1, 1}, {"a", "b"}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must ascend", (void)Batches({11}, {"a", "b"}));
}

}  // namespace
}  // namespace hemafed::learning
