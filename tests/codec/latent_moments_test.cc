// SPDX-License-Identifier: Apache-2.0
//
// Moments of latents and their file: docs/latent_moments.md.
#include "codec/latent_moments.h"

#include <gtest/gtest.h>

#include <cmath>

#include "codec/plan.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/fuzz/memory_file.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::MemoryFile;
using testing_support::SampleLatent;
using testing_support::SampleLatentSteps;
using testing_support::SampleMoments;

const Path kFile = "/m.hfl";

LatentMoments Read(const std::string& content, std::uint32_t width) {
  return ReadLatentMoments(MemoryFile(AsBytes(content)), width);
}

std::string Written(const LatentMoments& moments) { return std::string(AsText(moments.Canonical())); }

TEST(LatentMoments, AreTheSumsMeanAndCovarianceOfTheirDefinition) {
  constexpr std::uint32_t kWidth = 9, kCells = 70;
  const LatentMoments moments = SampleMoments(kWidth, 0, kCells);
  EXPECT_EQ(moments.cells(), kCells);
  for (std::uint32_t i = 0; i < kWidth; ++i) {
    long double mean_i = 0;
    for (std::uint32_t c = 0; c < kCells; ++c) mean_i += SampleLatent(c, kWidth)[i];
    mean_i /= kCells;
    EXPECT_NEAR(moments.Mean(i), static_cast<double>(mean_i), 1e-15);
    for (std::uint32_t j = 0; j < kWidth; ++j) {
      std::int64_t product = 0;
      long double mean_j = 0, covariance = 0;
      for (std::uint32_t c = 0; c < kCells; ++c) {
        product += std::int64_t{SampleLatentSteps(c, i)} * SampleLatentSteps(c, j);
        mean_j += SampleLatent(c, kWidth)[j];
      }
      mean_j /= kCells;
      for (std::uint32_t c = 0; c < kCells; ++c) {
        covariance += (SampleLatent(c, kWidth)[i] - mean_i) * (SampleLatent(c, kWidth)[j] - mean_j);
      }
      ASSERT_EQ(moments.Product(i, j), product);
      ASSERT_NEAR(moments.Covariance(i, j), static_cast<double>(covariance / (kCells - 1)), 1e-14) << i << " " << j;
    }
  }
}

// Digests from Python: the page's layout packed with struct, hashed with hashlib.
TEST(LatentMoments, HashTheirCanonicalForm) {
  EXPECT_EQ(SampleMoments(5, 0, 40).Hash().Hex(), "beea4331d34b0c73da97f730ea08261147fa6bf125bd7705e1413f9c16fe4616");
  EXPECT_EQ(SampleMoments(50, 0, 120).Hash().Hex(), "23f25a9299419b9200a75b4ad901e219120b8ab2566c59752cd786d0fcc0a3a1");
}

TEST(LatentMoments, RoundHalfToEvenOnTheirGrid) {
  LatentMoments moments(6);
  const float step = 0x1p-16f;
  moments.AddCell(std::vector<float>{0.5f * step, 1.5f * step, -2.5f * step, 2.51f * step, 1.0f, -1.0f});
  EXPECT_EQ(moments.Sum(0), 0);
  EXPECT_EQ(moments.Sum(1), 2);
  EXPECT_EQ(moments.Sum(2), -2);
  EXPECT_EQ(moments.Sum(3), 3);
  EXPECT_EQ(moments.Sum(4), kMaxLatentSteps);
  EXPECT_EQ(moments.Sum(5), -kMaxLatentSteps);
}

TEST(LatentMoments, DoNotDependOnBatchesOrTheOrderOfSites) {
  const LatentMoments whole = SampleMoments(20, 0, 90);
  RandomStream random(5);
  LatentMoments shuffled(20);
  for (const std::uint32_t c : Permutation(90, random)) shuffled.AddCell(SampleLatent(c, 20));
  EXPECT_EQ(shuffled, whole);
  LatentMoments merged = SampleMoments(20, 61, 90);
  merged.Add(SampleMoments(20, 0, 13));
  merged.Add(SampleMoments(20, 13, 61));
  EXPECT_EQ(merged, whole);
  EXPECT_EQ(merged.Hash(), whole.Hash());
}

