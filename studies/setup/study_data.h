// studies/setup/study_data.h
// SPDX-License-Identifier: Apache-2.0
//
// The pictures of a study: every domain that the chosen experiments name, opened once and shared by all runs.
//
// A column is a test set: for each task its domain's test pictures of the task's classes, then one column for each
// unseen domain with all its classes. Under `part = "validation"` a fifth of the training pictures takes the
// place of the test pictures, and training goes without it (design 11.2).
//
// Errors: those of DomainPictures; kInvalidInput for a task or column without pictures of a class. Thread-safety: const
// calls from several threads; each source handed out belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/progress.h"
#include "common/sha256.h"
#include "learning/continual/batch_source.h"
#include "learning/data/domain_pictures.h"
#include "studies/setup/study_file.h"

namespace hemafed::studies {

struct TestColumn {
  std::string title;  // "raabin", or "raabin 2" for the second of several tasks there
  std::string domain;
  std::vector<std::uint32_t> pictures;  // positions in the domain's index, ascending
  std::vector<std::int64_t> truth;      // class index of each
};

class StudyData {
 public:
  // `cache_folder`: tiles and indexes are kept there between studies. Throws kInterrupted when the person stops.
  StudyData(FileSystem& files, const StudyFile& study, const std::vector<std::size_t>& experiments,
            const Path& data_folder, const Path& cache_folder, Progress& progress);

  [[nodiscard]] const learning::DomainPictures& Domain(const std::string& name) const { return *domains_.at(name); }
  [[nodiscard]] const std::vector<TestColumn>& Columns(std::size_t experiment) const { return columns_.at(experiment); }
  // Training pictures of a task. Throws kInvalidInput if one of its classes has none.
  [[nodiscard]] std::unique_ptr<learning::BatchSource> Training(const StudyTask& task) const;
  [[nodiscard]] std::unique_ptr<learning::BatchSource> Test(const TestColumn& column) const;
  [[nodiscard]] std::size_t TrainingPictures(const StudyTask& task) const;
  // What each domain's import found and left out, for people.
  [[nodiscard]] std::string Imports() const;
  // "pictures of raabin" -> digest of its index: what results depend on.
  [[nodiscard]] std::map<std::string, Digest> Digests() const;

 private:
  [[nodiscard]] std::vector<std::uint32_t> TrainingPositions(const StudyTask& task) const;
  [[nodiscard]] TestColumn MakeColumn(const StudyTask& task, std::string title) const;

  learning::DomainPart train_part_;
  learning::DomainPart test_part_;
  std::vector<std::string> classes_;
  std::map<std::string, std::unique_ptr<learning::DomainPictures>> domains_;
  std::map<std::size_t, std::vector<TestColumn>> columns_;  // by experiment
};

}  // namespace hemafed::studies
