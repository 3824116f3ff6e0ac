// SPDX-License-Identifier: Apache-2.0
//
// Score histograms and their file: docs/score_histograms.md.
#include "codec/score_histograms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "codec/plan.h"
#include "codec/plane_frame.h"
#include "tests/codec/score_samples.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/fuzz/memory_file.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::MatrixOf;
using testing_support::MemoryFile;
using testing_support::SamplePictures;
using testing_support::ScoredPicture;
using testing_support::TallyOf;

const Path kFile = "/s.hfh";
const Path kSamples = Path(HEMAFED_SOURCE_DIR) / "tests" / "data" / "score_histograms";

// A fifth and a seventh of the pictures of class 1 and 2 are left out, so that classes differ in size.
std::vector<ScoredPicture> UnevenPictures(std::size_t known = 5) {
  std::vector<ScoredPicture> pictures;
  for (std::size_t i = 0; const ScoredPicture& picture : SamplePictures(5, known, 200)) {
    if (!(picture.truth == 1 && i % 4 == 1) && !(picture.truth == 2 && i % 10 != 2)) pictures.push_back(picture);
    ++i;
  }
  return pictures;
}

ScoreHistograms SampleHistograms() {
  const auto pictures = SamplePictures(5, 5, 200);
  ClassSet all(5);
  std::iota(all.begin(), all.end(), 0u);
  const auto report = EvaluationReport::Of(MatrixOf(5, pictures), 10, {all});
  return ScoreHistograms::Of(TallyOf(5, pictures), report, 10);
}

TEST(ScoreHistograms, CountThePicturesOfTheirDefinition) {
  const auto pictures = UnevenPictures(4);  // Class 4 is not known to the model.
  const std::vector<ClassSet> pools = {{0, 2}, {1, 3, 4}};
  const auto report = EvaluationReport::Of(MatrixOf(5, pictures), 10, pools);
  const auto histograms = ScoreHistograms::Of(TallyOf(5, pictures), report, 10);
  for (const ClassSet& pool : pools) {
    for (const std::uint32_t label : pool) {
      ASSERT_TRUE(histograms.At(label)) << label;
      ClassHistogram want;
      for (const ScoredPicture& picture : pictures) {
        if (std::find(pool.begin(), pool.end(), picture.truth) == pool.end()) continue;
        const double score = label < 4 ? picture.scores[label] : 0.0;
        const auto bin = std::min<std::size_t>(1023, static_cast<std::size_t>(std::floor(1024 * score)));
        ++(picture.truth == label ? want.positives : want.negatives)[bin];
      }
      EXPECT_EQ(*histograms.At(label), want) << label;
    }
  }
  EXPECT_EQ(histograms.WhyNotOf(report, 10), std::nullopt);
  EXPECT_EQ(histograms.At(4)->AucMillionths(), 500'000u) << "every picture has the score 0";
}

TEST(ScoreHistograms, TheLastBinHoldsTheScoreOne) {
  ScoreTally tally(2);
  tally.Add(0, std::vector{1.0, 0.0});
  tally.Add(1, std::vector{1023.0 / 1024, 1.0 / 1024});
  tally.Add(1, std::vector{std::nextafter(1023.0 / 1024, 0), 0.0});
  EXPECT_EQ(tally.Of(0, 0)[1023], 1u);
  EXPECT_EQ(tally.Of(1, 0)[1023], 1u);
  EXPECT_EQ(tally.Of(1, 0)[1022], 1u);
  EXPECT_EQ(tally.Of(1, 1)[1], 1u);
  for (const double bad : {-0.001, 1.001, std::nan("")}) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, "not between 0 and 1", tally.Add(0, std::vector{bad}));
  }
  EXPECT_ERROR(ErrorCode::kInternal, "class 2", tally.Add(2, std::vector{0.5}));
  EXPECT_ERROR(ErrorCode::kInternal, "3 scores", tally.Add(0, std::vector{0.1, 0.1, 0.8}));
}