TEST(LatentMoments, ForgetAWithdrawnSiteExactly) {
  LatentMoments moments = SampleMoments(20, 0, 90);
  moments.Subtract(SampleMoments(20, 40, 90));
  EXPECT_EQ(moments, SampleMoments(20, 0, 40));
  const LatentMoments before = moments;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "was never added", moments.Subtract(SampleMoments(20, 0, 60)));
  EXPECT_EQ(moments, before);
}

TEST(LatentMoments, StayExactAtTheLargestNumberOfCells) {
  LatentMoments moments(2);
  moments.AddCell(std::vector<float>{1.0f, -1.0f});
  for (int i = 0; i < 30; ++i) moments.Add(LatentMoments(moments));
  EXPECT_EQ(moments.cells(), kMaxMomentCells);
  EXPECT_EQ(moments.Product(0, 0), kMaxMomentCells * (std::int64_t{1} << 32));
  EXPECT_EQ(moments.Product(0, 1), -kMaxMomentCells * (std::int64_t{1} << 32));
  EXPECT_EQ(moments.Implausible(), std::nullopt);
  EXPECT_EQ(moments.Mean(1), -1.0);
  EXPECT_EQ(moments.Covariance(0, 1), 0.0);
  const LatentMoments before = moments;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be summed exactly", moments.Add(SampleMoments(2, 0, 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be summed exactly", moments.AddCell(SampleLatent(0, 2)));
  EXPECT_EQ(moments, before);
  static_assert(64 * kMaxPictures < kMaxMomentCells);
}

