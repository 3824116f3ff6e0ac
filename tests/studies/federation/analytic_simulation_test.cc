// SPDX-License-Identifier: Apache-2.0
//
// Strategy analytic with real trainers over drawn smears: trunk, random features, sums, solve, scores.
#include <gtest/gtest.h>

#include <algorithm>

#include "auditor/audit.h"
#include "codec/analytic_head.h"
#include "codec/feature_sums.h"
#include "protocol/federation/head_solve.h"
#include "site_agent/trainer/rounded_features.h"
#include "tests/studies/federation/simulation_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::Scratch;
using testing_support::World;

constexpr std::uint32_t kFeatures = 96, kClasses = 5;

std::string AnalyticPlan(std::vector<std::string> hospitals) {
  std::string text = R"(format = 2
name = "small"
seed = 7
classes = ["basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"]
[model]
architecture = "small_cnn"
normalisation = "group_ws"
input = 32
dropout = 0.0
weights = ")" + World().weights_digest.Hex() +
                     R"("
[training]
threads = 1
[strategy]
name = "analytic"
features = 96
ridge = 0.01
[rehearsal]
policy = "none"
[privacy]
min_pictures = 1
)";
  for (const std::string& hospital : hospitals) text += "[[task]]\nsite = \"" + hospital + "\"\n";
  return text;
}

struct Stopped {};

struct Outcome {
  Digest root;
  std::vector<HeadSolvedEntry> heads;
};

std::optional<Outcome> RunIn(const Path& folder, const std::string& plan, std::uint64_t stop_at = UINT64_MAX) {
  const SystemClock clock;
  Outcome outcome;
  std::uint64_t observed = 0;
  try {
    Simulation simulation(RealFileSystem(), clock, World().shelf,
                          {.folder = folder,
                           .plan = plan,
                           .sites = World().sites,
                           .models = {{World().weights_digest, World().weights}},
                           .key_seed = 7,
                           .made_from = Sha256Of("pictures")},
                          [&](const SimulationProgress&) {
                            if (++observed >= stop_at) throw Stopped{};
                          });
    simulation.Run();
    outcome.root = simulation.log().root();
    simulation.log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      if (const auto* solved = std::get_if<HeadSolvedEntry>(&entry.body)) outcome.heads.push_back(*solved);
    });
  } catch (const Stopped&) {
    return std::nullopt;
  }
  return outcome;
}

std::vector<std::string> Hospitals() {
  return {std::begin(testing_support::kHospitals), std::end(testing_support::kHospitals)};
}

TEST(AnalyticSimulation, AnyOrderOfHospitalsEndsWithTheSameHeadAndTheAuditorSolvesIt) {
  std::vector<std::string> hospitals = Hospitals();
  std::vector<Outcome> outcomes;
  for (const bool backwards : {false, true}) {
    if (backwards) std::reverse(hospitals.begin(), hospitals.end());
    const Scratch scratch;
    const auto outcome = RunIn(scratch / "run", AnalyticPlan(hospitals));
    ASSERT_TRUE(outcome.has_value());
    ASSERT_EQ(outcome->heads.size(), hospitals.size());
    const auto trust = auditor::Trust::Load(RealFileSystem(), scratch / "run" / "trust.json");
    const auto audit = auditor::Audit(
        RealFileSystem(), trust, {.folder = scratch / "run" / "consortium", .scratch = scratch / "s", .replay = true});
    EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
    EXPECT_TRUE(audit.closed);
    EXPECT_EQ(audit.aggregates, hospitals.size());
    EXPECT_EQ(audit.model, outcome->heads.back().head);
    outcomes.push_back(*outcome);
  }
  EXPECT_EQ(outcomes[0].heads.back().head, outcomes[1].heads.back().head);
  EXPECT_EQ(outcomes[0].heads.back().totals, outcomes[1].heads.back().totals);
  EXPECT_NE(outcomes[0].heads.front().head, outcomes[1].heads.front().head);
}

TEST(AnalyticSimulation, StoppedAnywhereItGoesOnAndEndsWithTheSameLogRoot) {
  const std::string plan = AnalyticPlan(Hospitals());
  const Scratch quiet;
  const auto whole = RunIn(quiet / "run", plan);
  ASSERT_TRUE(whole.has_value());
  for (const std::uint64_t stop_at : {3u, 9u, 14u, 20u, 27u}) {
    const Scratch scratch;
    (void)RunIn(scratch / "run", plan, stop_at);
    const auto outcome = RunIn(scratch / "run", plan);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->root, whole->root) << "stopped at " << stop_at;
  }
}

TEST(AnalyticSimulation, SumsAreThoseOfASlowLoopOverTheTrunksFeatures) {
  const std::string site = Hospitals().front();
  const Scratch scratch;
  const auto outcome = RunIn(scratch / "run", AnalyticPlan({site}));
  ASSERT_TRUE(outcome.has_value());
  const Plan plan = ParsePlan(AnalyticPlan({site}), "plan");
  const Path objects = scratch / "run" / "consortium" / "objects";
  const std::string hex = outcome->heads[0].sums.Hex();
  const FeatureSums sums =
      ReadCanonicalSums(*RealFileSystem().OpenForRead(objects / hex.substr(0, 2) / hex.substr(2)), kFeatures, kClasses);

  const learning::Classifier trunk = learning::LoadModel(RealFileSystem(), World().weights);
  const auto pictures = World().shelf.Open(World().sites.at(site), plan);
  const auto source = pictures->Train({0, 1, 2, 3, 4});
  ASSERT_EQ(sums.TotalPictures(), static_cast<std::int64_t>(source->Size()));
  std::vector<std::int64_t> counts(kClasses);
  std::vector<double> diagonal(kFeatures);  // In grid steps; products of integers below 2^16 add up exactly.
  const auto width = static_cast<std::size_t>(trunk.feature_width());
  for (std::uint32_t p = 0; p < source->Size(); ++p) {
    ++counts[static_cast<std::size_t>(source->Label(p))];
    const at::Tensor psi =
        trunk.Features(source->Get(std::span(&p, 1), std::nullopt).images).to(at::kDouble).contiguous();
    for (std::uint32_t i = 0; i < kFeatures; ++i) {
      const std::vector<std::int32_t> row = ProjectionRow(plan.seed, i, static_cast<std::uint32_t>(width));
      double phi = 0;
      for (std::size_t d = 0; d < width; ++d) phi += psi.const_data_ptr<double>()[d] * row[d] * 0x1p-22;
      const double f = std::nearbyint(std::max(phi, 0.0) * 1024);
      diagonal[i] += f * f;
    }
  }
  for (std::uint32_t k = 0; k < kClasses; ++k) EXPECT_EQ(sums.Pictures(k), counts[k]);
  for (std::uint32_t i = 0; i < kFeatures; ++i) {
    // A picture alone and in a batch may differ in a feature's last bit, and so by a grid step now and then.
    EXPECT_NEAR(static_cast<double>(sums.Moment(i, i)), diagonal[i], 1 + 1e-4 * diagonal[i]) << i;
  }
}

}  // namespace
}  // namespace hemafed::studies
