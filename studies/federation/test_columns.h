// studies/federation/test_columns.h
// SPDX-License-Identifier: Apache-2.0
//
// The test sets of a federated study, and what a model answers for them. In a consortium only counts leave a hospital;
// a simulation has the pictures, so it can say picture by picture who was right and compare plans in pairs.
//
// Columns: those of the plan (for each task its site's test pictures of its classes, then observers), then one for each
// unseen site of the list.
//
// Errors: kInvalidInput for a column without pictures or a model with other classes than the plan. Thread-safety: const
// calls from several threads; Answer makes a source of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "codec/evaluation.h"
#include "codec/plan.h"
#include "learning/models/classifier.h"
#include "site_agent/trainer/rounded_features.h"
#include "studies/federation/picture_shelf.h"
#include "studies/federation/site_list.h"
#include "studies/uacl/analysis.h"

namespace hemafed::studies {

struct TestColumnOfSite {
  std::string title;  // Of the plan's column, or "matek19 (unseen)".
  std::string site;
  std::size_t pool = 0;  // Of the plan's column.
  std::shared_ptr<const trainer::Pictures> pictures;
  std::vector<std::uint32_t> positions;  // in the index, ascending
  std::vector<std::int64_t> truth;

  [[nodiscard]] TestSet Describe() const;
};

[[nodiscard]] std::vector<TestColumnOfSite> ColumnsOf(const Plan& plan, const SiteList& list, PictureShelf& shelf);

struct ModelAnswers {
  std::vector<std::int64_t> predicted;  // Place of the class in the plan, which is its row in the head.
  // [pictures x classes that the model knows]: softmax; of a solved head its scores, which are no probabilities.
  std::vector<std::int64_t> scores_millionths;
};
// One entry a column. As the trainer's evaluation decides (learning/continual/evaluate.h): all test pictures of a site
// in one go, in the same batches, the first of the largest logits. `on_pictures` may throw to stop.
[[nodiscard]] std::vector<ModelAnswers> Answer(const learning::Classifier& model,
                                               const std::vector<TestColumnOfSite>& columns,
                                               const std::function<void(const std::string& site)>& on_pictures);
[[nodiscard]] std::vector<ModelAnswers> Answer(const trainer::AnalyticClassifier& model,
                                               const std::vector<TestColumnOfSite>& columns,
                                               const std::function<void(const std::string& site)>& on_pictures);
// What a site of the plan would sign for these answers.
[[nodiscard]] EvaluationReport ReportOf(const Plan& plan, const std::string& site,
                                        const std::vector<TestColumnOfSite>& columns,
                                        const std::vector<ModelAnswers>& answers);

// Digest of what the columns hold, pictures and labels.
[[nodiscard]] Digest DigestOf(const std::vector<TestColumnOfSite>& columns);

}  // namespace hemafed::studies
