// tests/learning/features/latent/drift_check_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/drift_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/json_fields.h"
#include "learning/features/latent/gaussian_reference.h"
#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"

namespace hemafed::learning {
namespace {

// Columns that hang together: y0 = z0, y1 = 0.8 z0 + 0.6 z1, y2 = -z0 + 2 z2, around (1, -2, 3).
FeatureMatrix Correlated(std::size_t rows, std::uint64_t seed, double shift = 0) {
  FeatureMatrix features = NormalFeatures(rows, 3, seed);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto z = features.Row(r);
    const double z0 = z[0], z1 = z[1], z2 = z[2];
    z[0] = static_cast<float>(1 + z0 + shift);
    z[1] = static_cast<float>(-2 + 0.8 * z0 + 0.6 * z1);
    z[2] = static_cast<float>(3 - z0 + 2 * z2);
  }
  return features;
}

DriftReport Read(const std::string& text) {
  const nlohmann::json object = ParseJsonObject(text, "report");
  return DriftReport::FromJson({object, "report"});
}

TEST(Moments, EqualASlowDoubleLoop) {
  const FeatureMatrix features = Correlated(37, 1);
  const std::vector<std::uint32_t> rows = {0, 3, 4, 9, 20, 36};
  const GaussianComponent moments = MomentsOf(features, rows);
  EXPECT_EQ(moments.rows, 6u);
  for (std::size_t i = 0; i < 3; ++i) {
    double mean = 0;
    for (const auto r : rows) mean += features.Row(r)[i] / 6.0;
    EXPECT_NEAR(moments.mean[i], mean, 1e-12);
    for (std::size_t j = 0; j < 3; ++j) {
      double other = 0, sum = 0;
      for (const auto r : rows) other += features.Row(r)[j] / 6.0;
      for (const auto r : rows) sum += (features.Row(r)[i] - mean) * (features.Row(r)[j] - other);
      EXPECT_NEAR(moments.covariance[i * 3 + j], sum / 5, 1e-12);
    }
  }
}

TEST(GaussianReference, SamplesHaveThePublishedMoments) {
  const GaussianComponent published = MomentsOf(Correlated(500, 2));
  const GaussianComponent drawn = MomentsOf(GaussianReference({published}).Sample(20'000, 3));
  // Standard errors are about sd / sqrt(20,000): 0.007 for the narrow columns, 0.016 for the wide one.
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(drawn.mean[i], published.mean[i], 0.06);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(drawn.covariance[i], published.covariance[i], 0.2);
}

TEST(GaussianReference, SharesRowsByTheComponentsCountsComponentAfterComponent) {
  GaussianComponent a{.mean = {0}, .covariance = {1e-6}, .rows = 30};
  GaussianComponent b{.mean = {100}, .covariance = {1e-6}, .rows = 60};
  GaussianComponent c{.mean = {200}, .covariance = {1e-6}, .rows = 10};
  const FeatureMatrix sample = GaussianReference({a, b, c}).Sample(7, 1);
  // 2.1, 4.2, 0.7 rows: the last one by largest remainder.
  const std::vector<float> means = {0, 0, 100, 100, 100, 100, 200};
  for (std::size_t i = 0; i < means.size(); ++i) EXPECT_NEAR(sample.values[i], means[i], 0.1) << i;
}

TEST(GaussianReference, AColumnThatNeverVariedStaysConstant) {
  const GaussianComponent component{.mean = {1, 5, 2}, .covariance = {1, 0, 0.5, 0, 0, 0, 0.5, 0, 1}, .rows = 10};
  const FeatureMatrix sample = GaussianReference({component}).Sample(50, 4);
  for (std::size_t r = 0; r < 50; ++r) EXPECT_NEAR(sample.Row(r)[1], 5.0, 1e-6);
  EXPECT_GT(MomentsOf(sample).covariance[0], 0.3);
}

// Fewer pictures than features: the covariance has no full rank, and rounding makes it slightly indefinite.
TEST(GaussianReference, TakesMomentsOfFewPicturesRoundedToAGrid) {
  GaussianComponent moments = MomentsOf(NormalFeatures(12, 30, 5));
  for (double& value : moments.covariance) value = std::round(value * 65536) / 65536;
  const GaussianComponent drawn = MomentsOf(GaussianReference({moments}).Sample(5'000, 6));
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < moments.covariance.size(); ++i) {
    difference += std::pow(drawn.covariance[i] - moments.covariance[i], 2);
    size += std::pow(moments.covariance[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / size), 0.1);
}

TEST(GaussianReference, RefusesWhatIsNoCovariance) {
  const auto make = [](std::vector<double> mean, std::vector<double> covariance, std::uint64_t rows = 10) {
    (void)GaussianReference({{.mean = std::move(mean), .covariance = std::move(covariance), .rows = rows}});
  };
  make({0, 0}, {1, 0.5, 0.5, 1});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not symmetric", make({0, 0}, {1, 0.5, 0.4, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "below 0", make({0, 0}, {1, 2, 2, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "below 0", make({0, 0}, {0, 1, 1, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no feature varies", make({0, 0}, {0, 0, 0, 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not have", make({0, 0}, {1, 0, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "NaN", make({0, std::nan("")}, {1, 0, 0, 1}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "number of pictures", make({0, 0}, {1, 0, 0, 1}, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "components", (void)GaussianReference({}));
}

TEST(GaussianReference, RefusesMoreThanMemoryIsSetAsideForBeforeItComputes) {
  // Widths alone decide: these have no covariance at all, which would be named otherwise.
  const auto make = [](std::size_t components, std::size_t columns) {
    (void)GaussianReference(std::vector<GaussianComponent>(
        components, GaussianComponent{.mean = std::vector<double>(columns), .covariance = {}, .rows = 10}));
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than memory", make(17, 2'048));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more than memory", make(1'024, 257));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not have 2048 features", make(16, 2'048));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "do not have 256 features", make(1'024, 256));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "1 to 2048 features", make(1, 2'049));
}

TEST(DriftCheck, SeesAnotherDistributionThroughPublishedMomentsOnly) {
  const GaussianReference consortium({MomentsOf(Correlated(400, 7)), MomentsOf(Correlated(300, 8))});
  const DriftReport same = CheckDrift(Correlated(150, 9), consortium);
  const DriftReport shifted = CheckDrift(Correlated(150, 10, 1.0), consortium);
  EXPECT_FALSE(same.IsSignificant());
  EXPECT_TRUE(shifted.IsSignificant());
  EXPECT_EQ(shifted.p_numerator, 1u);
  EXPECT_GT(shifted.mmd2_unbiased_millionths, 10 * std::abs(same.mmd2_unbiased_millionths));
  EXPECT_EQ(same.reference_pictures, 700u);
  EXPECT_EQ(same.reference_rows, 150u);
}

TEST(DriftCheck, RanksAHospitalAmongTheMembers) {
  const GaussianReference consortium({MomentsOf(Correlated(400, 7))});
  const std::vector<std::int64_t> members = {1'500'000, -5, 900'000};
  const DriftReport report = CheckDrift(Correlated(100, 9), consortium, {}, members);
  EXPECT_EQ(report.members, 3u);
  EXPECT_EQ(report.members_as_far, report.mmd2_unbiased_millionths <= -5 ? 3u : 2u);
}

TEST(DriftCheck, OnOneMachineTakesTheFeaturesThemselves) {
  const DriftReport report = CheckDrift(Correlated(100, 9), Correlated(300, 10));
  EXPECT_EQ(report.reference, DriftReferenceKind::kFeatures);
  EXPECT_EQ(report.reference_rows, 300u);
  EXPECT_FALSE(report.IsSignificant());
}

TEST(DriftCheck, ReportIsTheSameBytesEachTimeAndReadsBack) {
  const GaussianReference consortium({MomentsOf(Correlated(400, 7))});
  const FeatureMatrix own = Correlated(60, 9);
  const DriftReport report = CheckDrift(own, consortium, {.seed = 77});
  const std::string text = report.ToJson().dump();
  EXPECT_EQ(CheckDrift(own, consortium, {.seed = 77}).ToJson().dump(), text);
  EXPECT_EQ(Read(text), report);
  EXPECT_EQ(text.find(' '), std::string::npos);
  EXPECT_EQ(text.find('.'), std::string::npos) << "a fraction in a log entry: " << text;
  EXPECT_NE(CheckDrift(own, GaussianReference({MomentsOf(Correlated(400, 8))}), {.seed = 77}).reference_digest,
            report.reference_digest);
}

TEST(DriftCheck, ReportsOfOthersAreReadStrictly) {
  nlohmann::json object = CheckDrift(Correlated(60, 9), Correlated(60, 10)).ToJson();
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json other = object;
    other[key] = value;
    return other.dump();
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'p_numerator'", (void)Read(with("p_numerator", 1001)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'p_numerator'", (void)Read(with("p_numerator", 0)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'format'", (void)Read(with("format", 2)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'reference'", (void)Read(with("reference", "cells")));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'members_as_far'", (void)Read(with("members_as_far", 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'latents'", (void)Read(with("latents", 1)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "pictures_used", (void)Read(with("pictures_used", 61)));
}

TEST(DriftCheck, StopsWhenAsked) {
  const auto at_once = [] { return true; };
  EXPECT_ERROR(ErrorCode::kInterrupted, "stopped",
               (void)CheckDrift(Correlated(50, 1), Correlated(50, 2), {}, {}, at_once));
  EXPECT_ERROR(
      ErrorCode::kInterrupted, "stopped",
      (void)CheckDrift(Correlated(50, 1), GaussianReference({MomentsOf(Correlated(400, 7))}), {}, {}, at_once));
}

TEST(DriftCheck, RefusesTooFewPicturesAndConstantFeatures) {
  const GaussianReference consortium({MomentsOf(Correlated(400, 7))});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "too few", (void)CheckDrift(Correlated(9, 1), consortium));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "the other 3", (void)CheckDrift(NormalFeatures(50, 2, 1), consortium));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "constant", (void)CheckDrift(FeatureMatrix(50, 3), FeatureMatrix(50, 3)));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "2^53",
               (void)CheckDrift(Correlated(50, 1), consortium, {.seed = std::uint64_t{1} << 53}));
}

}  // namespace
}  // namespace hemafed::learning