TEST(ScoreHistograms, WithholdClassesBelowTheLimitAndWhatSubtractionWouldShow) {
  // 40 of class 0, 12 of class 1, 3 of class 2: class 2 is withheld altogether, so it may be in nobody's negatives.
  std::vector<ScoredPicture> pictures;
  for (const ScoredPicture& picture : SamplePictures(3, 3, 120)) {
    const auto so_far = std::count_if(pictures.begin(), pictures.end(),
                                      [&](const ScoredPicture& other) { return other.truth == picture.truth; });
    if (so_far < (picture.truth == 0 ? 40 : picture.truth == 1 ? 12 : 3)) pictures.push_back(picture);
  }
  const auto report = EvaluationReport::Of(MatrixOf(3, pictures), 10, {{0, 1, 2}});
  ASSERT_FALSE(report.pools()[0]);
  const auto histograms = ScoreHistograms::Of(TallyOf(3, pictures), report, 10);
  ASSERT_TRUE(histograms.At(0) && histograms.At(1));
  EXPECT_FALSE(histograms.At(2));
  EXPECT_EQ(histograms.At(0)->Positives(), 40u);
  EXPECT_EQ(histograms.At(0)->Negatives(), 12u);
  // With n_min 13 class 1 may be shown in neither role, and class 0 has no negatives left.
  const auto strict = EvaluationReport::Of(MatrixOf(3, pictures), 16, {{0, 1, 2}});
  EXPECT_TRUE(ScoreHistograms::Of(TallyOf(3, pictures), strict, 16).Empty());
  EXPECT_TRUE(strict.ScoredClasses(16).empty());
  // Pooled small classes are shown by the report, so they are negatives; they have no histograms of their own.
  const auto pooled = EvaluationReport::Of(MatrixOf(3, pictures), 13, {{0, 1, 2}});
  ASSERT_TRUE(pooled.pools()[0]);
  const auto of_pooled = ScoreHistograms::Of(TallyOf(3, pictures), pooled, 13);
  EXPECT_EQ(pooled.ScoredClasses(13), ClassSet{0});
  EXPECT_EQ(of_pooled.At(0)->Negatives(), 15u);
  EXPECT_FALSE(of_pooled.At(1) || of_pooled.At(2));
}

TEST(ScoreHistograms, AreaIsTheShareOfPairsInOrder) {
  const ScoreHistograms histograms = SampleHistograms();
  for (std::size_t k = 0; k < 5; ++k) {
    const ClassHistogram& h = *histograms.At(k);
    double in_order = 0;
    for (std::size_t p = 0; p < kHistogramBins; ++p) {
      for (std::size_t n = 0; n < kHistogramBins; ++n) {
        in_order += static_cast<double>(h.positives[p]) * h.negatives[n] * (p > n ? 1.0 : p == n ? 0.5 : 0.0);
      }
    }
    const double area = in_order / static_cast<double>(h.Positives() * h.Negatives());
    EXPECT_GT(area, 0.6);
    EXPECT_NEAR(static_cast<double>(*h.AucMillionths()), area * 1e6, 0.51);
  }
}

// Share of positives where a share `x` of the negatives is taken, on the straight lines between all thresholds.
double SlowRoc(const ClassHistogram& h, double x) {
  const auto all_positives = static_cast<double>(h.Positives()), all_negatives = static_cast<double>(h.Negatives());
  double from_x = 0, from_y = 0, best = 0;
  for (std::size_t bin = kHistogramBins; bin-- > 0;) {
    const double to_x = from_x + h.negatives[bin] / all_negatives, to_y = from_y + h.positives[bin] / all_positives;
    if (x >= to_x - 1e-12) best = to_y;
    if (x > from_x && x < to_x) best = std::max(best, from_y + (to_y - from_y) * (x - from_x) / (to_x - from_x));
    from_x = to_x;
    from_y = to_y;
  }
  return best;
}

TEST(ScoreHistograms, CurveIsThatOfAllThresholds) {
  const ScoreHistograms histograms = SampleHistograms();
  for (std::size_t k = 0; k < 5; ++k) {
    const ClassHistogram& h = *histograms.At(k);
    const auto curve = h.RocMillionths(101);
    ASSERT_EQ(curve.size(), 101u);
    EXPECT_EQ(curve.back(), 1'000'000u);
    EXPECT_TRUE(std::is_sorted(curve.begin(), curve.end()));
    for (std::size_t i = 0; i < curve.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(curve[i]), SlowRoc(h, static_cast<double>(i) / 100) * 1e6, 0.51) << i;
    }
    // With a point at every negative the trapezes hold the area.
    const auto fine = h.RocMillionths(h.Negatives() + 1);
    double area = 0;
    for (std::size_t i = 1; i < fine.size(); ++i) area += static_cast<double>(fine[i - 1] + fine[i]) / 2;
    EXPECT_GE(area / static_cast<double>(h.Negatives()), static_cast<double>(*h.AucMillionths()) - 1);
  }
}

TEST(ScoreHistograms, CurveOfFewPicturesByHand) {
  ClassHistogram h;
  EXPECT_TRUE(h.RocMillionths(5).empty());
  h.positives[900] = 1;
  h.positives[500] = 2;
  h.negatives[500] = 1;
  h.negatives[100] = 3;
  // (0, 1/3) upright, then straight to (1/4, 1) in the shared bin, then level.
  EXPECT_EQ(h.RocMillionths(9), (std::vector<std::uint64_t>{333'333, 666'667, 1'000'000, 1'000'000, 1'000'000,
                                                            1'000'000, 1'000'000, 1'000'000, 1'000'000}));
  EXPECT_ERROR(ErrorCode::kInternal, "two points", std::ignore = h.RocMillionths(1));
}

