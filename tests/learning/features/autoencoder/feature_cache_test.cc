// SPDX-License-Identifier: Apache-2.0
//
// What the autoencoder is given: scaling, targets, the cache of cells and the order they are drawn in.
#include "learning/features/autoencoder/feature_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_inputs.h"
#include "learning/features/autoencoder/cell_batches.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/features/autoencoder/cell_samples.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::LargestDifference;
using testing_support::SampleFeatures;
using testing_support::SampleLabel;
using testing_support::SamplePictures;
using testing_support::WriteSampleCache;

const Path kFile = "/cells.hfc";
constexpr auto kValues = static_cast<std::size_t>(kCellFeatureValues);
constexpr auto kBytes = static_cast<std::size_t>(kCellPictureBytes);
constexpr std::size_t kRecord32 = 4 * kValues + kBytes;

TEST(ScaleFeatures, MapsEachCellsRangeToMinusOneAndOne) {
  const at::Tensor raw = SampleFeatures(3);
  const at::Tensor scaled = ScaleFeatures(raw);
  for (std::int64_t n = 0; n < 3; ++n) {
    EXPECT_EQ(scaled[n].min().item<float>(), -1.0f);
    EXPECT_EQ(scaled[n].max().item<float>(), 1.0f);
    const at::Tensor exact = raw[n].to(at::kDouble);
    const at::Tensor want = 2 * (exact - exact.min()) / (exact.max() - exact.min()) - 1;
    EXPECT_LT(LargestDifference(scaled[n], want), 1e-6);
  }
  // What one cell holds does not move another.
  at::Tensor other = raw.clone();
  other[0] *= 100;
  EXPECT_TRUE(at::equal(ScaleFeatures(other)[1], scaled[1]));
}

TEST(ScaleFeatures, RefusesConstantAndBrokenFeaturesByTheirPlaceInTheBatch) {
  for (const double value : {0.0, 3.5, -1.0}) {
    at::Tensor raw = SampleFeatures(3);
    raw[1].fill_(value);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "features of cell 1 of the batch are all the same",
                 (void)ScaleFeatures(raw));
  }
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    at::Tensor raw = SampleFeatures(3);
    raw[2][5][1][1] = value;
    EXPECT_ERROR(ErrorCode::kInvalidInput, "features of cell 2 of the batch", (void)ScaleFeatures(raw));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be [N, 256, 14, 14]", (void)ScaleFeatures(at::zeros({1, 256, 7, 7})));
}

TEST(WhyNotUsable, NamesWhatIsWrong) {
  std::vector<float> features(kValues);
  for (std::size_t i = 0; i < kValues; ++i) features[i] = static_cast<float>(i % 7);
  EXPECT_EQ(WhyNotUsable(features), std::nullopt);
  const auto why = [&](float value, std::size_t count) {
    std::vector<float> changed = features;
    std::fill_n(changed.begin(), count, value);
    return WhyNotUsable(changed).value_or("usable");
  };
  EXPECT_NE(why(0.0f, kValues).find("the detector saw nothing"), std::string::npos);
  EXPECT_NE(why(std::nanf(""), 1).find("not a finite number"), std::string::npos);
  EXPECT_NE(why(-INFINITY, 1).find("not a finite number"), std::string::npos);
  EXPECT_EQ(why(std::numeric_limits<float>::max(), 1), "usable");
  std::vector<float> far = features;
  far[0] = std::numeric_limits<float>::max();
  far[1] = std::numeric_limits<float>::lowest();
  EXPECT_NE(WhyNotUsable(far).value_or("").find("too far apart"), std::string::npos);
  EXPECT_NE(WhyNotUsable(std::span(features).first(10)).value_or("").find("10 feature values"), std::string::npos);
}

TEST(PictureTargets, AreBytesOver255InChannelOrder) {
  const at::Tensor bytes = SamplePictures(2);
  const at::Tensor targets = PictureTargets(bytes);
  EXPECT_EQ(targets.sizes(), (at::IntArrayRef{2, 3, 128, 128}));
  EXPECT_EQ(targets[1][2][5][9].item<float>(), bytes[1][5][9][2].item<float>() / 255.0f);
  EXPECT_LE(targets.max().item<float>(), 1.0f);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be bytes", (void)PictureTargets(targets));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must be bytes", (void)PictureTargets(bytes.narrow(1, 0, 127)));
}

