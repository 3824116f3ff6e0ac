// tests/studies/ae_cfe/matrix_results_test.cc
// SPDX-License-Identifier: Apache-2.0
//
// Figures and tables from answers made by hand: two domains of four rows, two classes, rows 0 and 2 in the test part.
#include "studies/ae_cfe/matrix_results.h"

#include <gtest/gtest.h>

#include <cmath>

#include "studies/ae_cfe/matrix_tables.h"
#include "tests/expect_error.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

using Answers = std::vector<std::vector<std::uint32_t>>;

std::vector<learning::DomainFeatures> Domains() {
  std::vector<learning::DomainFeatures> domains;
  for (const char* name : {"x", "y"}) {
    learning::DomainFeatures domain{.domain = name, .classes = {"a", "b"}};
    domain.features = learning::FeatureMatrix(4, 1);
    domain.labels = {0, 0, 1, 1};
    domain.test = {1, 0, 1, 0};
    domains.push_back(domain);
  }
  domains[1].labels = {0, 1, 1, 1};
  return domains;
}

FeatureArmResults Arm(const std::string& name, const std::vector<Answers>& of_seeds) {
  FeatureArmResults arm;
  arm.arm.name = name;
  arm.arm.title = "Arm " + name;
  arm.columns = 1;
  for (std::size_t s = 0; s < of_seeds.size(); ++s) {
    arm.seeds.push_back(s);
    arm.runs.push_back(learning::MatrixOfAnswers(Domains(), {}, of_seeds[s]));
  }
  return arm;
}

// Cells x-x, x-y, y-x, y-y. First seed: all right but one of x-y's training rows; second: x-y all wrong.
const Answers kFirst = {{0, 1}, {0, 0, 1, 1}, {0, 0, 1, 1}, {0, 1}};
const Answers kSecond = {{0, 1}, {1, 0, 0, 0}, {0, 0, 1, 1}, {0, 0}};

MatrixResults Results() {
  MatrixResults results;
  results.arms = {Arm("one", {kFirst, kSecond}), Arm("two", {kSecond, kSecond})};
  results.rows = {{.truth = {0, 0, 1, 1}, .groups = {"", "", "", ""}},
                  {.truth = {0, 1, 1, 1}, .groups = {"", "", "", ""}}};
  return results;
}

AeCfeFile Study() {
  AeCfeFile study;
  study.title = "Small";
  study.domains = {{.name = "x", .published = AeCfeDomain::kMatek19}, {.name = "y", .published = AeCfeDomain::kInt20}};
  return study;
}

TEST(MatrixResults, FiguresAreMeansOverSeedsOfMeansOverCells) {
  const FeatureArmResults arm = Arm("one", {kFirst, kSecond});
  const auto cell = arm.Cell(0, 1, Reading::kWhole, Score::kAccuracy);
  EXPECT_DOUBLE_EQ(cell.mean, (0.75 + 0.0) / 2);
  EXPECT_DOUBLE_EQ(cell.deviation, 0.75 / std::sqrt(2.0));
  EXPECT_EQ(cell.runs, 2u);
  EXPECT_DOUBLE_EQ(arm.Cell(0, 1, Reading::kTestPart, Score::kAccuracy).mean, 0.5);
  // Of the test part on the diagonal, whatever the reading: seed 2 misses one of two.
  EXPECT_DOUBLE_EQ(arm.Cell(1, 1, Reading::kWhole, Score::kAccuracy).mean, 0.75);
  // Class a of y has one row, class b three: balanced (1 + 2/3) / 2 and 0.
  EXPECT_DOUBLE_EQ(arm.Cell(0, 1, Reading::kWhole, Score::kBalanced).mean, (1 + 2.0 / 3) / 4);
  EXPECT_DOUBLE_EQ(arm.InDomain(Score::kAccuracy).mean, ((1 + 1) / 2.0 + (1 + 0.5) / 2.0) / 2);
  EXPECT_DOUBLE_EQ(arm.CrossDomain(Reading::kWhole, Score::kAccuracy).mean, ((0.75 + 1) / 2 + (0 + 1) / 2.0) / 2);
}

