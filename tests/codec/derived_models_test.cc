// SPDX-License-Identifier: Apache-2.0
//
// Models that a coordinator derives from others: aligned heads, slow models, heads of class means.
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "codec/aligned_head.h"
#include "codec/head_file.h"
#include "codec/prototype_head.h"
#include "codec/slow_model.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::Floats;
using testing_support::IntegerBytes;
using testing_support::Model;
using testing_support::TensorBytes;
using testing_support::TensorFloats;
using testing_support::WriteModel;

const Path kIn = "/in", kFast = "/fast", kOut = "/out";

Model WithHead(const std::vector<float>& weight, std::int64_t classes, std::int64_t width) {
  std::vector<float> bias;
  for (std::int64_t i = 0; i < classes; ++i) bias.push_back(0.5F + static_cast<float>(i));
  return {{"head.weight", Floats({classes, width}, weight)},
          {"head.bias", Floats({classes}, bias)},
          {"stage.conv.weight", Floats({2, 2}, {1, -2, 3, -4})},
          {"stage.norm.running_mean", Floats({2}, {7, 8})}};
}

std::vector<double> InUnits(const std::vector<float>& weights, std::size_t first = 0) {
  std::vector<double> units;
  for (std::size_t i = first; i < weights.size(); ++i) units.push_back(static_cast<double>(weights[i]) * 0x1p22);
  return units;
}

// Expected integers by Python: math.sqrt(sum(v * v for v in row)) for each row, the factor 0.37129449154891325, and
// fractions.Fraction(v * factor) * 2**22 rounded half to even.
TEST(AlignedHead, NewRowsGetTheOldOnesMeanLength) {
  FaultFileSystem files;
  const std::vector<float> weight{0.5, -0.25, 1.0, 0.125, 0.75, -0.5, 2.0, -1.5, 0.25, 0.0625, 3.0, -0.375};
  WriteModel(files, kIn, WithHead(weight, 4, 3), {{"source", "test"}});
  const Digest digest = AlignHead(files, kIn, kOut, 2);
  EXPECT_EQ(digest, Sha256Of(ReadFile(files, kOut, 1 << 20)));
  const auto model = SafetensorsReader::Open(files, kOut);
  const auto before = SafetensorsReader::Open(files, kIn);
  const std::vector<float> aligned = TensorFloats(model, "head.weight");
  EXPECT_EQ(std::vector<float>(aligned.begin(), aligned.begin() + 6),
            std::vector<float>(weight.begin(), weight.begin() + 6));
  EXPECT_EQ(InUnits(aligned, 6), (std::vector<double>{3114644, -2335983, 389330, 97333, 4671966, -583996}));
  for (const char* other : {"head.bias", "stage.conv.weight", "stage.norm.running_mean"}) {
    EXPECT_EQ(TensorBytes(model, other), TensorBytes(before, other)) << other;
  }
  EXPECT_EQ(model.metadata(), before.metadata());
}

