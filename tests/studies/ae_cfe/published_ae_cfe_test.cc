// tests/studies/ae_cfe/published_ae_cfe_test.cc
// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/published_ae_cfe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/expect_error.h"

namespace hemafed::studies {
namespace {

using enum AeCfeDomain;
using enum AeCfeMethod;

double At(AeCfeMethod method, AeCfeDomain train, AeCfeDomain test) {
  return PublishedCell(method, train, test).value().percent.value;
}

TEST(PublishedAeCfe, CellsStandWhereTheThesisPrintsThem) {
  EXPECT_EQ(At(kAeCfe, kMatek19, kInt20), 48.4);
  EXPECT_EQ(At(kAeCfe, kInt20, kMatek19), 73.2);
  EXPECT_EQ(At(kResNetRf, kAcevedo20, kAcevedo20), 37.1);
  EXPECT_EQ(At(kRcnnRf, kInt20, kInt20), 46.09);
  EXPECT_EQ(At(kNdAeDa, kInt20, kAcevedo20), 15.7);
  EXPECT_EQ(At(kResNeXt, kInt20, kMatek19), 49.6);
  EXPECT_EQ(At(kMatekEtAl, kMatek19, kAcevedo20), 8.1);
  EXPECT_FALSE(PublishedCell(kResNeXt, kMatek19, kMatek19).has_value());
  EXPECT_FALSE(PublishedCell(kMatekEtAl, kInt20, kInt20).has_value());
  EXPECT_FALSE(PublishedCell(kMatekEtAl, kMatek19, kInt20)->percent.spread.has_value());
  EXPECT_EQ(PublishedCell(kAeRf, kMatek19, kMatek19)->percent.spread, 0.04);
}

// What the thesis concludes from its table; a slip of a row or column breaks it.
TEST(PublishedAeCfe, IsBestInAllCrossDomainCellsAndNeverInDomain) {
  for (const AeCfeDomain train : kAeCfeDomains) {
    for (const AeCfeDomain test : kAeCfeDomains) {
      double best_other = 0;
      for (const AeCfeMethod method : {kResNetRf, kRcnnRf, kAeRf, kNdAeDa, kAaeDa})
        best_other = std::max(best_other, At(method, train, test));
      EXPECT_EQ(At(kAeCfe, train, test) > best_other, train != test) << NameOf(train) << " to " << NameOf(test);
    }
  }
}

TEST(PublishedAeCfe, MarksTheOddCellsAndNoOthers) {
  std::map<Oddity, int> count;
  for (const AeCfeMethod method : kAeCfeMethods) {
    for (const AeCfeDomain train : kAeCfeDomains) {
      for (const AeCfeDomain test : kAeCfeDomains) {
        if (const auto cell = PublishedCell(method, train, test)) ++count[cell->oddity];
      }
    }
  }
  EXPECT_EQ(count[Oddity::kFarBelowChance], 12);  // Six cells of two extractors.
  EXPECT_EQ(count[Oddity::kPrintedTwice], 2);
  EXPECT_EQ(count[Oddity::kOutOfLine], 0);
  EXPECT_EQ(count[Oddity::kNone], 54 + 9 - 14);
  int odd = 0;
  for (std::size_t s = 0; s < SweepSizes().size(); ++s) {
    for (std::size_t c = 0; c < SweepColumns().size(); ++c) odd += PublishedSweep(s, c).oddity != Oddity::kNone ? 1 : 0;
  }
  EXPECT_EQ(odd, 1);
  EXPECT_EQ(PublishedSweep(8, 1).percent.value, 0.88);
}

TEST(PublishedAeCfe, SweepHasNineSizesInEightColumns) {
  ASSERT_EQ(SweepSizes().size(), 9u);
  ASSERT_EQ(SweepColumns().size(), 8u);
  EXPECT_EQ(SweepSizes()[2], 50);
  EXPECT_EQ(PublishedSweep(2, 6).percent.value, 0.85);  // SSIM-BB R101, the one that was chosen
  EXPECT_EQ(PublishedSweep(0, 5).percent.value, 0.46);
}

TEST(PublishedAeCfe, TablesPrintWithTheirMarksExplained) {
  const auto tables = PublishedAeCfeTables();
  ASSERT_EQ(tables.size(), 3u);
  EXPECT_EQ(tables[0].rows.size(), 9u);
  EXPECT_EQ(tables[1].rows.size(), 9u);
  EXPECT_EQ(tables[2].rows.size(), 9u);
  EXPECT_NE(TextTable(tables[0]).find("0.88*"), std::string::npos);
  EXPECT_NE(TextTable(tables[1]).find("17.7 ± 0.7†"), std::string::npos);
  EXPECT_NE(TextTable(tables[1]).find("0‡"), std::string::npos);
  EXPECT_NE(TextTable(tables[2]).find("96.1"), std::string::npos);
}

TEST(PublishedAeCfe, NamesAreReadBackAndUnknownOnesListed) {
  for (const AeCfeMethod method : kAeCfeMethods) EXPECT_EQ(AeCfeMethodNamed(NameOf(method)), method);
  for (const AeCfeDomain domain : kAeCfeDomains) EXPECT_EQ(AeCfeDomainNamed(NameOf(domain)), domain);
  EXPECT_ERROR(ErrorCode::kInvalidInput, "there are Matek-19, INT-20, Acevedo-20", (void)AeCfeDomainNamed("Matek"));
}

}  // namespace
}  // namespace hemafed::studies
