// SPDX-License-Identifier: Apache-2.0
//
// Drift between domains that were drawn: what is compared with what, and stopping.
#include "studies/ae_cfe/feature_maps.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/learning/features/latent/synthetic_features.h"

namespace hemafed::studies {
namespace {

// Three domains of 40 rows, all training; the last one lies elsewhere.
struct Drawn {
  Drawn() {
    for (std::uint64_t d = 0; d < 3; ++d) {
      learning::DomainFeatures domain{.domain = std::string(1, static_cast<char>('x' + d)), .classes = {"a"}};
      domain.features = learning::NormalFeatures(40, 4, 10 + d, d == 2 ? 3.0 : 0.0);
      domain.labels.assign(40, 0);
      domain.test.assign(40, 0);
      matrix.domains.push_back(domain.domain);
      learning::DomainSplit split;
      for (std::uint32_t row = 0; row < 40; ++row) split.train.push_back(row);
      matrix.splits.push_back(std::move(split));
      domains.push_back(std::move(domain));
    }
  }
  std::vector<learning::DomainFeatures> domains;
  learning::CrossDomainMatrix matrix;
};

const learning::TwoSampleSettings kQuick{.permutations = 39, .rows_max = 100, .seed = 1};

TEST(FeatureMaps, DriftComparesEachDomainWithAllTheOthers) {
  const Drawn drawn;
  const std::vector<DomainDrift> drifts = MeasureDrift(drawn.domains, drawn.matrix, kQuick);
  ASSERT_EQ(drifts.size(), 3u);
  for (const DomainDrift& drift : drifts) {
    EXPECT_EQ(drift.by_features.pictures, 40u);
    EXPECT_EQ(drift.by_features.reference_pictures, 80u);
    ASSERT_TRUE(drift.by_moments.has_value());
    EXPECT_EQ(drift.by_moments->reference_pictures, 80u);
  }
  EXPECT_GT(drifts[2].by_features.mmd2_unbiased_millionths, drifts[0].by_features.mmd2_unbiased_millionths);
  EXPECT_TRUE(drifts[2].by_moments->IsSignificant());
}

TEST(FeatureMaps, DriftStopsWithinADomain) {
  const Drawn drawn;
  std::uint32_t whole = 0;
  (void)MeasureDrift(drawn.domains, drawn.matrix, kQuick, [&] { return ++whole == 0; });
  for (const std::uint32_t stop_at : {1u, whole / 2, whole}) {
    std::uint32_t asked = 0;
    EXPECT_ERROR(ErrorCode::kInterrupted, "run the same command again",
                 (void)MeasureDrift(drawn.domains, drawn.matrix, kQuick, [&] { return ++asked == stop_at; }));
    EXPECT_EQ(asked, stop_at);
  }
}

}  // namespace
}  // namespace hemafed::studies
