// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/published_ae_cfe.h"

#include <algorithm>

#include "common/error.h"

namespace hemafed::studies {

namespace {

using enum AeCfeDomain;
using enum AeCfeMethod;

constexpr int kSizes = 9;
constexpr int kColumns = 8;

constexpr std::array<int, kSizes> kSweepSizes = {5, 10, 50, 100, 150, 300, 400, 650, 1000};
constexpr std::array<SweepColumn, kColumns> kSweepColumns = {{{"MSE R101", false, false, 101},
                                                              {"MSE R50", false, false, 50},
                                                              {"SSIM R101", true, false, 101},
                                                              {"SSIM R50", true, false, 50},
                                                              {"MSE-BB R101", false, true, 101},
                                                              {"MSE-BB R50", false, true, 50},
                                                              {"SSIM-BB R101", true, true, 101},
                                                              {"SSIM-BB R50", true, true, 50}}};
constexpr std::array<std::array<double, kColumns>, kSizes> kSweep = {
    {{0.46, 0.46, 0.46, 0.72, 0.81, 0.46, 0.78, 0.72},
     {0.59, 0.66, 0.52, 0.72, 0.74, 0.75, 0.79, 0.78},
     {0.81, 0.79, 0.82, 0.81, 0.85, 0.84, 0.85, 0.84},
     {0.82, 0.79, 0.82, 0.82, 0.86, 0.84, 0.87, 0.85},
     {0.82, 0.80, 0.83, 0.83, 0.86, 0.84, 0.87, 0.85},
     {0.82, 0.80, 0.82, 0.83, 0.85, 0.83, 0.87, 0.85},
     {0.82, 0.81, 0.81, 0.83, 0.86, 0.84, 0.87, 0.86},
     {0.84, 0.77, 0.82, 0.82, 0.87, 0.82, 0.87, 0.85},
     {0.81, 0.88, 0.80, 0.83, 0.84, 0.82, 0.86, 0.86}}};
constexpr std::size_t kOddSize = 8;    // 1,000
constexpr std::size_t kOddColumn = 1;  // MSE R50

struct Printed {
  double value;
  double spread;  // Below 0: none printed.
  int digits = 1;
  int spread_digits = 1;
};

constexpr Printed kNothing{-1, -1};

// [train, test] in the order of the tables, [method] of Table 3.2.
constexpr std::array<std::array<Printed, 6>, 9> kTable32 = {
    {{{{62.5, 2.8}, {60.5, 0.8}, {86.0, 0.04, 1, 2}, {83, 0.4, 0}, {87.5, 0.8}, {83.7, 0.5}}},
     {{{0, -1, 0}, {0, -1, 0}, {46.8, 0.2}, {40, 0.21, 0, 2}, {31.4, 0.31, 1, 2}, {48.4, 0.2}}},
     {{{0, -1, 0}, {0, -1, 0}, {20.1, 0.1}, {8.4, 0.8}, {8.6, 0.4}, {21.9, 0.4}}},
     {{{0, -1, 0}, {0, -1, 0}, {47.2, 3.4}, {30.0, 0.1}, {63.9, 0.2}, {73.2, 0.1}}},
     {{{45.2, 1.1}, {46.09, 0.4, 2}, {69.1, 0.4}, {66.3, 0.3}, {66.8, 0.4}, {65.6, 0.5}}},
     {{{0, -1, 0}, {0, -1, 0}, {4.6, 0.6}, {15.7, 0.9}, {17.7, 0.7}, {31.8, 0.4}}},
     {{{0, -1, 0}, {0, -1, 0}, {39.4, 1.4}, {15.2, 0.4}, {39.4, 0.6}, {45.1, 0.5}}},
     {{{0, -1, 0}, {0, -1, 0}, {9.7, 0.3}, {16.0, 0.6}, {17.7, 0.7}, {21.0, 0.5}}},
     {{{37.1, 0.8}, {35.9, 1.1}, {67.2, 0.7}, {40.0, 0.2}, {64.3, 0.1}, {65.2, 0.5}}}}};
// [train, test], [ResNeXt, Matek et al.] of Table 3.3.
constexpr std::array<std::array<Printed, 2>, 9> kTable33 = {{{{kNothing, {96.1, -1}}},
                                                             {{kNothing, {29.5, -1}}},
                                                             {{kNothing, {8.1, -1}}},
                                                             {{{49.6, 6.3}, kNothing}},
                                                             {{{88.7, 1.5}, kNothing}},
                                                             {{{16.9, 1.6}, kNothing}},
                                                             {{{7.3, 3.1}, kNothing}},
                                                             {{{8.1, 1.4}, kNothing}},
                                                             {{{85.7, 2.4}, kNothing}}}};

template <class Enum, std::size_t N>
Enum Named(std::string_view name, const std::array<Enum, N>& all, std::string_view what) {
  std::string known;
  for (const Enum value : all) {
    if (NameOf(value) == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(NameOf(value));
  }
  throw Error(ErrorCode::kInvalidInput,
              "no published " + std::string(what) + " '" + std::string(name.substr(0, 64)) + "'; there are " + known);
}

// "83.7 ± 0.5", with its mark.
std::string PrintedText(const PublishedAccuracy& accuracy) {
  return FormatMeasurement(accuracy.percent) + std::string(MarkOf(accuracy.oddity));
}

Cell PrintedCell(const std::optional<PublishedAccuracy>& accuracy) {
  return accuracy ? Cell(PrintedText(*accuracy)) : Cell();
}

const char* kPublication = "Published: Salehi, thesis; three sets, 13 classes. ± is the standard deviation of 5 runs.";

Table MatrixTable(const std::string& title, std::span<const AeCfeMethod> methods) {
  Table table{.title = title, .columns = {{"train"}, {"test"}}, .rows = {}, .notes = {kPublication}};
  for (const AeCfeMethod method : methods) table.columns.push_back({std::string(NameOf(method)), Source::kPublished});
  for (const AeCfeDomain train : kAeCfeDomains) {
    for (const AeCfeDomain test : kAeCfeDomains) {
      std::vector<Cell> row = {std::string(NameOf(train)), std::string(NameOf(test))};
      for (const AeCfeMethod method : methods) row.push_back(PrintedCell(PublishedCell(method, train, test)));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace

std::string_view NameOf(AeCfeDomain domain) {
  constexpr std::array<std::string_view, 3> kNames = {"Matek-19", "INT-20", "Acevedo-20"};
  return kNames.at(static_cast<std::size_t>(domain));
}

std::string_view NameOf(AeCfeMethod method) {
  constexpr std::array<std::string_view, 8> kNames = {"ResNet-RF", "R-CNN-RF", "AE-RF",   "ND-AE-DA",
                                                      "AAE-DA",    "AE-CFE",   "ResNeXt", "Matek et al."};
  return kNames.at(static_cast<std::size_t>(method));
}

AeCfeDomain AeCfeDomainNamed(std::string_view name) { return Named(name, kAeCfeDomains, "set"); }
AeCfeMethod AeCfeMethodNamed(std::string_view name) { return Named(name, kAeCfeMethods, "method"); }

std::optional<PublishedAccuracy> PublishedCell(AeCfeMethod method, AeCfeDomain train, AeCfeDomain test) {
  const std::size_t row = static_cast<std::size_t>(train) * kAeCfeDomains.size() + static_cast<std::size_t>(test);
  const auto column = static_cast<std::size_t>(method);
  constexpr std::size_t kFirstOracle = static_cast<std::size_t>(kResNeXt);
  const Printed& printed =
      column < kFirstOracle ? kTable32.at(row).at(column) : kTable33.at(row).at(column - kFirstOracle);
  if (printed.value < 0) return std::nullopt;
  PublishedAccuracy accuracy{.percent = {.value = printed.value, .spread = {}, .digits = printed.digits}};
  if (printed.spread >= 0) accuracy.percent.spread = printed.spread;
  // In places a spread is printed with more digits than its value; both get the larger number of them.
  if (printed.spread >= 0) accuracy.percent.digits = std::max(printed.digits, printed.spread_digits);
  if (printed.value == 0) accuracy.oddity = Oddity::kFarBelowChance;
  if (method == kAaeDa && printed.value == 17.7) accuracy.oddity = Oddity::kPrintedTwice;
  return accuracy;
}

std::span<const SweepColumn> SweepColumns() { return kSweepColumns; }
std::span<const int> SweepSizes() { return kSweepSizes; }

PublishedAccuracy PublishedSweep(std::size_t size, std::size_t column) {
  return {.percent = {.value = kSweep.at(size).at(column), .spread = {}, .digits = 2},
          .oddity = size == kOddSize && column == kOddColumn ? Oddity::kOutOfLine : Oddity::kNone};
}

std::string_view MarkOf(Oddity oddity) {
  constexpr std::array<std::string_view, 4> kMarks = {"", "*", "†", "‡"};
  return kMarks.at(static_cast<std::size_t>(oddity));
}

std::vector<Table> PublishedAeCfeTables() {
  Table sweep{.title = "Table 3.1: random forest on Matek-19 by size of the latent",
              .columns = {{"latent"}},
              .rows = {},
              .notes = {"Published: Salehi, thesis; accuracy, one run. BB: picture cropped to the cell's box.",
                        "* out of line with its column."}};
  for (const SweepColumn& column : kSweepColumns)
    sweep.columns.push_back({std::string(column.name), Source::kPublished});
  for (std::size_t s = 0; s < kSweepSizes.size(); ++s) {
    std::vector<Cell> row = {std::to_string(kSweepSizes[s])};
    for (std::size_t c = 0; c < kSweepColumns.size(); ++c) row.emplace_back(PrintedText(PublishedSweep(s, c)));
    sweep.rows.push_back(std::move(row));
  }
  Table extractors =
      MatrixTable("Table 3.2: accuracy in percent of six feature extractors", std::span(kAeCfeMethods).first(6));
  extractors.notes.emplace_back("† value and spread stand in two cells of the column.");
  extractors.notes.emplace_back(
      "‡ called close to zero; far below what always naming the most frequent class gives, so labels that did not "
      "match "
      "are likelier than features that did not transfer. No target.");
  constexpr std::array kOracles = {kResNeXt, kMatekEtAl, kAeCfe};
  return {std::move(sweep), std::move(extractors),
          MatrixTable("Table 3.3: accuracy in percent beside networks trained for the task", kOracles)};
}

}  // namespace hemafed::studies
