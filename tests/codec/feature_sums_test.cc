// SPDX-License-Identifier: Apache-2.0
//
// Sums of the analytic head and their file: docs/feature_sums.md.
#include "codec/feature_sums.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cmath>

#include "codec/plan.h"
#include "codec/plane_frame.h"
#include "common/random.h"
#include "tests/codec/feature_samples.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/fuzz/memory_file.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::MemoryFile;
using testing_support::SampleFeatures;
using testing_support::SampleSums;

const Path kFile = "/s.hfs";

TEST(FeatureRounding, RoundsHalfToEvenOnItsGridAndCountsWhatItClamps) {
  const double step = 0x1p-10;
  const std::vector<double> features = {0.0,           step, 0.5 * step, 1.5 * step,  2.5 * step, 2.51 * step,
                                        63.9990234375, 64.0, 1e9,        -0.4 * step, -step};
  std::vector<std::uint16_t> rounded(features.size());
  EXPECT_EQ(RoundFeatures(features, rounded), 3u);
  EXPECT_EQ(rounded, (std::vector<std::uint16_t>{0, 1, 0, 2, 2, 3, 65'535, 65'535, 65'535, 0, 0}));
  const std::vector<double> broken = {1.0, std::nan("")};
  rounded.resize(2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "feature 1 is no finite number", (void)RoundFeatures(broken, rounded));
}

TEST(FeatureSums, AreTheSumsOfTheirDefinition) {
  constexpr std::uint32_t kFeatures = 19, kClasses = 3, kPictures = 300;  // More than two batches of the builder.
  const FeatureSums sums = SampleSums(kFeatures, kClasses, 0, kPictures);
  for (std::uint32_t i = 0; i < kFeatures; ++i) {
    for (std::uint32_t j = 0; j < kFeatures; ++j) {
      std::int64_t want = 0;
      for (std::uint32_t p = 0; p < kPictures; ++p) {
        want += std::int64_t{SampleFeatures(p, kFeatures)[i]} * SampleFeatures(p, kFeatures)[j];
      }
      ASSERT_EQ(sums.Moment(i, j), want) << i << " " << j;
    }
    for (std::uint32_t k = 0; k < kClasses; ++k) {
      std::int64_t want = 0;
      for (std::uint32_t p = k; p < kPictures; p += kClasses) want += SampleFeatures(p, kFeatures)[i];
      ASSERT_EQ(sums.Target(i, k), want);
    }
  }
  for (std::uint32_t k = 0; k < kClasses; ++k) EXPECT_EQ(sums.Pictures(k), 100);
  EXPECT_EQ(sums.TotalPictures(), 300);
  EXPECT_EQ(sums.Implausible(), std::nullopt);
}

// Digest from Python: the header's bytes and the sums in integers (hashlib, struct).
TEST(FeatureSums, HashTheirCanonicalForm) {
  EXPECT_EQ(SampleSums(37, 4, 0, 50).Hash().Hex(), "692494bc6d58c24943e8168f7cb20e4ab3e2c9fee0f6474ad308072340768fa9");
  EXPECT_EQ(SampleSums(300, 7, 0, 200).Hash().Hex(),
            "06c98243e7104ecbf553f242b61c55e17cbdc69f723d6aa48a1821c90521c81e");
}

TEST(FeatureSums, DoNotDependOnTheOrderOfPicturesOrSites) {
  const FeatureSums whole = SampleSums(20, 3, 0, 200);
  RandomStream random(5);
  FeatureSumsBuilder builder(20, 3);
  for (const std::uint32_t p : Permutation(200, random)) builder.Add(SampleFeatures(p, 20), p % 3);
  EXPECT_EQ(builder.Finish(), whole);
  FeatureSums backwards = SampleSums(20, 3, 90, 200);
  backwards.Add(SampleSums(20, 3, 0, 90));
  EXPECT_EQ(backwards, whole);
  EXPECT_EQ(backwards.Hash(), whole.Hash());
}

TEST(FeatureSums, ForgetAWithdrawnSiteExactly) {
  FeatureSums sums = SampleSums(20, 3, 0, 200);
  sums.Subtract(SampleSums(20, 3, 90, 200));
  EXPECT_EQ(sums, SampleSums(20, 3, 0, 90));
  const FeatureSums before = sums;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "was never added", sums.Subtract(SampleSums(20, 3, 0, 120)));
  EXPECT_EQ(sums, before);
}

TEST(FeatureSums, StayExactAtTheLargestNumberOfPictures) {
  FeatureSumsBuilder builder(1, 1);
  builder.Add(std::vector<std::uint16_t>{65'535}, 0);
  FeatureSums sums = builder.Finish();
  for (int i = 0; i < 30; ++i) sums.Add(FeatureSums(sums));
  EXPECT_EQ(sums.Moment(0, 0), (std::int64_t{1} << 30) * 65'535 * 65'535);
  EXPECT_EQ(sums.Implausible(), std::nullopt);
  const FeatureSums before = sums;
  FeatureSumsBuilder one(1, 1);
  one.Add(std::vector<std::uint16_t>{0}, 0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be summed exactly", sums.Add(one.Finish()));
  EXPECT_EQ(sums, before);
  static_assert(kMaxTasks * kMaxPictures < kMaxSummedPictures);
}

TEST(FeatureSums, RefuseWhatDoesNotFit) {
  FeatureSumsBuilder builder(4, 2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 2 with 4 features", builder.Add(SampleFeatures(0, 4), 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "class 0 with 5 features", builder.Add(SampleFeatures(0, 5), 0));
  FeatureSums sums(4, 2);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", sums.Add(FeatureSums(4, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", sums.Subtract(FeatureSums(5, 2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "are not 1 to 2048 and 1 to 64", (void)FeatureSums(2049, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "are not 1 to 2048 and 1 to 64", (void)FeatureSums(2, 65));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "are not 1 to 2048 and 1 to 64", (void)FeatureSums(0, 1));
}

TEST(FeatureSums, MaySendOnlyClassesWithEnoughPictures) {
  FeatureSumsBuilder builder(3, 3);
  for (std::uint32_t p = 0; p < 12; ++p) builder.Add(SampleFeatures(p, 3), 0);
  for (std::uint32_t p = 0; p < 9; ++p) builder.Add(SampleFeatures(p, 3), 1);
  const FeatureSums sums = builder.Finish();
  EXPECT_TRUE(sums.MaySend(9));
  EXPECT_FALSE(sums.MaySend(10));
  EXPECT_TRUE(SampleSums(3, 3, 0, 0).MaySend(10));
}

std::string Written(const FeatureSums& sums, FeatureSumsFileInfo* info = nullptr) {
  FaultFileSystem files;
  const FeatureSumsFileInfo got = WriteFeatureSums(files, kFile, sums);
  if (info != nullptr) *info = got;
  return *files.Peek(kFile);
}

FeatureSums Read(const std::string& content, std::uint32_t features, std::uint32_t classes) {
  return ReadFeatureSums(MemoryFile(AsBytes(content)), features, classes);
}

TEST(FeatureSumsFile, GivesBackWhatWasWrittenAndItsDigests) {
  for (const auto& [features, classes] : {std::pair{1u, 1u}, {2u, 5u}, {355u, 7u}, {400u, 3u}}) {
    const FeatureSums sums = SampleSums(features, classes, 0, 40);
    FeatureSumsFileInfo info;
    const std::string content = Written(sums, &info);
    EXPECT_EQ(Read(content, features, classes), sums);
    EXPECT_EQ(info.sums, sums.Hash());
    EXPECT_EQ(info.file, Sha256Of(content));
    EXPECT_EQ(info.file_bytes, content.size());
    EXPECT_LE(content.size(), MaxFeatureSumsFileBytes(features, classes));
  }
}

TEST(FeatureSumsFile, IsRefusedWhenCutAtAnyByteOrFollowedByOne) {
  const std::string content = Written(SampleSums(5, 2, 0, 20));
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "feature sums file: ", (void)Read(content.substr(0, size), 5, 2));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 bytes after its last block", (void)Read(content + "x", 5, 2));
}

TEST(FeatureSumsFile, NeverGivesOtherSumsForAFlippedBit) {
  const FeatureSums sums = SampleSums(5, 2, 0, 20);
  const std::string content = Written(sums);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    try {
      EXPECT_EQ(Read(damaged, 5, 2), sums) << "bit " << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    }
  }
}

TEST(FeatureSumsFile, IsRefusedForAnotherShapeGridOrVersion) {
  const std::string content = Written(SampleSums(5, 2, 0, 20));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "holds 5 features and 2 classes, the plan has 6 and 2",
               (void)Read(content, 6, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the plan has 5 and 3", (void)Read(content, 5, 3));
  const auto changed = [&](std::size_t at, char byte) {
    std::string copy = content;
    copy[at] = byte;
    return copy;
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not begin as one", (void)Read(changed(2, 'U'), 5, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has version 2", (void)Read(changed(4, 2), 5, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rounded to 2^-11", (void)Read(changed(6, 11), 5, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "bits that mean nothing", (void)Read(changed(7, 1), 5, 2));
}

// A file of M = 2, K = 2 with these nine values: G00 G01 G11, C00 C01 C10 C11, n0 n1.
std::string WithValues(const std::vector<std::int64_t>& values) {
  std::string content = Written(SampleSums(2, 2, 0, 20)).substr(0, 16);
  PlaneFrameWriter frames("test");
  content += AsText(frames.Encode<std::int64_t>(values));
  return content;
}

TEST(FeatureSumsFile, RefusesSumsThatNoPicturesHave) {
  // Pictures (1, 0) of class 0 and (2, 1) of class 1.
  const std::vector<std::int64_t> good = {5, 2, 1, 1, 2, 0, 1, 1, 1};
  EXPECT_EQ(Read(WithValues(good), 2, 2).Moment(1, 0), 2);
  struct Change {
    std::size_t at;
    std::int64_t value;
    const char* words;
  };
  for (const Change& change : std::vector<Change>{{0, 2, "G[0, 0] is 2 for features that sum to 3"},
                                                  {0, 3 * 65'535 + 1, "G[0, 0] is"},
                                                  {0, 4, "G[0, 0] is 4"},  // 3^2 > 2 * 4.
                                                  {0, -5, "G[0, 0] is -5"},
                                                  {1, 3, "G[0, 1] is 3, more than its diagonal allows"},
                                                  {1, -1, "G[0, 1] is -1"},
                                                  {1, INT64_MAX, "G[0, 1] is"},
                                                  {2, 0, "G[1, 1] is 0"},
                                                  {3, -1, "C[0, 0] is -1 for 1 pictures"},
                                                  {3, 65'536, "C[0, 0] is 65536 for 1 pictures"},
                                                  {7, 0, "C[0, 0] is 1 for 0 pictures"},
                                                  {7, -1, "class 0 has -1 pictures"},
                                                  {8, std::int64_t{1} << 30, "class 1 has 1073741824 pictures"},
                                                  {8, INT64_MIN, "class 1 has"}}) {
    std::vector<std::int64_t> values = good;
    values[change.at] = change.value;
    EXPECT_ERROR(ErrorCode::kInvalidInput, change.words, (void)Read(WithValues(values), 2, 2));
  }
}

TEST(FeatureSumsFile, RefusesABlockOfAnotherSize) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "wrong number of values in block 0",
               (void)Read(WithValues({5, 2, 1, 1, 2, 0, 1, 1}), 2, 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be decompressed in block 0",
               (void)Read(WithValues(std::vector<std::int64_t>(10)), 2, 2));
}

TEST(FeatureSumsFile, ReportsEveryFailureOfTheDisk) {
  const FeatureSums sums = SampleSums(400, 3, 0, 10);
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.FailCall(n, ErrorCode::kNoSpace);
    bool refused = false;
    try {
      (void)WriteFeatureSums(files, kFile, sums);
      (void)ReadFeatureSums(*files.OpenForRead(kFile), 400, 3);
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
    }
    EXPECT_EQ(refused, files.failed());
    if (!files.failed()) break;
  }
}

TEST(CanonicalSums, TheFileHasTheDigestThatSitesSignAndIsReadBack) {
  FaultFileSystem files;
  const FeatureSums sums = SampleSums(37, 4, 0, 50);
  WriteCanonicalSums(files, kFile, sums);
  const std::string text = ReadFile(files, kFile, 1 << 20);
  EXPECT_EQ(Sha256Of(text), sums.Hash());
  EXPECT_EQ(ReadCanonicalSums(*files.OpenForRead(kFile), 37, 4), sums);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the plan has 37 and 5",
               (void)ReadCanonicalSums(*files.OpenForRead(kFile), 37, 5));
  for (const std::string& other : {text.substr(0, text.size() - 8), text + "12345678", text.substr(0, 15)}) {
    WriteFileAtomically(files, kFile, other);
    EXPECT_THROW((void)ReadCanonicalSums(*files.OpenForRead(kFile), 37, 4), Error) << other.size();
  }
  std::string implausible = text;
  implausible[16 + 7] = 1;  // G[0, 0] grows by 2^56.
  WriteFileAtomically(files, kFile, implausible);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot come from pictures",
               (void)ReadCanonicalSums(*files.OpenForRead(kFile), 37, 4));
}

// tests/data/feature_sums/README.md says how the samples were made. Digests from Python.
TEST(FeatureSumsFile, ReadsTheSamplesOfVersionOne) {
  const Path folder = Path(HEMAFED_SOURCE_DIR) / "tests/data/feature_sums";
  const FeatureSums worked = ReadFeatureSums(*RealFileSystem().OpenForRead(folder / "v1_worked.hfs"), 2, 2);
  EXPECT_EQ(worked.Hash().Hex(), "7fc64e25f0f0803c2fb5950950eaf20b4346ac6aec27ee2ed71674276f328ca7");
  EXPECT_EQ(worked.Moment(0, 0), 5);
  EXPECT_EQ(worked.Target(0, 1), 2);
  const FeatureSums sample = ReadFeatureSums(*RealFileSystem().OpenForRead(folder / "v1.hfs"), 37, 4);
  EXPECT_EQ(sample, SampleSums(37, 4, 0, 50));
}

}  // namespace
}  // namespace hemafed
