// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "learning/data/import.h"
#include "learning/data/synthetic/contact_sheet.h"
#include "learning/data/synthetic/hospital_writer.h"
#include "learning/data/synthetic/optics.h"
#include "learning/data/synthetic/smear.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::learning::synthetic {
namespace {
using hemafed::testing_support::Scratch;

bool Same(const cv::Mat& a, const cv::Mat& b) { return a.size() == b.size() && cv::norm(a, b, cv::NORM_INF) == 0; }

TEST(Smear, IsAFunctionOfSeedHospitalClassAndIndex) {
  const HospitalProfile& matek = HospitalProfileNamed("matek-19");
  const cv::Mat once = DrawSmear(matek, 1, 4, 3);
  (void)DrawSmear(matek, 9, 2, 7);
  EXPECT_TRUE(Same(DrawSmear(matek, 1, 4, 3), once));
  EXPECT_FALSE(Same(DrawSmear(matek, 2, 4, 3), once));
  EXPECT_FALSE(Same(DrawSmear(matek, 1, 4, 4), once));
  EXPECT_FALSE(Same(DrawSmear(matek, 1, 0, 3), once));
  // The same words under another name: hospitals do not share cells.
  HospitalProfile renamed = matek;
  renamed.name = "other";
  EXPECT_FALSE(Same(DrawSmear(renamed, 1, 4, 3), once));
}

TEST(Smear, DoesNotDependOnOpenCvsThreads) {
  const HospitalProfile& profile = HospitalProfileNamed("int-20");
  const int threads = cv::getNumThreads();
  cv::setNumThreads(1);
  const cv::Mat one = DrawSmear(profile, 5, 1, 0);
  cv::setNumThreads(4);
  const cv::Mat four = DrawSmear(profile, 5, 1, 0);
  cv::setNumThreads(threads);
  EXPECT_TRUE(Same(one, four));
}

// What a person looks for, measured in the middle of many pictures.
struct Look {
  double dark = 0.0;    // share of the middle that is nucleus or dark granules: luma below 45 % of the field's
  double orange = 0.0;  // mean of R - B there, relative to the field's own
  double cell = 0.0;    // share of the middle that is clearly darker than the field
};

Look LookOf(const HospitalProfile& profile, std::size_t class_index) {
  constexpr std::uint32_t kPictures = 24;
  Look look;
  const double field_luma =
      0.299 * profile.background[0] + 0.587 * profile.background[1] + 0.114 * profile.background[2];
  for (std::uint32_t i = 0; i < kPictures; ++i) {
    const cv::Mat picture = DrawSmear(profile, 3, class_index, i);
    // A square of 14 um around the middle.
    const int side = static_cast<int>(14.0 / profile.field_um * picture.cols);
    const int at = (picture.cols - side) / 2;
    const cv::Mat middle = picture(cv::Rect(at, at, side, side));
    const double pixels = static_cast<double>(side) * side * kPictures;
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const auto& p = middle.at<cv::Vec3b>(y, x);
        const double luma = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / field_luma;
        look.dark += (luma < 0.45 ? 1.0 : 0.0) / pixels;
        look.cell += (luma < 0.85 ? 1.0 : 0.0) / pixels;
        look.orange += (p[0] - p[2] - (profile.background[0] - profile.background[2])) / pixels;
      }
    }
  }
  return look;
}

class SmearOf : public testing::TestWithParam<const char*> {};

TEST_P(SmearOf, ShowsWhatTellsTheClassesApart) {
  const HospitalProfile& profile = HospitalProfileNamed(GetParam());
  std::map<std::string_view, Look> looks;
  for (std::size_t c = 0; c < kSmearClasses.size(); ++c) looks[kSmearClasses[c]] = LookOf(profile, c);
  // Eosinophils are the orange ones.
  for (const auto& [name, look] : looks) {
    if (name != "eosinophil") {
      EXPECT_GT(looks["eosinophil"].orange, look.orange + 10) << name;
    }
  }
  // Monocytes are the large ones, lymphocytes the small ones.
  for (const auto& [name, look] : looks) {
    if (name != "monocyte") {
      EXPECT_GT(looks["monocyte"].cell, look.cell) << name;
    }
    if (name != "lymphocyte_typical") {
      EXPECT_LT(looks["lymphocyte_typical"].cell, look.cell) << name;
    }
  }
  // A lymphocyte is nearly all nucleus; a neutrophil has the smallest share of it among granulocytes with a dark one.
  const auto share = [&](std::string_view name) { return looks[name].dark / looks[name].cell; };
  EXPECT_GT(share("lymphocyte_typical"), share("neutrophil") + 0.15);
  EXPECT_GT(share("basophil"), share("neutrophil"));
}