TEST(MatrixResults, FrequentClassIsThatOfTheTrainingDomain) {
  const MatrixResults results = Results();
  // x trains on rows 1 and 3: one of each class, the lower number wins; y on two of class b.
  EXPECT_DOUBLE_EQ(results.FrequentClass(0, 1, Reading::kWhole), 0.25);
  EXPECT_DOUBLE_EQ(results.FrequentClass(1, 0, Reading::kWhole), 0.5);
  EXPECT_DOUBLE_EQ(results.FrequentClass(1, 1, Reading::kTestPart), 0.5);
}

TEST(MatrixResults, DifferenceOfCrossDomainAccuracyIsPaired) {
  const MatrixResults results = Results();
  const auto interval = CrossDomainDifference(results, results.arms[0], results.arms[1]);
  const double ours = results.arms[0].CrossDomain(Reading::kWhole, Score::kAccuracy).mean;
  const double theirs = results.arms[1].CrossDomain(Reading::kWhole, Score::kAccuracy).mean;
  EXPECT_NEAR(interval.estimate, ours - theirs, 1e-12);
  EXPECT_LE(interval.low, interval.estimate);
  EXPECT_GE(interval.high, interval.estimate);
}

// Cells count alike in the summary however many pictures their test domain has, and so they do in the difference.
TEST(MatrixResults, DifferenceIsThatOfTheSummaryThoughDomainsHaveDifferentSizes) {
  std::vector<learning::DomainFeatures> domains = Domains();
  domains[1].features = learning::FeatureMatrix(7, 1);
  domains[1].labels = {0, 1, 1, 1, 0, 0, 0};
  domains[1].test = {1, 0, 1, 0, 0, 0, 0};
  const auto arm = [&](const char* name, const std::vector<Answers>& of_seeds) {
    FeatureArmResults results = Arm(name, {});
    for (const Answers& answers : of_seeds) {
      results.seeds.push_back(results.seeds.size());
      results.runs.push_back(learning::MatrixOfAnswers(domains, {}, answers));
    }
    return results;
  };
  MatrixResults results;
  // Across, the first is right in 3/7 and 4/4, then 7/7 and 1/4; the second in 0/7 and 2/4.
  results.arms = {arm("one", {{{0, 1}, {0, 1, 1, 0, 1, 1, 1}, {0, 0, 1, 1}, {0, 1}},
                              {{0, 1}, {0, 1, 1, 1, 0, 0, 0}, {1, 1, 1, 0}, {0, 1}}}),
                  arm("two", {{{0, 1}, {1, 0, 0, 0, 1, 1, 1}, {0, 0, 0, 0}, {0, 1}}})};
  results.rows = {{.truth = domains[0].labels, .groups = {"", "", "", ""}},
                  {.truth = domains[1].labels, .groups = {"", "", "", "", "c", "c", "c"}}};
  const double ours = results.arms[0].CrossDomain(Reading::kWhole, Score::kAccuracy).mean;
  const double theirs = results.arms[1].CrossDomain(Reading::kWhole, Score::kAccuracy).mean;
  EXPECT_DOUBLE_EQ(ours, (3 / 7.0 + 1 + 1 + 1 / 4.0) / 4);
  EXPECT_DOUBLE_EQ(theirs, (0 + 2 / 4.0) / 2);
  EXPECT_NEAR(CrossDomainDifference(results, results.arms[0], results.arms[1]).estimate, ours - theirs, 1e-12);
}

TEST(MatrixResults, AnswersAreKeptByWhatTheyWereMadeFrom) {
  const testing_support::Scratch folder;
  FileSystem& files = RealFileSystem();
  const Digest made_from = Sha256Of("this");
  const auto matrix = learning::MatrixOfAnswers(Domains(), {}, kFirst);
  EXPECT_FALSE(LoadAnswers(files, folder / "run.json", made_from).has_value());
  SaveAnswers(files, folder / "run.json", matrix, made_from);
  EXPECT_EQ(LoadAnswers(files, folder / "run.json", made_from), kFirst);
  EXPECT_FALSE(LoadAnswers(files, folder / "run.json", Sha256Of("that")).has_value());
}