TEST(AlignedHead, ZeroRowsStayAndThereMustBeOldAndNewOnes) {
  FaultFileSystem files;
  WriteModel(files, kIn, WithHead({1, 2, 0, 0}, 2, 2));
  (void)AlignHead(files, kIn, kOut, 1);
  EXPECT_EQ(TensorFloats(SafetensorsReader::Open(files, kOut), "head.weight"), (std::vector<float>{1, 2, 0, 0}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of its 2 rows 0 are old", (void)AlignHead(files, kIn, kOut, 0));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "of its 2 rows 2 are old", (void)AlignHead(files, kIn, kOut, 2));
}

// Python: struct.pack('>f', s + 5461 / 32768 * (f - s)) of float32 values s and f.
TEST(SlowModel, FollowsByTheRateAndTakesBuffersFromTheFastOne) {
  FaultFileSystem files;
  const auto model_of = [](const std::vector<float>& values, float buffer) {
    return Model{{"a.weight", Floats({4}, values)}, {"a.running_var", Floats({1}, {buffer})}};
  };
  WriteModel(files, kIn, model_of({0.1F, -2.5F, 1e-8F, 3.0F}, 1));
  WriteModel(files, kFast, model_of({0.3F, 1.5F, -1e-8F, 3.0F}, 2), {{"of", "fast"}});
  const Digest digest = FollowSlowly(files, kIn, kFast, kOut, 5461);
  EXPECT_EQ(digest, Sha256Of(ReadFile(files, kOut, 1 << 20)));
  const auto model = SafetensorsReader::Open(files, kOut);
  std::vector<std::uint32_t> bits;
  for (const float value : TensorFloats(model, "a.weight")) bits.push_back(std::bit_cast<std::uint32_t>(value));
  EXPECT_EQ(bits, (std::vector<std::uint32_t>{0x3e088800, 0xbfeaac00, 0x31e51269, 0x40400000}));
  EXPECT_EQ(TensorFloats(model, "a.running_var"), std::vector<float>{2});
  EXPECT_EQ(model.metadata().at("of"), "fast");
}

TEST(SlowModel, AtTheFullRateItIsTheFastOneAndAtMostThat) {
  FaultFileSystem files;
  WriteModel(files, kIn, {{"w", Floats({3}, {1, 2, 3})}});
  const Digest fast = WriteModel(files, kFast, {{"w", Floats({3}, {-1, 0.5, 1e30F})}});
  EXPECT_EQ(FollowSlowly(files, kIn, kFast, kOut, kSlowRateOne), fast);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rate", (void)FollowSlowly(files, kIn, kFast, kOut, kSlowRateOne + 1));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "rate", (void)FollowSlowly(files, kIn, kFast, kOut, 0));
  WriteModel(files, kIn, {{"w", Floats({2}, {1, 2})}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "different tensors", (void)FollowSlowly(files, kIn, kFast, kOut, 1));
  WriteModel(files, kIn, {{"w", Floats({3}, {1, 2, std::numeric_limits<float>::infinity()})}});
  EXPECT_ERROR(ErrorCode::kInvalidInput, "not finite", (void)FollowSlowly(files, kIn, kFast, kOut, 1));
}

// Expected rows by Python with 60 decimal digits: S / sqrt(sum of squares) * 2**22, rounded half to even.
TEST(PrototypeHead, IsTheDirectionOfTheSumOfAllSitesMeansByTheirCounts) {
  FaultFileSystem files;
  WriteModel(files, kIn, WithHead(std::vector<float>(9, 0.5F), 3, 3));
  WriteFileAtomically(files, "/a", AsText(IntegerBytes({1000000, -2000000, 3000000, 0, 0, 0, 5, 7, 11})));
  WriteFileAtomically(files, "/b", AsText(IntegerBytes({4000000, 100, -300, 0, 0, 0, 0, 0, 0})));
  const std::vector<SiteMeans> sites{{"/a", {20, std::nullopt, 10}}, {"/b", {12, std::nullopt, std::nullopt}}};
  const Digest digest = WritePrototypeHead(files, kIn, kOut, sites);
  EXPECT_EQ(digest, Sha256Of(ReadFile(files, kOut, 1 << 20)));
  const auto model = SafetensorsReader::Open(files, kOut);
  EXPECT_EQ(InUnits(TensorFloats(model, "head.weight")),
            (std::vector<double>{2877639, -1692678, 2538941, 0, 0, 0, 1501802, 2102522, 3303964}));
  // A class without a mean is never chosen.
  EXPECT_EQ(TensorFloats(model, "head.bias"), (std::vector<float>{0, -1, 0}));
  EXPECT_EQ(TensorFloats(model, "stage.conv.weight"), (std::vector<float>{1, -2, 3, -4}));
  const std::vector<SiteMeans> turned{sites[1], sites[0]};
  EXPECT_EQ(WritePrototypeHead(files, kIn, kOut, turned), digest) << "the order of the sites does not matter";
}

TEST(PrototypeHead, MeansThatAreNotWhatTheReportSaysAreNamed) {
  const UpdateLayout layout = MeansLayout(2, 2);
  const std::vector<std::int32_t> good{kMaxMean, 0, 0, 0};
  EXPECT_EQ(WhyNoMeans(good, layout, {10, std::nullopt}), std::nullopt);
  EXPECT_EQ(WhyNoMeans(std::vector<std::int32_t>{kMaxMean, 3000, 0, 0}, layout, {10, std::nullopt}), std::nullopt);
  const auto reason = [&](const std::vector<std::int32_t>& means, const ClassCounts& counts) {
    return WhyNoMeans(means, layout, counts).value_or("");
  };
  EXPECT_NE(reason({kMaxMean, kMaxMean, 0, 0}, {10, std::nullopt}).find("longer than 1"), std::string::npos);
  EXPECT_NE(reason({kMaxMean, 0, 0, 1}, {10, std::nullopt}).find("class 1 has a mean, but no count"),
            std::string::npos);
  EXPECT_NE(reason(good, {10, std::nullopt, 10}).find("class 2 is not known yet"), std::string::npos);
  EXPECT_NE(reason({1, 2, 3}, {10, 10}).find("another length"), std::string::npos);
}

TEST(PrototypeHead, LayoutsComeFromTheModelsHead) {
  const UpdateLayout model{{{.name = "a.weight", .shape = {7}}, {.name = "head.weight", .shape = {5, 1280}}}};
  EXPECT_EQ(MeansLayout(model), MeansLayout(5, 1280));
  EXPECT_EQ(MeansLayout(5, 1280).ValueCount(), 6'400u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "a model with a head", (void)MeansLayout(UpdateLayout{}));
}

}  // namespace
}  // namespace hemafed
