// tests/codec/score_samples.h
// SPDX-License-Identifier: Apache-2.0
//
// Pictures with scores, the same for every test and for the old samples in tests/data/score_histograms/.
#pragma once

#include <vector>

#include "codec/score_histograms.h"
#include "common/random.h"

namespace hemafed::testing_support {

struct ScoredPicture {
  std::size_t truth = 0;
  std::vector<double> scores;
};

// `count` pictures of classes 0 .. classes-1 in turn; scores of the first `known` classes sum to about 1.
inline std::vector<ScoredPicture> SamplePictures(std::size_t classes, std::size_t known, std::size_t count,
                                                 std::uint64_t seed = 5) {
  RandomStream random(seed);
  std::vector<ScoredPicture> pictures(count);
  for (std::size_t i = 0; i < count; ++i) {
    pictures[i].truth = i % classes;
    double sum = 0;
    for (std::size_t k = 0; k < known; ++k) {
      pictures[i].scores.push_back(1.0 + random.NextBelow(1000) + (k == i % classes ? 500.0 : 0.0));
      sum += pictures[i].scores.back();
    }
    for (double& score : pictures[i].scores) score /= sum;
  }
  return pictures;
}

inline ScoreTally TallyOf(std::size_t classes, const std::vector<ScoredPicture>& pictures) {
  ScoreTally tally(classes);
  for (const ScoredPicture& picture : pictures) tally.Add(picture.truth, picture.scores);
  return tally;
}

// Every picture is taken for the class of its best score.
inline ConfusionMatrix MatrixOf(std::size_t classes, const std::vector<ScoredPicture>& pictures) {
  ConfusionMatrix matrix(classes);
  for (const ScoredPicture& picture : pictures) {
    std::size_t best = 0;
    for (std::size_t k = 1; k < picture.scores.size(); ++k) best = picture.scores[k] > picture.scores[best] ? k : best;
    matrix.Add(picture.truth, best);
  }
  return matrix;
}

}  // namespace hemafed::testing_support
