// SPDX-License-Identifier: Apache-2.0
#include "codec/drift_report.h"

#include <gtest/gtest.h>

#include <bit>

#include "codec/latent_reference.h"
#include "tests/codec/latent_samples.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

using nlohmann::json;
using testing_support::SampleMoments;

DriftReport Far() {
  DriftReport report;
  report.mmd2_unbiased_millionths = 300'000;
  report.p_denominator = 100;
  report.members = 2;
  return report;
}

TEST(DriftReport, OnlyWhoIsFurtherThanAllMembersAndNotByChanceIsUnlike) {
  EXPECT_TRUE(Far().IsUnlike());
  DriftReport report = Far();
  report.members = 0;
  EXPECT_FALSE(report.IsUnlike()) << "a distance alone says nothing";
  report = Far();
  report.members_as_far = 1;
  EXPECT_FALSE(report.IsUnlike());
  report = Far();
  report.p_numerator = 5;
  EXPECT_TRUE(report.IsUnlike()) << "p is 0.05";
  report.p_numerator = 6;
  EXPECT_FALSE(report.IsUnlike());
}

TEST(DriftReport, MembersThatAreExactlyAsFarCount) {
  const std::vector<std::int64_t> members{-5, 90'000, 300'000, 300'001};
  EXPECT_EQ(MembersAsFar(members, 300'000), 2u);
  EXPECT_EQ(MembersAsFar(members, -5), 4u);
  EXPECT_EQ(MembersAsFar({}, 0), 0u);
}

TEST(DriftAnswer, IsAReportOrARefusalByItsFields) {
  const json report = Far().ToJson();
  EXPECT_EQ(std::get<DriftReport>(DriftAnswerFromJson({report, "r"})), Far());
  for (const auto reason : {DriftRefusalReason::kTooFewPictures, DriftRefusalReason::kConstantFeatures,
                            DriftRefusalReason::kUnusableReference}) {
    const DriftRefusal refusal{.reason = reason, .reference_digest = Sha256Of("r"), .pictures = 12};
    const json text = refusal.ToJson();
    EXPECT_EQ(std::get<DriftRefusal>(DriftAnswerFromJson({text, "r"})), refusal);
    EXPECT_EQ(DriftAnswerToJson(DriftAnswer(refusal)), text);
  }
  EXPECT_EQ((DriftRefusal{.reason = DriftRefusalReason::kTooFewPictures, .reference_digest = {}, .pictures = 3}
                 .ToJson()
                 .dump()),
            R"({"format":1,"pictures":3,"reference_digest":")" + Digest{}.Hex() + R"(","refused":"too_few_pictures"})");
}

TEST(DriftAnswer, RefusalsOfOthersAreReadStrictly) {
  const DriftRefusal refusal{
      .reason = DriftRefusalReason::kConstantFeatures, .reference_digest = Sha256Of("r"), .pictures = 12};
  const auto read = [&](const char* key, const json& value) {
    json object = refusal.ToJson();
    object[key] = value;
    (void)DriftAnswerFromJson({object, "r"});
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'refused'", read("refused", "no time"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'format'", read("format", 2));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'pictures'", read("pictures", 250'001));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'p_numerator'", read("p_numerator", 1));
}

TEST(LatentReference, IsTheMomentsInDoublesThatEveryMachineHas) {
  // Two cells, (1, -0.5) and (0, 0.25): in steps (65536, -32768) and (0, 16384).
  LatentMoments moments(2);
  moments.AddCell(std::vector<float>{1.0F, -0.5F});
  moments.AddCell(std::vector<float>{0.0F, 0.25F});
  const GaussianComponent component = ComponentOf(moments);
  EXPECT_EQ(component.rows, 2u);
  EXPECT_EQ(component.mean, (std::vector<double>{0.5, -0.125}));
  EXPECT_EQ(component.covariance, (std::vector<double>{0.5, -0.375, -0.375, 0.28125}));
  // The bytes by hand: 2, then the six doubles' bits, little-endian.
  std::string bytes;
  const auto append = [&](std::uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>((value >> shift) & 0xff));
  };
  append(2);
  for (const double value : {0.5, -0.125, 0.5, -0.375, -0.375, 0.28125}) append(std::bit_cast<std::uint64_t>(value));
  EXPECT_EQ(DigestOfComponents(std::vector{component}), Sha256Of(bytes));
}

TEST(LatentReference, DependsOnOrderAndOnEveryCell) {
  const GaussianComponent a = ComponentOf(SampleMoments(5, 0, 20)), b = ComponentOf(SampleMoments(5, 20, 50));
  EXPECT_NE(DigestOfComponents(std::vector{a, b}), DigestOfComponents(std::vector{b, a}));
  EXPECT_NE(DigestOfComponents(std::vector{a}), DigestOfComponents(std::vector{ComponentOf(SampleMoments(5, 0, 21))}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "fewer than two cells", (void)ComponentOf(SampleMoments(5, 0, 1)));
}

TEST(DriftAnswer, TooFewPicturesToBeCountedAreNotCounted) {
  const json none = BelowMinPictures{}.ToJson();
  EXPECT_EQ(none.dump(), R"({"format":1,"refused":"below_min_pictures"})");
  const DriftAnswer read = DriftAnswerFromJson({none, "r"});
  EXPECT_TRUE(std::holds_alternative<BelowMinPictures>(read));
  EXPECT_EQ(DriftAnswerToJson(read), none);
  EXPECT_EQ(PicturesOf(read), std::nullopt);
  EXPECT_EQ(ReferenceOf(read), std::nullopt);
  EXPECT_FALSE(IsBelowMinPictures({json{{"refused", 1}}, "r"}));
  EXPECT_FALSE(IsBelowMinPictures({json{{"refused", "too_few_pictures"}}, "r"}));
  json more = none;
  more["pictures"] = 3;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'pictures'", (void)DriftAnswerFromJson({more, "r"}));
  more = none;
  more["format"] = 2;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'format'", (void)DriftAnswerFromJson({more, "r"}));
}

}  // namespace
}  // namespace hemafed
