// SPDX-License-Identifier: Apache-2.0
#include "learning/features/latent/random_forest.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <string>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "random forest: " + problem);
}

// cv::theRNG() belongs to the thread; others may be using it for something else.
class ScopedRandomState {
 public:
  explicit ScopedRandomState(std::uint64_t seed) : before_(cv::theRNG().state) {
    const std::uint64_t state = DeriveSeed(seed, "random forest 1");
    cv::theRNG().state = state == 0 ? 1 : state;  // A multiply-with-carry generator never leaves 0.
  }
  ~ScopedRandomState() { cv::theRNG().state = before_; }
  ScopedRandomState(const ScopedRandomState&) = delete;
  ScopedRandomState& operator=(const ScopedRandomState&) = delete;

 private:
  std::uint64_t before_;
};

void CheckSettings(const ForestSettings& settings, std::size_t columns) {
  if (settings.trees < 1 || settings.trees > kMaxForestTrees)
    Fail("the number of trees must be 1 to " + std::to_string(kMaxForestTrees));
  if (settings.depth_max < 1 || settings.depth_max > kMaxForestDepth)
    Fail("the largest depth must be 1 to " + std::to_string(kMaxForestDepth));
  if (settings.split_rows_min < 2) Fail("a node of fewer than 2 rows cannot be split");
  if (settings.columns_per_node < 0 || static_cast<std::size_t>(settings.columns_per_node) > columns)
    Fail("a node cannot try " + std::to_string(settings.columns_per_node) + " of " + std::to_string(columns) +
         " columns");
}

void CheckValues(const FeatureMatrix& features) {
  RequireUsable(features, "the random forest");
  if (std::any_of(features.values.begin(), features.values.end(), [](float v) { return std::abs(v) >= FLT_MAX; }))
    Fail("a feature has the largest float, which OpenCV takes for a missing value");
}

// A header over the values; OpenCV does not write through it.
cv::Mat View(const FeatureMatrix& features) {
  return {static_cast<int>(features.rows), static_cast<int>(features.columns), CV_32F,
          const_cast<float*>(features.values.data())};
}

}  // namespace

RandomForest RandomForest::Train(const FeatureMatrix& features, std::span<const std::uint32_t> labels,
                                 std::size_t classes, const ForestSettings& settings) {
  CheckValues(features);
  CheckSettings(settings, features.columns);
  if (labels.size() != features.rows) Fail("there must be one label a row");
  if (std::any_of(labels.begin(), labels.end(), [&](std::uint32_t label) { return label >= classes; }))
    Fail("a label is not below the number of classes");
  if (std::all_of(labels.begin(), labels.end(), [&](std::uint32_t label) { return label == labels.front(); }))
    Fail("all rows are of one class; there is nothing to tell apart");

  cv::Mat responses(static_cast<int>(labels.size()), 1, CV_32S);
  for (std::size_t i = 0; i < labels.size(); ++i) responses.at<int>(static_cast<int>(i)) = static_cast<int>(labels[i]);
  const auto root = static_cast<int>(std::floor(std::sqrt(static_cast<double>(features.columns))));

  RandomForest forest;
  forest.classes_ = classes;
  forest.columns_ = features.columns;
  forest.trees_ = cv::ml::RTrees::create();
  forest.trees_->setMaxDepth(settings.depth_max);
  forest.trees_->setMinSampleCount(settings.split_rows_min - 1);
  forest.trees_->setUseSurrogates(false);
  forest.trees_->setCalculateVarImportance(false);
  forest.trees_->setActiveVarCount(settings.columns_per_node > 0 ? settings.columns_per_node : std::max(1, root));
  // COUNT alone: with EPS the trees would stop once the out-of-bag error is small.
  forest.trees_->setTermCriteria({cv::TermCriteria::COUNT, settings.trees, 0});
  const ScopedRandomState random(settings.seed);
  const cv::Ptr<cv::ml::TrainData> data = cv::ml::TrainData::create(View(features), cv::ml::ROW_SAMPLE, responses);
  if (!forest.trees_->train(data)) throw Error(ErrorCode::kInternal, "OpenCV trained no forest and gave no reason");
  return forest;
}

std::vector<std::uint32_t> RandomForest::Votes(const FeatureMatrix& features) const {
  CheckValues(features);
  if (features.columns != columns_)
    Fail("trained on " + std::to_string(columns_) + " columns, asked about " + std::to_string(features.columns));
  cv::Mat counted;  // First row: the labels that occurred in training; then one row of counts a sample.
  trees_->getVotes(View(features), counted, 0);
  std::vector<std::uint32_t> votes(features.rows * classes_);
  for (int column = 0; column < counted.cols; ++column) {
    const auto label = static_cast<std::size_t>(counted.at<int>(0, column));
    for (std::size_t row = 0; row < features.rows; ++row) {
      const int count = counted.at<int>(static_cast<int>(row) + 1, column);
      votes[row * classes_ + label] = static_cast<std::uint32_t>(count);
    }
  }
  return votes;
}

std::vector<std::uint32_t> RandomForest::Predict(const FeatureMatrix& features) const {
  const std::vector<std::uint32_t> votes = Votes(features);
  std::vector<std::uint32_t> answers(features.rows);
  for (std::size_t row = 0; row < features.rows; ++row) {
    const auto first = votes.begin() + static_cast<std::ptrdiff_t>(row * classes_);
    const auto best = std::max_element(first, first + static_cast<std::ptrdiff_t>(classes_));  // The first of equals.
    answers[row] = static_cast<std::uint32_t>(best - first);
  }
  return answers;
}

}  // namespace hemafed::learning