TEST(FeatureCache, GivesBackEveryCell) {
  for (const FeatureStorage storage : {FeatureStorage::kFloat32, FeatureStorage::kFloat16}) {
    FaultFileSystem files;
    const Digest digest = WriteSampleCache(files, kFile, {3, 0, 3, 70}, storage);
    const FeatureCache cache = FeatureCache::Open(files, kFile);
    EXPECT_EQ(cache.size(), 4u);
    EXPECT_EQ(cache.digest(), digest);
    EXPECT_EQ(cache.storage(), storage);
    EXPECT_EQ(cache.domains(), (std::vector<std::uint32_t>{0, 3, 70}));
    const at::Tensor features = SampleFeatures(4), pictures = SamplePictures(4);
    const at::Tensor want = storage == FeatureStorage::kFloat32 ? features : features.to(at::kHalf).to(at::kFloat);
    for (std::uint32_t i = 0; i < 4; ++i) {
      at::Tensor got = at::empty({256, 14, 14});
      at::Tensor picture = at::empty({128, 128, 3}, at::kByte);
      cache.Read(i, {got.mutable_data_ptr<float>(), kValues}, {picture.mutable_data_ptr<std::uint8_t>(), kBytes});
      EXPECT_TRUE(at::equal(got, want[i]));
      EXPECT_TRUE(at::equal(picture, pictures[i]));
      EXPECT_EQ(cache.Label(i).picture, SampleLabel(i, 0).picture);
      EXPECT_EQ(cache.Label(i).cell_class, i % 3);
    }
    EXPECT_LT(LargestDifference(ScaleFeatures(want), ScaleFeatures(features)), 1e-3);
  }
}