TEST(ScoreHistograms, AreaRoundsHalfToEvenAndNeedsBothKinds) {
  ClassHistogram h;
  EXPECT_EQ(h.AucMillionths(), std::nullopt);
  h.positives[7] = 1;
  EXPECT_EQ(h.AucMillionths(), std::nullopt);
  // One positive above a of 2^7 * 10^6 negatives... of 64 * 10^6 / 2 pairs: exactly half a millionth.
  h.negatives[0] = 1;
  h.negatives[9] = 1'999'999;
  EXPECT_EQ(h.AucMillionths(), 0u) << "1 / 2,000,000 is a tie, and 0 is even";
  h.negatives[0] = 3;
  h.negatives[9] = 1'999'997;
  EXPECT_EQ(h.AucMillionths(), 2u) << "3 / 2,000,000 is a tie, and 2 is even";
  h.positives[7] = h.negatives[0] = h.negatives[9] = 0;
  h.positives[5] = 10'000'000;
  h.negatives[5] = 10'000'000;
  EXPECT_EQ(h.AucMillionths(), 500'000u);
}

TEST(ScoreHistograms, AnotherReportThanTheirOwnIsNoticed) {
  const auto pictures = UnevenPictures();
  const std::vector<ClassSet> pools = {{0, 1, 2, 3, 4}};
  const auto tally = TallyOf(5, pictures);
  const auto report = EvaluationReport::Of(MatrixOf(5, pictures), 10, pools);
  const auto histograms = ScoreHistograms::Of(tally, report, 10);
  EXPECT_EQ(histograms.WhyNotOf(report, 10), std::nullopt);
  auto fewer = pictures;
  fewer.pop_back();
  const auto other = EvaluationReport::Of(MatrixOf(5, fewer), 10, pools);
  EXPECT_NE(histograms.WhyNotOf(other, 10).value_or("").find("the confusion matrix has"), std::string::npos);
  EXPECT_NE(histograms.WhyNotOf(EvaluationReport::Of(MatrixOf(5, pictures), 10, {{0, 1, 2, 3}}), 10).value_or(""), "");
  EXPECT_NE(histograms.WhyNotOf(report, 30).value_or("").find("fewer pictures than may be shown"), std::string::npos);
  EXPECT_NE(ScoreHistograms(5).WhyNotOf(report, 10).value_or("").find("missing"), std::string::npos);
  EXPECT_NE(ScoreHistograms(4).WhyNotOf(report, 10).value_or("").find("number of classes"), std::string::npos);
}

TEST(ScoreHistogramsFile, IsReadAsItWasWrittenInBothForms) {
  FaultFileSystem files;
  for (const std::size_t classes : {std::size_t{2}, std::size_t{5}, kMaxClasses}) {
    const auto pictures = SamplePictures(classes, classes, classes * 12);
    ClassSet all(classes);
    std::iota(all.begin(), all.end(), 0u);
    const auto report = EvaluationReport::Of(MatrixOf(classes, pictures), 10, {all});
    const auto histograms = ScoreHistograms::Of(TallyOf(classes, pictures), report, 10);
    const ScoresFile info = WriteScoreHistograms(files, kFile, histograms);
    const auto file = files.OpenForRead(kFile);
    EXPECT_EQ(info.file_bytes, file->Size());
    EXPECT_LE(info.file_bytes, MaxScoreHistogramsFileBytes(classes));
    EXPECT_EQ(info.values, histograms.Hash());
    EXPECT_EQ(ReadScoreHistograms(*file, classes), histograms);
    const Bytes canonical = histograms.Canonical();
    EXPECT_LE(canonical.size(), MaxCanonicalScoresBytes(classes));
    EXPECT_EQ(ReadCanonicalScores(MemoryFile(canonical), classes), histograms);
    EXPECT_EQ(ScoresFile::FromJson({info.ToJson(), "scores"}), info);
  }
}

TEST(ScoreHistogramsFile, FiveClassesTakeAFewKilobytes) {
  FaultFileSystem files;
  const ScoresFile info = WriteScoreHistograms(files, kFile, SampleHistograms());
  EXPECT_EQ(SampleHistograms().Canonical().size(), 20u + 5 * 8192);
  EXPECT_LT(info.file_bytes, 4096u);
}

Bytes FileBytes(const Path& path) { return ToBytes(ReadFile(RealFileSystem(), path, 1 << 20)); }

TEST(ScoreHistogramsFile, OldSamplesAreReadAsTheirDigestsSay) {
  const Bytes worked = FileBytes(kSamples / "v1_worked.hfh"), sample = FileBytes(kSamples / "v1.hfh");
  const ScoreHistograms two = ReadScoreHistograms(MemoryFile(worked), 2);
  EXPECT_EQ(two.Hash().Hex(), "557353c893257c8b5473277af10d6c6b60a8a622312017e009912f0340e36357");
  EXPECT_EQ(two.At(0)->positives[768], 1u);
  EXPECT_EQ(two.At(0)->positives[512], 1u);
  EXPECT_EQ(two.At(0)->negatives[256], 1u);
  EXPECT_EQ(two.At(0)->AucMillionths(), 1'000'000u);
  const ScoreHistograms five = ReadScoreHistograms(MemoryFile(sample), 5);
  EXPECT_EQ(five.Hash().Hex(), "1bd5403d5183c22614f5467cdfa40d37bb23828fa00f060cf5eceaaaebcd7d54");
  EXPECT_EQ(five, SampleHistograms());
}

// The header of SampleHistograms' file and the values that follow it, to be spoilt.
struct Parts {
  Bytes header;
  std::vector<std::int32_t> values;

  [[nodiscard]] Bytes File() const {
    Bytes file = header;
    PlaneFrameWriter frames("test");
    const ByteView block = frames.Encode<std::int32_t>(values);
    file.insert(file.end(), block.begin(), block.end());
    return file;
  }
  [[nodiscard]] Bytes Canonical() const {
    Bytes bytes = header;
    for (const std::int32_t value : values) {
      bytes.resize(bytes.size() + 4);
      StoreLittleEndian(value, &bytes[bytes.size() - 4]);
    }
    return bytes;
  }
};

Parts GoodParts() {
  const Bytes canonical = SampleHistograms().Canonical();
  Parts parts{.header = {canonical.begin(), canonical.begin() + 20}, .values = {}};
  for (std::size_t at = 20; at < canonical.size(); at += 4) {
    parts.values.push_back(LoadLittleEndian<std::int32_t>(&canonical[at]));
  }
  return parts;
}

struct BadFile {
  const char* name;
  const char* problem;
  void (*spoil)(Parts&);
};

class ScoreHistogramsFileRefuses : public testing::TestWithParam<BadFile> {};

TEST_P(ScoreHistogramsFileRefuses, BothForms) {
  Parts parts = GoodParts();
  EXPECT_EQ(ReadScoreHistograms(MemoryFile(parts.File()), 5), SampleHistograms());
  GetParam().spoil(parts);
  const Bytes file = parts.File(), canonical = parts.Canonical();
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().problem, (void)ReadScoreHistograms(MemoryFile(file), 5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().problem, (void)ReadCanonicalScores(MemoryFile(canonical), 5));
}

INSTANTIATE_TEST_SUITE_P(Table, ScoreHistogramsFileRefuses,
                         testing::ValuesIn(std::vector<BadFile>{
                             {"OtherMagic", "does not begin as version 1", [](Parts& p) { p.header[0] = 'X'; }},
                             {"OtherVersion", "does not begin as version 1", [](Parts& p) { p.header[4] = 2; }},
                             {"OtherBins", "with 1024 bins", [](Parts& p) { p.header[7] = 2; }},
                             {"OtherClasses", "of 5 classes", [](Parts& p) { p.header[8] = 6; }},
                             {"UnknownClassShown", "that the plan does not have",
                              [](Parts& p) { p.header[12] = 0x2F; }},
                             {"NothingShown", "no class is shown",
                              [](Parts& p) {
                                p.header[12] = 0;
                                p.values.resize(1);
                              }},
                             {"NegativeCount", "class 0 has a count below zero", [](Parts& p) { p.values[3] = -1; }},
                             {"TooManyPictures", "class 4 counts more than 10000000 pictures",
                              [](Parts& p) { p.values[4 * 2048 + 1024] = 10'000'001; }},
                         }),
                         [](const auto& row) { return row.param.name; });

TEST(ScoreHistogramsFile, EveryCutAndEveryTailIsRefused) {
  Parts parts = GoodParts();
  Bytes file = parts.File();
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_THROW((void)ReadScoreHistograms(MemoryFile(ByteView(file).first(length)), 5), Error) << length;
  }
  file.push_back(0);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "after its last block", (void)ReadScoreHistograms(MemoryFile(file), 5));
  Bytes canonical = parts.Canonical();
  canonical.pop_back();
  EXPECT_ERROR(ErrorCode::kInvalidInput, "length", (void)ReadCanonicalScores(MemoryFile(canonical), 5));
}

}  // namespace
}  // namespace hemafed
