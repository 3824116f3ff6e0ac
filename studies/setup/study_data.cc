// SPDX-License-Identifier: Apache-2.0
#include "studies/setup/study_data.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/stop_signal.h"

namespace hemafed::studies {

namespace {

using learning::DomainPart;

std::set<std::string> DomainsOf(const StudyFile& study, const std::vector<std::size_t>& experiments) {
  std::set<std::string> names;
  for (const std::size_t e : experiments) {
    for (const StudyTask& task : study.experiments.at(e).tasks) names.insert(task.domain);
    for (const std::string& unseen : study.experiments.at(e).unseen) names.insert(unseen);
  }
  return names;
}

// "raabin", or with the place among its tasks where the domain has several.
std::string ColumnTitle(const Experiment& experiment, std::size_t task) {
  const std::string& domain = experiment.tasks.at(task).domain;
  std::size_t before = 0, all = 0;
  for (std::size_t i = 0; i < experiment.tasks.size(); ++i) {
    if (experiment.tasks[i].domain != domain) continue;
    ++all;
    if (i < task) ++before;
  }
  return all == 1 ? domain : domain + " " + std::to_string(before + 1);
}

}  // namespace

StudyData::StudyData(FileSystem& files, const StudyFile& study, const std::vector<std::size_t>& experiments,
                     const Path& data_folder, const Path& cache_folder, Progress& progress)
    : train_part_(study.part == StudyPart::kTest ? DomainPart::kTrain : DomainPart::kFit),
      test_part_(study.part == StudyPart::kTest ? DomainPart::kTest : DomainPart::kValidation),
      classes_(study.classes) {
  files.CreateFolders(cache_folder);
  for (const std::string& name : DomainsOf(study, experiments)) {
    learning::DomainSource source = study.domains[study.DomainNamed(name)];
    source.folder = data_folder / source.folder;
    progress.Begin(name + ": reading pictures", 0, "pictures");
    domains_[name] =
        std::make_unique<learning::DomainPictures>(files, source, cache_folder, study.classes, study.model.input_px,
                                                   study.augmentation, [&](std::uint64_t done, std::uint64_t total) {
                                                     progress.Update(done, "of " + std::to_string(total));
                                                     return !StopRequested();
                                                   });
    progress.End(std::to_string(domains_[name]->index().pictures.size()) + " pictures, " +
                 std::to_string(domains_[name]->left_out()) + " files left out");
  }
  for (const std::size_t e : experiments) {
    const Experiment& experiment = study.experiments.at(e);
    std::vector<TestColumn>& columns = columns_[e];
    for (std::size_t t = 0; t < experiment.tasks.size(); ++t) {
      (void)TrainingPositions(experiment.tasks[t]);  // A class without pictures is refused before anything is trained.
      columns.push_back(MakeColumn(experiment.tasks[t], ColumnTitle(experiment, t)));
    }
    for (const std::string& name : experiment.unseen) columns.push_back(MakeColumn({name, {}}, name + " (unseen)"));
  }
}

std::vector<std::uint32_t> StudyData::TrainingPositions(const StudyTask& task) const {
  const learning::DomainPictures& domain = Domain(task.domain);
  std::vector<std::uint32_t> positions = domain.Positions(train_part_, task.classes);
  for (const std::int64_t label : task.classes) {
    const auto is_of_class = [&](std::uint32_t position) { return domain.Label(position) == label; };
    if (std::none_of(positions.begin(), positions.end(), is_of_class)) {
      throw Error(ErrorCode::kInvalidInput, task.domain + " has no training picture of the class '" +
                                                classes_.at(static_cast<std::size_t>(label)) +
                                                "'; leave it out of the task, or check the label map");
    }
  }
  return positions;
}

TestColumn StudyData::MakeColumn(const StudyTask& task, std::string title) const {
  const learning::DomainPictures& domain = Domain(task.domain);
  TestColumn column{.title = std::move(title),
                    .domain = task.domain,
                    .pictures = domain.Positions(test_part_, task.classes),
                    .truth = {}};
  if (column.pictures.empty()) {
    throw Error(ErrorCode::kInvalidInput, column.title + " has no picture to score; check its split");
  }
  for (const std::uint32_t position : column.pictures) column.truth.push_back(domain.Label(position));
  return column;
}

std::unique_ptr<learning::BatchSource> StudyData::Training(const StudyTask& task) const {
  return Domain(task.domain).Batches(TrainingPositions(task), learning::TileThreads::kCaller);
}

std::unique_ptr<learning::BatchSource> StudyData::Test(const TestColumn& column) const {
  return Domain(column.domain).Batches(column.pictures);
}

std::size_t StudyData::TrainingPictures(const StudyTask& task) const { return TrainingPositions(task).size(); }

std::string StudyData::Imports() const {
  std::string text;
  for (const auto& [name, domain] : domains_) text += (text.empty() ? "" : "\n") + domain->report();
  return text;
}

std::map<std::string, Digest> StudyData::Digests() const {
  std::map<std::string, Digest> digests;
  for (const auto& [name, domain] : domains_) digests["pictures of " + name] = IndexDigest(domain->index());
  return digests;
}

}  // namespace hemafed::studies
