// SPDX-License-Identifier: Apache-2.0
#include "codec/reports.h"

#include <gtest/gtest.h>

#include "codec/merge_weights.h"
#include "codec/update.h"
#include "tests/expect_error.h"

namespace hemafed {
namespace {

using nlohmann::json;

DistillationProbe Probe() {
  return {.pictures = 32,
          .before_millionths = 1'000'000,
          .after_millionths = 1'200'000,
          .disagreement_millionths = {0, 250'000},
          .sensitivity = {1, kMaxSensitivity}};
}
// head.bias comes first in the order of names.
const UpdateLayout kLayout{{{.name = "head.bias", .shape = {4}}, {.name = "head.weight", .shape = {4, 8}}}};

TEST(DistillationProbe, TravelsAsJson) {
  EXPECT_EQ(DistillationProbe::FromJson({Probe().ToJson(), "probe"}), Probe());
  EXPECT_EQ(Probe().ToJson().dump(),
            R"({"after_millionths":1200000,"before_millionths":1000000,"disagreement_millionths":[0,250000],)"
            R"("pictures":32,"sensitivity":[1,4503599627370496]})");
}

struct BadProbe {
  const char* name;
  const char* key;
  json value;
  const char* words;
};
class DistillationProbeRefuses : public testing::TestWithParam<BadProbe> {};
TEST_P(DistillationProbeRefuses, TheJson) {
  json object = Probe().ToJson();
  object[GetParam().key] = GetParam().value;
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, (void)DistillationProbe::FromJson({object, "probe"}));
}
INSTANTIATE_TEST_SUITE_P(Table, DistillationProbeRefuses,
                         testing::ValuesIn(std::vector<BadProbe>{
                             {"NoSensitivity", "sensitivity", json::array({0}), "sensitivity"},
                             {"EndlessSensitivity", "sensitivity", json::array({kMaxSensitivity + 1}), "sensitivity"},
                             {"WithheldSensitivity", "sensitivity", json::array({nullptr}), "sensitivity"},
                             {"TooManyTensors", "sensitivity", json(std::vector<int>(1025, 1)), "sensitivity"},
                             {"MoreThanCertain", "disagreement_millionths", json::array({1'000'001}),
                              "disagreement_millionths"},
                             {"NegativeLoss", "after_millionths", -1, "after_millionths"},
                             {"UnknownField", "teacher", "x", "teacher"}}),
                         [](const auto& row) { return row.param.name; });

TEST(SensitivityUnits, RoundHalfToEvenAndSaturate) {
  EXPECT_EQ(SensitivityUnits(0x1p-40), 1u);
  EXPECT_EQ(SensitivityUnits(2.5 * 0x1p-40), 2u);
  EXPECT_EQ(SensitivityUnits(3.5 * 0x1p-40), 4u);
  EXPECT_EQ(SensitivityUnits(1.0), std::uint64_t{1} << 40);
  EXPECT_EQ(SensitivityUnits(0.0), kMinSensitivity);
  EXPECT_EQ(SensitivityUnits(1e300), kMaxSensitivity);
}

TEST(WhyImplausible, NamesWhatCannotBe) {
  DistillationProbe probe = Probe();
  EXPECT_EQ(WhyImplausible(probe, kLayout, 2, true), std::nullopt);
  EXPECT_NE(WhyImplausible(probe, kLayout, 3, true).value_or("").find("2 old classes, the teacher 3"),
            std::string::npos);
  // Two classes have at most 2 ln 2 = 1.386295 of entropy; later rounds may lose more.
  probe.before_millionths = 1'386'297;
  EXPECT_NE(WhyImplausible(probe, kLayout, 2, true).value_or("").find("above what 2 classes can have"),
            std::string::npos);
  EXPECT_EQ(WhyImplausible(probe, kLayout, 2, false), std::nullopt);
  probe = Probe();
  probe.sensitivity.push_back(1);
  EXPECT_NE(WhyImplausible(probe, kLayout, 2, true).value_or("").find("3 tensors, the model 2"), std::string::npos);
  // The bias: at most 2^38 units a picture and old class, over 4 classes.
  probe = Probe();
  probe.sensitivity[0] = (std::uint64_t{1} << 38) * 2 * 32 / 4 + 1;
  EXPECT_EQ(WhyImplausible(probe, kLayout, 2, true), std::nullopt);
  ++probe.sensitivity[0];
  EXPECT_NE(WhyImplausible(probe, kLayout, 2, true).value_or("").find("head.bias"), std::string::npos);
}

TEST(JudgementReport, AgreesOnNoMoreThanItsPictures) {
  const JudgementReport report = JudgementReport::FromJson({json{{"pictures", 25}, {"agrees", 24}}, "judgement"});
  EXPECT_EQ(report.pictures, 25u);
  EXPECT_EQ(report.agrees, 24u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "agrees",
               (void)JudgementReport::FromJson({json{{"pictures", 25}, {"agrees", 26}}, "judgement"}));
}

}  // namespace
}  // namespace hemafed
