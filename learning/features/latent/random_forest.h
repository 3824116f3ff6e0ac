// learning/features/latent/random_forest.h
// SPDX-License-Identifier: Apache-2.0
//
// Random forest (Breiman, Machine Learning 2001) over features, by OpenCV's `ml`: the classifier with which AE-CFE
// scores its latents (100 trees of depth at most 16, seed 0, otherwise scikit-learn's defaults).
//
// One tree is grown on as many rows as there are, drawn with replacement; each node tries floor(sqrt(d)) columns; a
// node with fewer than two rows, of one class or at the largest depth is a leaf. Trees vote; the class with most votes
// is the answer, the lowest number among equals. scikit-learn averages the leaves' shares of classes instead of
// counting votes, which matters only where the depth keeps leaves impure: at depth 16 the accuracies agree within a
// standard deviation over seeds, at depth 4 votes lose a tenth (random_forest_test.cc).
//
// OpenCV's traps, each taken care of here:
//   - its default largest depth is 5, and anything above 25 is cut to 25: kMaxForestDepth;
//   - a node with at most "min sample count" rows (default 10) is a leaf: that is one below scikit-learn's
//     min_samples_split;
//   - "max categories" and "surrogates" belong to categorical and missing features; all of ours are numbers, and
//     FLT_MAX would mean "missing", so such values are refused;
//   - responses must be integers, or a regression is trained without a word;
//   - the default number of columns per node is rounded to nearest, scikit-learn rounds down: it is set here;
//   - randomness comes from the calling thread's cv::theRNG(): Train sets its state from the seed and puts the old one
//     back, so nothing that ran before matters and nothing after is disturbed.
//
// Bits: the same rows, settings and OpenCV build give the same forest.
//
// Errors: kInvalidInput for no rows, labels that do not fit, fewer than two classes among the rows, settings out of
// range, features of another width, a value that is NaN, infinite or FLT_MAX.
// Thread-safety: Train may run on several threads at once; a trained forest may be asked from one thread at a time.
#pragma once

#include <cstdint>
#include <opencv2/ml.hpp>
#include <span>
#include <vector>

#include "learning/features/latent/feature_matrix.h"

namespace hemafed::learning {

inline constexpr int kMaxForestTrees = 10'000;
inline constexpr int kMaxForestDepth = 25;  // OpenCV's own bound.

struct ForestSettings {
  int trees = 100;
  int depth_max = 16;
  int split_rows_min = 2;    // Nodes with fewer rows are leaves.
  int columns_per_node = 0;  // 0: floor(sqrt(d)), at least 1.
  std::uint64_t seed = 0;

  bool operator==(const ForestSettings&) const = default;
};

class RandomForest {
 public:
  // `labels`: class number of each row, below `classes`.
  [[nodiscard]] static RandomForest Train(const FeatureMatrix& features, std::span<const std::uint32_t> labels,
                                          std::size_t classes, const ForestSettings& settings = {});

  [[nodiscard]] std::size_t classes() const { return classes_; }
  [[nodiscard]] std::size_t columns() const { return columns_; }
  // Votes of the trees, [rows, classes()] row-major; each row sums to the number of trees.
  [[nodiscard]] std::vector<std::uint32_t> Votes(const FeatureMatrix& features) const;
  // One class a row.
  [[nodiscard]] std::vector<std::uint32_t> Predict(const FeatureMatrix& features) const;

 private:
  RandomForest() = default;

  std::size_t classes_ = 0;
  std::size_t columns_ = 0;
  cv::Ptr<cv::ml::RTrees> trees_;
};

}  // namespace hemafed::learning