TEST(FeatureCache, RefusesCellsThatCannotBeUsedAndWritesNothingOfThem) {
  FaultFileSystem files;
  FeatureCacheWriter writer(files, kFile, FeatureStorage::kFloat16);
  const at::Tensor good = SampleFeatures(1);
  const at::Tensor picture = SamplePictures(1);
  const auto append = [&](const at::Tensor& features, std::size_t bytes = kBytes) {
    writer.Append({features.const_data_ptr<float>(), static_cast<std::size_t>(features.numel())},
                  {picture.const_data_ptr<std::uint8_t>(), bytes}, SampleLabel(0, 1));
  };
  append(good);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cell 1 of /cells.hfc cannot be used: all feature values are 0",
               append(at::zeros_like(good)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "instead of 50176", append(good.flatten().narrow(0, 0, 100)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "49151 bytes instead of 49152", append(good, kBytes - 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit float16", append(good * 1e6));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit float16", append(good * 1e-3 + 1000));
  append(good);
  (void)writer.Finish();
  const FeatureCache cache = FeatureCache::Open(files, kFile);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_TRUE(at::equal(ReadCells(cache, std::vector<std::uint32_t>{0}, at::kCPU).features,
                        ReadCells(cache, std::vector<std::uint32_t>{1}, at::kCPU).features));
}

TEST(FeatureCache, AppearsOnlyWhenItIsWhole) {
  FaultFileSystem files;
  FeatureCacheWriter writer(files, kFile, FeatureStorage::kFloat32);
  EXPECT_FALSE(files.Exists(kFile));
  EXPECT_ERROR(ErrorCode::kNotFound, "cells.hfc", (void)FeatureCache::Open(files, kFile));
  (void)writer.Finish();
  EXPECT_EQ(FeatureCache::Open(files, kFile).size(), 0u);
}

TEST(FeatureCache, KeepsTheChosenCellsAndIsNamedByThem) {
  FaultFileSystem files;
  (void)WriteSampleCache(files, kFile, {0, 1, 2, 1});
  const FeatureCache all = FeatureCache::Open(files, kFile);
  FeatureCache some = FeatureCache::Open(files, kFile);
  some.KeepOnly(std::vector<std::uint32_t>{1, 2, 3});
  some.KeepOnly(std::vector<std::uint32_t>{0, 2});  // Cells 1 and 3 of the file.
  ASSERT_EQ(some.size(), 2u);
  EXPECT_EQ(some.domains(), std::vector<std::uint32_t>{1});
  for (const auto& [cell, of_all] : {std::pair{0u, 1u}, std::pair{1u, 3u}}) {
    EXPECT_EQ(some.Label(cell).picture, all.Label(of_all).picture);
    EXPECT_EQ(some.RecordDigest(cell), all.RecordDigest(of_all));
    EXPECT_TRUE(at::equal(ReadCells(some, std::vector<std::uint32_t>{cell}, at::kCPU).features,
                          ReadCells(all, std::vector<std::uint32_t>{of_all}, at::kCPU).features));
  }
  EXPECT_NE(some.digest(), all.digest());
  FeatureCache same = FeatureCache::Open(files, kFile);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "must ascend", same.KeepOnly(std::vector<std::uint32_t>{2, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "stay below 4", same.KeepOnly(std::vector<std::uint32_t>{1, 4}));
  EXPECT_EQ(same.size(), 4u) << "as it was";
}

TEST(FeatureCache, IsRefusedForAnotherLengthOrHeader) {
  FaultFileSystem files;
  (void)WriteSampleCache(files, kFile, {0, 1});
  const std::string good = *files.Peek(kFile);
  const auto open = [&](const std::string& content) {
    WriteFileAtomically(files, kFile, content);
    return FeatureCache::Open(files, kFile);
  };
  EXPECT_EQ(open(good).size(), 2u);
  for (const std::size_t size : {std::size_t{0}, std::size_t{55}, std::size_t{56}, good.size() / 2, good.size() - 1}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "is no feature cache", (void)open(good.substr(0, size)));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "is no feature cache", (void)open(good + "x"));
  const auto changed = [&](std::size_t at, char byte) {
    std::string copy = good;
    copy[at] = byte;
    return copy;
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not begin as one", (void)open(changed(0, 'X')));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not begin as one", (void)open(changed(12, 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "values have 3 bytes", (void)open(changed(8, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has not the length", (void)open(changed(8, 2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has not the length", (void)open(changed(good.size() - 40, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has not the length", (void)open(changed(good.size() - 33, '\x7f')));
}

TEST(FeatureCache, NoticesEveryDamagedPart) {
  FaultFileSystem files;
  (void)WriteSampleCache(files, kFile, {0, 1});
  const std::string good = *files.Peek(kFile);
  const auto damaged = [&](std::size_t at) {
    std::string copy = good;
    copy[at] = static_cast<char>(copy[at] ^ 4);
    WriteFileAtomically(files, kFile, copy);
    return FeatureCache::Open(files, kFile);
  };
  // Index and digest: on opening.
  for (const std::size_t back : {1u, 32u, 41u, 48u, 80u, 140u, 184u}) {
    EXPECT_ERROR(ErrorCode::kCorrupt, "its index has another digest", (void)damaged(good.size() - back));
  }
  // A record: when it is read, and only that one.
  const FeatureCache cache = damaged(16 + kRecord32 + 77);
  EXPECT_NO_THROW((void)ReadCells(cache, std::vector<std::uint32_t>{0}, at::kCPU));
  EXPECT_ERROR(ErrorCode::kCorrupt, "cell 1 has another digest",
               (void)ReadCells(cache, std::vector<std::uint32_t>{1}, at::kCPU));
}

TEST(FeatureCache, ReportsEveryFailureOfTheDisk) {
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.FailCall(n, ErrorCode::kNoSpace);
    bool refused = false;
    try {
      (void)WriteSampleCache(files, kFile, {0, 1});
      const FeatureCache cache = FeatureCache::Open(files, kFile);
      (void)ReadCells(cache, std::vector<std::uint32_t>{0, 1}, at::kCPU);
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
    }
    EXPECT_EQ(refused, files.failed());
    if (!files.failed()) break;
  }
}

TEST(CellDraws, ShowEveryCellOnceAnEpochInAnOrderOfItsOwn) {
  CellDraws draws(9, 23, 5);
  EXPECT_EQ(draws.StepsPerEpoch(), 5u);
  std::vector<std::uint32_t> first;
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::uint32_t> order;
    for (std::uint64_t step = 0; step < 5; ++step) {
      const auto cells = draws.Cells(5 * epoch + step);
      EXPECT_EQ(cells.size(), step < 4 ? 5u : 3u);
      order.insert(order.end(), cells.begin(), cells.end());
    }
    EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 23u);
    EXPECT_NE(order, first);
    if (epoch == 0) first = order;
  }
  // Asked out of order, by another object: the same.
  CellDraws again(9, 23, 5);
  EXPECT_EQ(again.Cells(12), draws.Cells(12));
  EXPECT_EQ(again.Cells(0), std::vector<std::uint32_t>(first.begin(), first.begin() + 5));
  EXPECT_NE(CellDraws(10, 23, 5).Cells(0), again.Cells(0));
  EXPECT_EQ(CellDraws(9, 3, 1'500).Cells(1).size(), 3u);  // A batch larger than the set is the set.
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no cells", (void)CellDraws(9, 0, 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no cells", (void)CellDraws(9, 5, 0));
}

TEST(LatentsOf, EncodesAllCellsInTheirOrder) {
  FaultFileSystem files;
  (void)WriteSampleCache(files, kFile, {0, 1, 1});
  const FeatureCache cache = FeatureCache::Open(files, kFile);
  const CellAutoencoder model = InitialAutoencoder(6, 1);
  const at::Tensor latents = LatentsOf(model, cache, 2);
  EXPECT_EQ(latents.sizes(), (at::IntArrayRef{3, 6}));
  EXPECT_LT(LargestDifference(latents, model.Encode(ScaleFeatures(SampleFeatures(3)))), 1e-5);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no cells to encode", (void)LatentsOf(model, cache, 0));
}

}  // namespace
}  // namespace hemafed::learning