TEST(LatentMoments, RefuseWhatDoesNotFit) {
  LatentMoments moments(3);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a cell with 2 latent values where 3 are due",
               moments.AddCell(std::vector<float>{0.1f, 0.2f}));
  for (const float bad : {1.0001f, -1.5f, std::nanf(""), INFINITY}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "latent value 1 of a cell is not between -1 and 1",
                 moments.AddCell(std::vector<float>{0.1f, bad, 0.2f}));
  }
  EXPECT_EQ(moments, LatentMoments(3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", moments.Add(LatentMoments(4)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not fit", moments.Subtract(LatentMoments(2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not one of 1 to 1000", (void)LatentMoments(0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not one of 1 to 1000", (void)LatentMoments(1'001));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no cells have no mean", (void)moments.Mean(0));
  moments.AddCell(SampleLatent(0, 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "fewer than two cells", (void)moments.Covariance(0, 0));
}

TEST(LatentMoments, MayBeSentForEnoughCellsOnly) {
  EXPECT_TRUE(SampleMoments(3, 0, 10).MaySend(10));
  EXPECT_FALSE(SampleMoments(3, 0, 9).MaySend(10));
  EXPECT_FALSE(SampleMoments(3, 0, 1).MaySend(1));  // A covariance needs two.
  EXPECT_FALSE(SampleMoments(3, 0, 0).MaySend(0));
}

TEST(LatentMomentsFile, GivesBackWhatWasWrittenAndItsDigest) {
  for (const std::uint32_t width : {1u, 2u, 50u, 1'000u}) {
    FaultFileSystem files;
    const LatentMoments moments = SampleMoments(width, 0, 3);
    EXPECT_EQ(WriteLatentMoments(files, kFile, moments), moments.Hash());
    EXPECT_EQ(ReadLatentMoments(*files.OpenForRead(kFile), width), moments);
    EXPECT_EQ(files.Peek(kFile)->size(), LatentMomentsBytes(width));
    EXPECT_EQ(Sha256Of(*files.Peek(kFile)), moments.Hash());
  }
}

TEST(LatentMomentsFile, IsRefusedWhenCutAtAnyByteOrFollowedByOne) {
  const std::string content = Written(SampleMoments(3, 0, 20));
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "latent moments: the file ", (void)Read(content.substr(0, size), 3));
  }
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has 97 bytes where latents of 3 values take 96",
               (void)Read(content + "x", 3));
}

TEST(LatentMomentsFile, IsRefusedForAnotherWidthGridOrVersion) {
  const std::string content = Written(SampleMoments(3, 0, 20));
  const auto changed = [&](std::size_t at, char byte) {
    std::string copy = content;
    copy[at] = byte;
    return copy;
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "holds latents of 3 values, here they have 4", (void)Read(content, 4));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "does not begin as one", (void)Read(changed(2, 'S'), 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "has version 2", (void)Read(changed(4, 2), 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rounded to 2^-17", (void)Read(changed(6, 17), 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "bits that mean nothing", (void)Read(changed(7, 1), 3));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "bits that mean nothing", (void)Read(changed(12, 1), 3));
}

// The worked file with one of its six integers replaced: n, S0, S1, Q00, Q01, Q11.
TEST(LatentMomentsFile, RefusesMomentsThatNoCellsHave) {
  LatentMoments worked(2);
  worked.AddCell(std::vector<float>{1.0f, -0.5f});
  worked.AddCell(std::vector<float>{0.25f, 0.0f});
  const std::string good = Written(worked);
  ASSERT_EQ(Read(good, 2), worked);
  struct Change {
    std::size_t at;
    std::int64_t value;
    const char* words;
  };
  const std::int64_t one = kMaxLatentSteps;
  for (const Change& change :
       std::vector<Change>{{0, -1, "there are -1 cells"},
                           {0, kMaxMomentCells + 1, "there are 1073741825 cells"},
                           {0, INT64_MIN, "there are"},
                           {0, 0, "S[0] is 81920 for 0 cells"},
                           {0, 1, "S[0] is 81920 for 1 cells"},
                           {1, 2 * one + 2, "S[0] is 131074 for 2 cells"},
                           {1, INT64_MIN, "S[0] is"},
                           {2, -2 * one - 2, "S[1] is -131074"},
                           {3, -2, "Q[0, 0] is -2"},
                           {3, INT64_MIN, "Q[0, 0] is"},
                           {3, 2 * one * one + 2, "Q[0, 0] is 8589934594"},
                           {3, 81'920, "Q[0, 0] is 81920"},              // (sum f)^2 > n sum f^2
                           {3, 4'563'402'753, "Q[0, 0] is 4563402753"},  // f^2 and f differ in parity
                           {4, 2'213'609'300, "Q[0, 1] is larger"},
                           {4, INT64_MIN, "Q[0, 1] is larger"},
                           {5, 0, "Q[1, 1] is 0"}}) {
    std::string bytes = good;
    StoreLittleEndian(change.value, reinterpret_cast<std::uint8_t*>(bytes.data()) + 16 + 8 * change.at);
    EXPECT_ERROR(ErrorCode::kInvalidInput, change.words, (void)Read(bytes, 2));
  }
}

TEST(LatentMomentsFile, ReportsEveryFailureOfTheDisk) {
  const LatentMoments moments = SampleMoments(12, 0, 20);
  for (std::uint64_t n = 1;; ++n) {
    FaultFileSystem files;
    files.FailCall(n, ErrorCode::kNoSpace);
    bool refused = false;
    try {
      (void)WriteLatentMoments(files, kFile, moments);
      (void)ReadLatentMoments(*files.OpenForRead(kFile), 12);
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kNoSpace);
    }
    EXPECT_EQ(refused, files.failed());
    if (!files.failed()) break;
  }
}

// tests/data/latent_moments/README.md says how the samples were made.
TEST(LatentMomentsFile, ReadsTheSamplesOfVersionOne) {
  const Path folder = Path(HEMAFED_SOURCE_DIR) / "tests/data/latent_moments";
  const LatentMoments worked = ReadLatentMoments(*RealFileSystem().OpenForRead(folder / "v1_worked.hfl"), 2);
  EXPECT_EQ(worked.Hash().Hex(), "b5d8fb4ad686492ae328ff930a437f7448b6b0dc0811792cbdda7faf3ea3d8de");
  EXPECT_EQ(worked.cells(), 2);
  EXPECT_EQ(worked.Mean(0), 0.625);
  EXPECT_EQ(worked.Covariance(0, 0), 0.28125);
  EXPECT_EQ(worked.Covariance(1, 0), -0.1875);
  EXPECT_EQ(ReadLatentMoments(*RealFileSystem().OpenForRead(folder / "v1.hfl"), 5), SampleMoments(5, 0, 40));
}

}  // namespace
}  // namespace hemafed