INSTANTIATE_TEST_SUITE_P(Each, SmearOf, testing::Values("matek-19", "int-20", "acevedo-20"));

TEST(Hospitals, DifferInColourScaleAndSharpness) {
  std::map<std::string_view, cv::Scalar> colour;
  std::map<std::string_view, double> sharpness;
  for (const HospitalProfile& profile : HospitalProfiles()) {
    cv::Scalar sum;
    double edges = 0.0;
    for (std::uint32_t i = 0; i < 10; ++i) {
      cv::Mat picture = DrawSmear(profile, 1, i % 5, i);
      cv::resize(picture, picture, cv::Size(96, 96), 0, 0, cv::INTER_AREA);
      sum += cv::mean(picture) * 0.1;
      cv::Mat grey;
      cv::Mat second;
      cv::cvtColor(picture, grey, cv::COLOR_RGB2GRAY);
      cv::Laplacian(grey, second, CV_32F);
      edges += 0.1 * cv::norm(second) / 96;
    }
    colour[profile.name] = sum;
    sharpness[profile.name] = edges;
  }
  for (const auto& [a, one] : colour) {
    for (const auto& [b, other] : colour) {
      if (a != b) {
        EXPECT_GT(cv::norm(one - other), 15) << a << " and " << b;
      }
    }
  }
  EXPECT_GT(sharpness["int-20"], 1.3 * sharpness["matek-19"]);
}