TEST(MatrixResults, DamagedAnswersAreRefused) {
  const testing_support::Scratch folder;
  FileSystem& files = RealFileSystem();
  const std::string head = "{\"format\":1,\"made_from\":\"" + Sha256Of("this").Hex() + "\",\"answers\":";
  for (const char* answers : {"[[0,-1]]", "[[0,64]]", "[0]", "{}", "[[0.5]]", "[[\"a\"]]"}) {
    WriteFileAtomically(files, folder / "run.json", head + answers + "}");
    EXPECT_ERROR(ErrorCode::kInvalidInput, "lists of class numbers",
                 (void)LoadAnswers(files, folder / "run.json", Sha256Of("this")));
  }
  WriteFileAtomically(files, folder / "run.json", head);
  EXPECT_THROW((void)LoadAnswers(files, folder / "run.json", Sha256Of("this")), Error);
}

TEST(MatrixTables, SetPublishedCellsBesideMeasuredOnesOfTheSameDomains) {
  MatrixResults results = Results();
  results.arms[0].arm.published = AeCfeMethod::kResNetRf;
  const Table table = CellTable(Study(), results, Reading::kWhole, Score::kAccuracy);
  ASSERT_EQ(table.columns.size(), 6u);  // train, test, frequent class, published, one, two
  EXPECT_EQ(table.columns[3].title, "ResNet-RF");
  EXPECT_EQ(table.columns[3].source, Source::kPublished);
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(std::get<Measurement>(table.rows[0][3]).value, 62.5);
  EXPECT_EQ(std::get<std::string>(table.rows[1][3]), "0‡");
  EXPECT_DOUBLE_EQ(std::get<Measurement>(table.rows[1][4]).value, 37.5);
  EXPECT_TRUE(std::get<Measurement>(table.rows[1][4]).spread.has_value());
}

TEST(MatrixTables, SweepHasOneRowASizeWithThePublishedColumn) {
  MatrixResults results = Results();
  EXPECT_FALSE(SweepTable(Study(), results).has_value());
  results.arms[0].arm.sweep_column = 6;
  results.arms[0].arm.bottleneck = 50;
  results.arms[1].arm.sweep_column = 6;
  results.arms[1].arm.bottleneck = 64;  // A size that the thesis does not have.
  const Table table = SweepTable(Study(), results).value();
  ASSERT_EQ(table.rows.size(), 10u);
  ASSERT_EQ(table.columns.size(), 3u);
  EXPECT_EQ(std::get<std::string>(table.rows[2][0]), "50");
  EXPECT_DOUBLE_EQ(std::get<Measurement>(table.rows[2][1]).value, 85);
  EXPECT_DOUBLE_EQ(std::get<Measurement>(table.rows[2][2]).value, 100);
  EXPECT_EQ(std::get<std::string>(table.rows[3][0]), "64");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(table.rows[3][1]));
}

TEST(MatrixTables, AllPrint) {
  const MatrixResults results = Results();
  EXPECT_NE(TextTable(SummaryTable(Study(), results)).find("Arm one"), std::string::npos);
  EXPECT_NE(TextTable(ArmDifferencesTable(results)).find("two"), std::string::npos);
  EXPECT_NE(TextTable(CountsTable(results)).find("1, 1"), std::string::npos);
  EXPECT_GT(DrawBarChart(ArmChart(results)).shapes().size(), 10u);
  const ConfusionChart confusion = CrossDomainConfusion(results.arms[0]);
  std::uint64_t pictures = 0;
  for (const std::uint64_t count : confusion.counts) pictures += count;
  EXPECT_EQ(pictures, 16u);
}

}  // namespace
}  // namespace hemafed::studies
