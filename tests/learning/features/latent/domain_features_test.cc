// tests/learning/features/latent/domain_features_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/domain_features.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/safetensors.h"
#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"
#include "tests/scratch.h"

namespace hemafed::learning {
namespace {

DomainFeatures Sample() {
  DomainFeatures domain{.domain = "raabin", .classes = {"a", "b", "c", "d"}};
  domain.features = FormulaFeatures(0, 9, 5, 0.5f);
  domain.labels = FormulaLabels(0, 9);
  domain.test = {0, 1, 0, 0, 1, 0, 0, 0, 1};
  domain.made_from = "{\"trunk\":\"efficientnet_lite0\"}";
  return domain;
}

TEST(DomainFeatures, ComeBackFromTheirFile) {
  const testing_support::Scratch folder;
  SaveFeatures(RealFileSystem(), folder / "raabin.safetensors", Sample());
  const DomainFeatures read = LoadFeatures(RealFileSystem(), folder / "raabin.safetensors");
  const DomainFeatures want = Sample();
  EXPECT_EQ(read.domain, want.domain);
  EXPECT_EQ(read.classes, want.classes);
  EXPECT_EQ(read.features.rows, 9u);
  EXPECT_EQ(read.features.columns, 5u);
  EXPECT_EQ(read.features.values, want.features.values);
  EXPECT_EQ(read.labels, want.labels);
  EXPECT_EQ(read.test, want.test);
  EXPECT_EQ(read.made_from, want.made_from);
}

TEST(DomainFeatures, AFileCutAnywhereIsRefused) {
  const testing_support::Scratch folder;
  SaveFeatures(RealFileSystem(), folder / "whole", Sample());
  const std::string whole = ReadFile(RealFileSystem(), folder / "whole", 1 << 20);
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    WriteFileAtomically(RealFileSystem(), folder / "cut", whole.substr(0, length));
    EXPECT_THROW((void)LoadFeatures(RealFileSystem(), folder / "cut"), Error) << length << " bytes";
  }
}

struct BadDomain {
  const char* name;
  const char* words;
  void (*spoil)(DomainFeatures&);
};

class DomainFeaturesRefuse : public testing::TestWithParam<BadDomain> {};

TEST_P(DomainFeaturesRefuse, ToBeWritten) {
  DomainFeatures domain = Sample();
  GetParam().spoil(domain);
  EXPECT_ERROR(ErrorCode::kInvalidInput, GetParam().words, RequireConsistent(domain, "here"));
}

INSTANTIATE_TEST_SUITE_P(Table, DomainFeaturesRefuse,
                         testing::ValuesIn(std::vector<BadDomain>{
                             {"LabelOutOfRange", "not among the classes", [](DomainFeatures& d) { d.labels[3] = 4; }},
                             {"LabelMissing", "one entry a row", [](DomainFeatures& d) { d.labels.pop_back(); }},
                             {"SplitMissing", "one entry a row", [](DomainFeatures& d) { d.test.pop_back(); }},
                             {"SplitOfTwo", "neither 0 nor 1", [](DomainFeatures& d) { d.test[0] = 2; }},
                             {"NoClasses", "classes", [](DomainFeatures& d) { d.classes.clear(); }},
                             {"ClassTwice", "named twice", [](DomainFeatures& d) { d.classes[1] = "a"; }},
                             {"ClassWithLineEnd", "not plain", [](DomainFeatures& d) { d.classes[1] = "b\nc"; }},
                             {"DomainWithSlash", "not plain", [](DomainFeatures& d) { d.domain = "../x"; }},
                             {"NotANumber", "NaN",
                              [](DomainFeatures& d) {
                                d.features.values[7] = std::numeric_limits<float>::quiet_NaN();
                              }},
                             {"ValueMissing", "do not fit", [](DomainFeatures& d) { d.features.values.pop_back(); }},
                             {"NoRows", "there are none", [](DomainFeatures& d) { d.features = {}; }}}),
                         [](const auto& row) { return row.param.name; });

// A file of another writer: well-formed safetensors, wrong content.
void WriteOther(const Path& path, DType labels, bool surplus, const std::string& format) {
  std::vector<TensorInfo> tensors = {{.name = "features", .dtype = DType::kF32, .shape = {1, 2}},
                                     {.name = "labels", .dtype = labels, .shape = {1}},
                                     {.name = "test", .dtype = DType::kU8, .shape = {1}}};
  if (surplus) tensors.push_back({.name = "zz", .dtype = DType::kU8, .shape = {1}});
  SafetensorsWriter writer(
      RealFileSystem(), path, tensors,
      {{"hemafed.features", format}, {"hemafed.domain", "x"}, {"hemafed.classes", "a\nb"}, {"hemafed.made_from", ""}});
  writer.Append("features", Bytes(8));
  writer.Append("labels", Bytes(DTypeBytes(labels)));
  writer.Append("test", Bytes(1));
  if (surplus) writer.Append("zz", Bytes(1));
  (void)writer.Finish();
}

TEST(DomainFeatures, OtherContentInTheirFileIsNamed) {
  const testing_support::Scratch folder;
  const auto load = [&](DType labels, bool surplus, const std::string& format) {
    WriteOther(folder / "other", labels, surplus, format);
    return LoadFeatures(RealFileSystem(), folder / "other");
  };
  EXPECT_EQ(load(DType::kI32, false, "1").features.columns, 2u);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'labels' must be I32", (void)load(DType::kF32, false, "1"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "no others", (void)load(DType::kI32, true, "1"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "another version", (void)load(DType::kI32, false, "2"));
  EXPECT_ERROR(ErrorCode::kNotFound, "missing", (void)LoadFeatures(RealFileSystem(), folder / "missing"));
}

}  // namespace
}  // namespace hemafed::learning