TEST(Hospitals, AreFoundByNameOnly) {
  EXPECT_EQ(HospitalProfiles().size(), 3u);
  EXPECT_EQ(HospitalProfileNamed("acevedo-20").field_um, 36.0);
  EXPECT_ERROR(ErrorCode::kNotFound, "there are: matek-19, int-20, acevedo-20", (void)HospitalProfileNamed("matek"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "cannot be drawn", (void)DrawSmear(HospitalProfiles()[0], 0, 5, 0));
}

TEST(Optics, FollowsBeerAndLambert) {
  HospitalProfile profile = HospitalProfileNamed("matek-19");
  profile.stain_spread = profile.vignetting = profile.noise = profile.sharpening = profile.white_balance_spread = 0.0;
  profile.far_defocus_share = 0.0;
  const auto middle = [&](double haem, double nuclear) {
    Canvas canvas(static_cast<int>(profile.side_px) * 2, profile.field_um);
    canvas.dyes().setTo(cv::Scalar(haem, nuclear, 0, 0));
    RandomStream random(1);
    return Photograph(canvas, profile, random).at<cv::Vec3b>(64, 64);
  };
  const cv::Vec3b clear = middle(0, 0);
  const cv::Vec3b stained = middle(1.0, 0.5);
  for (int c = 0; c < 3; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    const double density = profile.density[0][channel] + 0.5 * profile.density[1][channel];
    EXPECT_NEAR(stained[c], clear[c] * std::exp(-density), 1.0);
    EXPECT_NEAR(clear[c], profile.background[channel], 0.035 * 255);
  }
}

LabelMap Labels() {
  return LabelMap::Load(RealFileSystem(), Path(HEMAFED_SOURCE_DIR) / "configs/labels/five_wbc.toml");
}

TEST(SyntheticHospital, IsImportedLikeARealOne) {
  const Scratch scratch;
  const HospitalProfile& profile = HospitalProfileNamed("acevedo-20");
  const WrittenHospital written = WriteSyntheticHospital(RealFileSystem(), scratch / "h", profile,
                                                         {.seed = 4, .train_per_class = 3, .test_per_class = 1});
  EXPECT_EQ(written.pictures, 20u);
  EXPECT_FALSE(written.was_there);
  const Import got = ImportManifest(RealFileSystem(), scratch / "h", "acevedo-20", Labels());
  EXPECT_EQ(got.report.SkippedInAll(), 0u);
  EXPECT_EQ(got.index.CountsPerClass(Split::kTrain), std::vector<std::uint64_t>(5, 3));
  EXPECT_EQ(got.index.CountsPerClass(Split::kTest), std::vector<std::uint64_t>(5, 1));
  const Import tree = ImportTree(RealFileSystem(), scratch / "h", "acevedo-20", Labels());
  EXPECT_EQ(tree.index.pictures.size(), 20u);
  EXPECT_EQ(tree.report.Skipped(SkipReason::kNoClass), 2u) << "the manifest and the description";
}

TEST(SyntheticHospital, HasTheSameBytesForTheSameSeed) {
  const Scratch scratch;
  const HospitalProfile& profile = HospitalProfileNamed("int-20");
  const HospitalSettings settings{.seed = 4, .train_per_class = 1, .test_per_class = 1};
  for (const char* name : {"a", "b"}) (void)WriteSyntheticHospital(RealFileSystem(), scratch / name, profile, settings);
  (void)WriteSyntheticHospital(RealFileSystem(), scratch / "c", profile,
                               {.seed = 5, .train_per_class = 1, .test_per_class = 1});
  const auto manifest = [&](const char* name) {
    return ReadFile(RealFileSystem(), scratch / name / "manifest.csv", 1 << 20);
  };
  EXPECT_EQ(manifest("a"), manifest("b"));  // It holds every picture's SHA-256.
  EXPECT_NE(manifest("a"), manifest("c"));
}

TEST(SyntheticHospital, IsLeftAloneWhenCompleteAndFinishedWhenNot) {
  const Scratch scratch;
  const HospitalProfile& profile = HospitalProfileNamed("int-20");
  const HospitalSettings settings{.seed = 4, .train_per_class = 1, .test_per_class = 1};
  const auto write = [&](const HospitalSettings& with, const ImportProgress& progress = {}) {
    return WriteSyntheticHospital(RealFileSystem(), scratch / "h", profile, with, progress);
  };
  EXPECT_ERROR(ErrorCode::kInterrupted, "start again to finish",
               (void)write(settings, [](std::uint64_t done, std::uint64_t) { return done < 4; }));
  EXPECT_FALSE(RealFileSystem().Exists(scratch / "h/manifest.csv"));
  EXPECT_FALSE(write(settings).was_there);
  EXPECT_TRUE(write(settings).was_there);
  HospitalSettings other = settings;
  other.seed = 5;
  EXPECT_ERROR(ErrorCode::kConflict, "drawn with other settings", (void)write(other));
  std::filesystem::remove(scratch / "h/synthetic.json");
  EXPECT_ERROR(ErrorCode::kConflict, "holds other pictures", (void)write(settings));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 20000", (void)write({}));
}

TEST(ContactSheet, InTheDocumentationIsWhatTheGeneratorDraws) {
  const Path path = Path(HEMAFED_SOURCE_DIR) / "docs/images/synthetic_smears.png";
  EXPECT_LT(RealFileSystem().SizeOf(path), 300u * 1024);
  const cv::Mat stored = cv::imread(path.string());
  const Bytes file = EncodeContactSheet({.seed = 4});
  const cv::Mat drawn = cv::imdecode(file, cv::IMREAD_COLOR);
  ASSERT_EQ(stored.size(), drawn.size());
  // Another processor may round a few pixels to the neighbouring multiple of four.
  cv::Mat difference;
  cv::absdiff(stored, drawn, difference);
  EXPECT_LT(cv::mean(difference.reshape(1))[0], 0.1) << "draw it again if the generator was changed on purpose";
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 8 samples", (void)DrawContactSheet({.samples = 0}));
}

}  // namespace
}  // namespace hemafed::learning::synthetic
