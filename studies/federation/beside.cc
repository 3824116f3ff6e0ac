// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/beside.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "learning/data/csv.h"
#include "studies/report/run_record.h"

namespace hemafed::studies {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxSummaryBytes = 64u << 20;
constexpr std::size_t kMaxTitleBytes = 256;
constexpr std::size_t kMaxColumns = 2 * kMaxTasks;
constexpr std::string_view kScorePrefix = "score_";

[[noreturn]] void Fail(const Path& folder, const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, folder.string() + " cannot stand beside this study: " + problem);
}

// The class names and the file of every answer, from predictions.csv.
class Predictions {
 public:
  Predictions(FileSystem& files, const Path& path) {
    const learning::CsvTable table = learning::ParseCsv(ReadFile(files, path, learning::kMaxCsvBytes), path.string());
    for (const std::string& title : table.header) {
      if (title.starts_with(kScorePrefix)) classes.push_back(title.substr(kScorePrefix.size()));
    }
    const auto column = [&](const char* name) { return table.Column(name, path.string()); };
    const std::size_t experiment = column("experiment"), method = column("method"), seed = column("seed"),
                      set = column("test_set"), file = column("file");
    for (const learning::CsvRow& row : table.rows) {
      files_[row.fields[experiment] + "\n" + row.fields[method] + "\n" + row.fields[seed] + "\n" + row.fields[set]]
          .push_back(row.fields[file]);
    }
  }

  std::vector<std::string> classes;
  [[nodiscard]] std::vector<std::string> FilesOf(const std::string& experiment, const std::string& method,
                                                 std::uint64_t seed, const std::string& set) const {
    const auto found = files_.find(experiment + "\n" + method + "\n" + std::to_string(seed) + "\n" + set);
    return found == files_.end() ? std::vector<std::string>() : found->second;
  }

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

// Folder names have no blanks: "uacl K=125" lies in uacl-K125.
std::string FolderName(std::string method) {
  if (const auto at = method.find(" K="); at != std::string::npos) method.replace(at, 3, "-K");
  return method;
}

class Reader {
 public:
  Reader(FileSystem& files, Path folder, const Comparison& comparison)
      : files_(files),
        folder_(std::move(folder)),
        comparison_(comparison),
        predictions_(files, folder_ / "predictions.csv"),
        truth_(comparison.methods.front().results.front().columns) {
    for (const std::string& name : predictions_.classes) {
      const auto found = std::find(comparison.classes.begin(), comparison.classes.end(), name);
      if (found == comparison.classes.end()) Fail(folder_, "it has the class '" + name + "', which the plans have not");
      class_of_.push_back(found - comparison.classes.begin());
    }
  }

  std::vector<MethodResults> Read() {
    const Path path = folder_ / "summary.json";
    const json object = ParseJsonObject(ReadFile(files_, path, kMaxSummaryBytes), path.string());
    JsonFields summary(object, path.string());
    const json& experiments = summary.Raw("experiments");
    std::vector<std::pair<std::string, std::vector<MethodResults>>> fitting;
    std::string there;
    for (const auto& [name, value] : experiments.items()) {
      JsonFields experiment(value, path.string() + ": " + name);
      const auto columns = experiment.Texts("columns", kMaxColumns, kMaxTitleBytes);
      there += (there.empty() ? "" : "; ") + name + ":";
      for (const std::string& title : columns) there += " " + title;
      if (LearnedTheSame(columns)) fitting.emplace_back(name, ReadExperiment(name, columns, experiment.Raw("methods")));
    }
    std::vector<MethodResults> methods;
    for (auto& [name, of_experiment] : fitting) {
      for (MethodResults& method : of_experiment) {
        method.name = fitting.size() > 1 ? "central " + name + " " + method.name : "central " + method.name;
        methods.push_back(std::move(method));
      }
    }
    if (methods.empty()) Fail(folder_, "none of its experiments learned the same tasks in this order (" + there + ")");
    return methods;
  }

