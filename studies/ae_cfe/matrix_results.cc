// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/matrix_results.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::studies {

namespace {

using learning::CrossDomainMatrix;
using learning::OverRuns;

constexpr std::uint64_t kFormat = 1;

double ScoreOf(const ConfusionMatrix& matrix, Score score) {
  return score == Score::kAccuracy ? learning::AccuracyOf(matrix) : learning::BalancedAccuracyOf(matrix);
}

double CellScore(const CrossDomainMatrix& matrix, std::size_t train, std::size_t test, Reading reading, Score score) {
  const learning::CrossDomainCell& cell = matrix.Cell(train, test);
  return ScoreOf(reading == Reading::kWhole && cell.whole ? *cell.whole : cell.test_part, score);
}

template <class Figure>
OverRuns Over(const std::vector<CrossDomainMatrix>& runs, const Figure& figure) {
  std::vector<double> values;
  for (const CrossDomainMatrix& run : runs) values.push_back(figure(run));
  return learning::DescribeRuns(values);
}

// For each picture of each domain in turn: the part of the answers that are right, over training domains and seeds.
std::vector<double> RightParts(const MatrixResults& results, const FeatureArmResults& arm) {
  std::vector<double> parts;
  for (std::size_t b = 0; b < arm.domains(); ++b) {
    const std::vector<std::uint32_t> rows = arm.runs.front().splits[b].Both();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::size_t right = 0;
      for (const CrossDomainMatrix& run : arm.runs) {
        for (std::size_t a = 0; a < arm.domains(); ++a)
          right += a != b && run.Cell(a, b).answers[i] == results.rows[b].truth[rows[i]] ? 1 : 0;
      }
      parts.push_back(static_cast<double>(right) / static_cast<double>(arm.runs.size() * (arm.domains() - 1)));
    }
  }
  return parts;
}

}  // namespace

void SaveAnswers(FileSystem& files, const Path& path, const CrossDomainMatrix& matrix, const Digest& made_from) {
  nlohmann::json answers = nlohmann::json::array();
  for (const learning::CrossDomainCell& cell : matrix.cells) answers.push_back(cell.answers);
  const nlohmann::json object = {{"format", kFormat}, {"made_from", made_from.Hex()}, {"answers", answers}};
  WriteFileAtomically(files, path, object.dump() + "\n");
}

std::optional<std::vector<std::vector<std::uint32_t>>> LoadAnswers(FileSystem& files, const Path& path,
                                                                   const Digest& made_from) {
  if (!files.Exists(path)) return std::nullopt;
  const nlohmann::json object = ParseJsonObject(ReadFile(files, path, kMaxAnswersBytes), path.string());
  JsonFields fields(object, path.string());
  if (fields.Unsigned("format", UINT32_MAX) != kFormat || fields.Sha256Digest("made_from") != made_from)
    return std::nullopt;
  const nlohmann::json& lists = fields.Raw("answers");
  const auto is_list = [](const nlohmann::json& list) {
    return list.is_array() && list.size() <= learning::kMaxFeatureRows &&
           std::all_of(list.begin(), list.end(), [](const nlohmann::json& value) {
             return value.is_number_unsigned() && value.get<std::uint64_t>() < learning::kMaxFeatureClasses;
           });
  };
  if (!lists.is_array() || !std::all_of(lists.begin(), lists.end(), is_list))
    fields.Fail("answers", "must be lists of class numbers; remove the file, and the run is made again");
  fields.RequireAllRead();
  return lists.get<std::vector<std::vector<std::uint32_t>>>();
}

OverRuns FeatureArmResults::Cell(std::size_t train, std::size_t test, Reading reading, Score score) const {
  return Over(runs, [&](const CrossDomainMatrix& run) { return CellScore(run, train, test, reading, score); });
}

OverRuns FeatureArmResults::InDomain(Score score) const {
  return Over(runs, [&](const CrossDomainMatrix& run) {
    double sum = 0;
    for (std::size_t d = 0; d < domains(); ++d) sum += CellScore(run, d, d, Reading::kTestPart, score);
    return sum / static_cast<double>(domains());
  });
}

OverRuns FeatureArmResults::CrossDomain(Reading reading, Score score) const {
  return Over(runs, [&](const CrossDomainMatrix& run) {
    double sum = 0;
    for (std::size_t a = 0; a < domains(); ++a)
      for (std::size_t b = 0; b < domains(); ++b) sum += a == b ? 0 : CellScore(run, a, b, reading, score);
    return sum / static_cast<double>(domains() * (domains() - 1));
  });
}

double MatrixResults::FrequentClass(std::size_t train, std::size_t test, Reading reading) const {
  const CrossDomainMatrix& matrix = arms.front().runs.front();
  std::vector<std::size_t> counts(matrix.classes.size());
  for (const std::uint32_t row : matrix.splits[train].train) ++counts[rows[train].truth[row]];
  const auto frequent = static_cast<std::uint32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const learning::DomainSplit& split = matrix.splits[test];
  const auto scored = reading == Reading::kTestPart || train == test ? split.test : split.Both();
  const auto right =
      std::count_if(scored.begin(), scored.end(), [&](std::uint32_t row) { return rows[test].truth[row] == frequent; });
  return static_cast<double>(right) / static_cast<double>(scored.size());
}

learning::Interval CrossDomainDifference(const MatrixResults& results, const FeatureArmResults& ours,
                                         const FeatureArmResults& theirs) {
  std::vector<std::string> groups;
  std::vector<std::uint32_t> strata;
  for (std::size_t b = 0; b < ours.domains(); ++b) {
    for (const std::uint32_t row : ours.runs.front().splits[b].Both()) {
      const std::string& group = results.rows[b].groups[row];
      groups.push_back(group.empty() ? "" : std::to_string(b) + " " + group);
      strata.push_back(static_cast<std::uint32_t>(b));
    }
  }
  return learning::BootstrapDifference(RightParts(results, ours), RightParts(results, theirs),
                                       {.groups = groups, .strata = strata});
}

}  // namespace hemafed::studies