 private:
  bool LearnedTheSame(const std::vector<std::string>& columns) const {
    std::size_t tasks = 0;
    for (const std::string& title : columns) tasks += title.ends_with(" (unseen)") ? 0 : 1;
    if (tasks != comparison_.tasks) return false;
    for (std::size_t j = 0; j < tasks; ++j) {
      if (columns[j] != comparison_.test_sets[j].title) return false;
    }
    return true;
  }

  std::vector<MethodResults> ReadExperiment(const std::string& experiment, const std::vector<std::string>& columns,
                                            const json& methods) const {
    std::vector<MethodResults> read;
    for (const auto& [name, value] : methods.items()) {
      MethodResults method{.experiment = 0, .method = 0, .budget = {}, .name = name, .seeds = {}, .results = {}};
      JsonFields fields(value, "summary.json: " + name);
      for (JsonFields& run : fields.Objects("runs", 10'000)) {
        const std::uint64_t seed = run.Unsigned("seed", kMaxRecordedSeed);
        const Path path =
            folder_ / "runs" / experiment / FolderName(name) / ("seed-" + std::to_string(seed)) / "result.json";
        const RunResult result = RunResult::FromText(ReadFile(files_, path, kMaxResultBytes), path.string());
        if (result.columns.size() != columns.size() || result.answers.size() != comparison_.tasks) {
          Fail(folder_, path.string() + " has other test sets or tasks than summary.json says");
        }
        method.seeds.push_back(seed);
        method.results.push_back(Fit(result, experiment, name, seed, columns));
      }
      if (!method.results.empty()) read.push_back(std::move(method));
    }
    return read;
  }

  // The same answers in the comparison's columns and classes.
  RunResult Fit(const RunResult& theirs, const std::string& experiment, const std::string& method, std::uint64_t seed,
                const std::vector<std::string>& columns) const {
    RunResult fitted;
    fitted.made_from = theirs.made_from;
    fitted.model = theirs.model;
    fitted.train_pictures = theirs.train_pictures;
    fitted.seconds_thousandths = theirs.seconds_thousandths;
    fitted.score_classes = Translated(theirs.score_classes);
    fitted.answers.resize(theirs.answers.size());
    for (std::size_t j = 0; j < comparison_.test_sets.size(); ++j) {
      const TestSet& set = comparison_.test_sets[j];
      auto found = std::find(columns.begin(), columns.end(), set.title);
      // A plan's observer is there an unseen domain.
      if (found == columns.end()) found = std::find(columns.begin(), columns.end(), set.title + " (unseen)");
      const auto at = static_cast<std::size_t>(found - columns.begin());
      const bool same = found != columns.end() && predictions_.FilesOf(experiment, method, seed, *found) == set.files &&
                        Translated(theirs.columns[at]) == truth_.at(j);
      if (!same && j < comparison_.tasks) {
        Fail(folder_, "the test pictures of " + set.title + " are others there, or have other classes");
      }
      fitted.columns.push_back(same ? truth_[j] : std::vector<std::int64_t>());
      fitted.scores_millionths.push_back(same ? theirs.scores_millionths[at] : std::vector<std::int64_t>());
      for (std::size_t t = 0; t < fitted.answers.size(); ++t) {
        fitted.answers[t].push_back(same ? Translated(theirs.answers[t][at]) : std::vector<std::int64_t>());
      }
    }
    return fitted;
  }

  std::vector<std::int64_t> Translated(const std::vector<std::int64_t>& labels) const {
    std::vector<std::int64_t> ours;
    ours.reserve(labels.size());
    for (const std::int64_t label : labels) {
      if (label < 0 || static_cast<std::size_t>(label) >= class_of_.size()) Fail(folder_, "it has an unnamed class");
      ours.push_back(class_of_[static_cast<std::size_t>(label)]);
    }
    return ours;
  }

  FileSystem& files_;
  Path folder_;
  const Comparison& comparison_;
  Predictions predictions_;
  const std::vector<std::vector<std::int64_t>>& truth_;
  std::vector<std::int64_t> class_of_;  // Their class index -> ours.
};

}  // namespace

std::vector<MethodResults> MethodsBeside(FileSystem& files, const Path& folder, const Comparison& comparison) {
  return Reader(files, folder, comparison).Read();
}

}  // namespace hemafed::studies
