// SPDX-License-Identifier: Apache-2.0
#include "codec/merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "codec/aggregate.h"
#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::Floats;
using testing_support::IntegerBytes;
using testing_support::WriteModel;

using Integers = std::vector<std::int32_t>;
using Weights = std::vector<std::uint32_t>;

constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();

void Plant(FaultFileSystem& files, const Path& path, const Integers& values) {
  files.Plant(path, AsText(IntegerBytes(values)));
}

// Any sign, any magnitude, often equal to others, now and then the ends of the range.
Integers SomeValues(RandomStream& random, std::size_t count) {
  Integers values(count);
  for (auto& value : values) {
    value = static_cast<std::int32_t>(random.NextWord()) >> random.NextBelow(32);
    if (random.NextBelow(16) == 0) value = random.NextBelow(2) == 0 ? kLowest : kHighest;
  }
  return values;
}

Weights SomeWeights(RandomStream& random, std::size_t count) {
  Weights weights(count, 0);
  std::uint32_t left = 32'768;
  for (std::size_t k = 0; k + 1 < count; ++k) left -= weights[k] = random.NextBelow(left / 2 + 1);
  weights.back() = left;
  return weights;
}

Int128 Floor(Int128 numerator, Int128 denominator) {
  Int128 below = numerator / denominator;
  while (below * denominator > numerator) --below;
  return below;
}

// The formula of the header for one coordinate, over a common denominator, with a rounding of its own.
Int128 SlowStep(const Merge& merge, const std::vector<Integers>& inputs, const Weights& row, std::size_t i,
                std::int64_t previous) {
  Int128 numerator = 0, votes = 1;
  if (merge.rule == MergeRule::kMean) {
    for (std::size_t k = 0; k < inputs.size(); ++k) numerator += static_cast<Int128>(row[k]) * inputs[k][i];
  } else {
    std::vector<std::int64_t> column;
    Int128 voters_weight = 0;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (merge.active == k) continue;
      column.push_back(inputs[k][i]);
      voters_weight += row[k];
    }
    std::sort(column.begin(), column.end());
    if (merge.rule == MergeRule::kMedian) {
      while (column.size() > 2) column = {column.begin() + 1, column.end() - 1};
    } else {
      const auto trim = static_cast<std::ptrdiff_t>(merge.trim);
      column = {column.begin() + trim, column.end() - trim};
    }
    votes = static_cast<Int128>(column.size());
    numerator = voters_weight * std::accumulate(column.begin(), column.end(), std::int64_t{0});
    if (merge.active) numerator += votes * row[*merge.active] * inputs[*merge.active][i];
  }
  numerator += votes * merge.momentum * previous;
  Int128 denominator = votes * 32'768;
  for (std::uint32_t h = 0; h < merge.halvings; ++h) denominator *= 2;
  Int128 below = Floor(numerator, denominator);
  const Int128 twice = 2 * (numerator - below * denominator);
  if (twice > denominator || (twice == denominator && below % 2 != 0)) ++below;
  return below;
}

// Updates of a round on a disk in memory, and the merge of them.
struct Round {
  std::unique_ptr<FaultFileSystem> files = std::make_unique<FaultFileSystem>();
  UpdateLayout layout;
  std::vector<Integers> inputs;
  Integers previous;
  Merge merge;

  [[nodiscard]] std::size_t Count() const { return static_cast<std::size_t>(layout.ValueCount()); }

  [[nodiscard]] Integers Steps(std::size_t piece = 0) {
    StepReader reader(*files, layout, merge);
    Integers steps(Count());
    for (std::size_t done = 0; done < steps.size();) {
      const std::size_t count = piece == 0 ? steps.size() : std::min(piece, steps.size() - done);
      reader.Next(std::span(steps).subspan(done, count));
      done += count;
    }
    return steps;
  }

  [[nodiscard]] Integers SlowSteps() const {
    Integers steps;
    std::size_t i = 0;
    for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
      const Weights& row = merge.weights.rows.size() == 1 ? merge.weights.rows[0] : merge.weights.rows[t];
      for (const std::size_t end = i + layout.tensors[t].ValueCount(); i < end; ++i) {
        const Int128 step = SlowStep(merge, inputs, row, i, previous.empty() ? 0 : previous[i]);
        steps.push_back(static_cast<std::int32_t>(step));
        EXPECT_TRUE(step == steps.back()) << "the test's own inputs overflow";
      }
    }
    return steps;
  }
};

Round MakeRound(std::uint64_t seed, std::size_t updates, const std::vector<std::int64_t>& sizes) {
  RandomStream random(seed);
  Round round;
  for (std::size_t t = 0; t < sizes.size(); ++t) {
    round.layout.tensors.push_back({std::string(1, static_cast<char>('a' + t)) + ".weight", {sizes[t]}});
  }
  for (std::size_t k = 0; k < updates; ++k) {
    round.inputs.push_back(SomeValues(random, round.Count()));
    round.merge.updates.push_back("/u" + std::to_string(k));
    Plant(*round.files, round.merge.updates.back(), round.inputs.back());
  }
  round.merge.weights.rows = {SomeWeights(random, updates)};
  return round;
}

void UseRowsForEachTensor(Round& round, std::uint64_t seed) {
  RandomStream random(seed);
  round.merge.weights.rows.clear();
  for (std::size_t t = 0; t < round.layout.tensors.size(); ++t) {
    round.merge.weights.rows.push_back(SomeWeights(random, round.inputs.size()));
  }
}

// To be used with at least one halving, so that nothing overflows.
void UsePreviousStep(Round& round, std::uint64_t seed, std::uint32_t momentum) {
  RandomStream random(seed);
  round.previous = SomeValues(random, round.Count());
  Plant(*round.files, "/previous", round.previous);
  round.merge.previous_step = "/previous";
  round.merge.momentum = momentum;
}

// Tensors that end just before, at and after the ends of blocks, an empty one, and a single value.
const std::vector<std::int64_t> kSizes{3, 0, 16'383, 1, 16'384, 16'385, 40'000};

TEST(Merge, OfEveryRuleEqualsASlowComputation) {
  struct Row {
    MergeRule rule;
    std::size_t updates;
    std::optional<std::size_t> active;
    std::uint32_t trim;
  };
  std::uint64_t seed = 0;
  for (const Row& row : std::vector<Row>{{MergeRule::kMean, 1, {}, 0},
                                         {MergeRule::kMean, 3, 1, 0},
                                         {MergeRule::kMean, 7, {}, 0},
                                         {MergeRule::kMedian, 3, {}, 0},
                                         {MergeRule::kMedian, 4, 0, 0},
                                         {MergeRule::kMedian, 5, 4, 0},
                                         {MergeRule::kMedian, 8, 2, 0},
                                         {MergeRule::kTrimmedMean, 3, {}, 1},
                                         {MergeRule::kTrimmedMean, 5, {}, 1},
                                         {MergeRule::kTrimmedMean, 6, 3, 1},
                                         {MergeRule::kTrimmedMean, 7, 0, 1},
                                         {MergeRule::kTrimmedMean, 9, 8, 2}}) {
    for (const std::uint32_t halvings : {0u, 1u, 3u}) {
      Round round = MakeRound(++seed, row.updates, kSizes);
      round.merge.rule = row.rule;
      round.merge.active = row.active;
      round.merge.trim = row.trim;
      round.merge.halvings = halvings;
      if (seed % 2 == 0) UseRowsForEachTensor(round, seed);
      if (halvings > 0) UsePreviousStep(round, seed, 32'767);
      const Integers want = round.SlowSteps();
      const std::string what = std::string(MergeRuleName(row.rule)) + ", " + std::to_string(row.updates) +
                               " updates, " + std::to_string(halvings) + " halvings";
      ASSERT_EQ(round.Steps(), want) << what;
      ASSERT_EQ(round.Steps(10'007), want) << what << ", in pieces";
    }
  }
}

TEST(Merge, OfAFullRosterEqualsASlowComputation) {
  for (const bool with_active : {false, true}) {
    for (const std::uint32_t trim : {0u, 1u, 5u, 31u}) {
      Round round = MakeRound(100 + trim, 64, {1023, 1, 2500});
      round.merge.rule = trim == 0 ? MergeRule::kMedian : MergeRule::kTrimmedMean;
      round.merge.trim = trim;
      if (with_active) round.merge.active = 63;
      round.merge.halvings = kMaxHalvings;
      UsePreviousStep(round, trim, 12'345);
      UseRowsForEachTensor(round, trim);
      ASSERT_EQ(round.Steps(), round.SlowSteps()) << "trim " << trim;
    }
  }
}

TEST(Merge, DoesNotDependOnTheOrderOfTheUpdates) {
  for (const MergeRule rule : {MergeRule::kMean, MergeRule::kMedian, MergeRule::kTrimmedMean}) {
    Round round = MakeRound(7, 5, {300, 17'000});
    round.merge.rule = rule;
    round.merge.trim = rule == MergeRule::kTrimmedMean ? 1 : 0;
    round.merge.active = 2;
    UseRowsForEachTensor(round, 3);
    const Merge merge = round.merge;
    const Integers want = round.Steps();
    std::vector<std::size_t> order{0, 1, 2, 3, 4};
    while (std::next_permutation(order.begin(), order.end())) {
      for (std::size_t k = 0; k < order.size(); ++k) {
        round.merge.updates[k] = merge.updates[order[k]];
        for (std::size_t t = 0; t < 2; ++t) round.merge.weights.rows[t][k] = merge.weights.rows[t][order[k]];
        if (order[k] == *merge.active) round.merge.active = k;
      }
      ASSERT_EQ(round.Steps(), want) << MergeRuleName(rule);
    }
  }
}

Round SmallRound(const std::vector<Integers>& inputs, MergeRule rule, std::optional<std::size_t> active) {
  Round round;
  round.layout.tensors = {{"w", {static_cast<std::int64_t>(inputs[0].size())}}};
  round.inputs = inputs;
  round.merge.rule = rule;
  round.merge.active = active;
  round.merge.weights.rows = {Weights(inputs.size(), 32'768 / static_cast<std::uint32_t>(inputs.size()))};
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    round.merge.updates.push_back("/u" + std::to_string(k));
    Plant(*round.files, round.merge.updates.back(), inputs[k]);
  }
  return round;
}

TEST(Merge, RoundsOnceHalvesToEven) {
  // Medians 1.5 and 3.5 of four votes; a rounding of its own would make 2 and 4 of them and then 1 and 2.
  Round round = SmallRound({{0, 0}, {1, 3}, {2, 4}, {9, 9}}, MergeRule::kMedian, {});
  EXPECT_EQ(round.Steps(), (Integers{2, 4}));
  round.merge.halvings = 1;
  EXPECT_EQ(round.Steps(), (Integers{1, 2})) << "0.75 and 1.75";
  // Halves: 0.5, 1.5, -0.5, -1.5, -2.5.
  Round halved = SmallRound({{1, 3, -1, -3, -5}}, MergeRule::kMean, {});
  halved.merge.halvings = 1;
  EXPECT_EQ(halved.Steps(), (Integers{0, 2, 0, -2, -2}));
}

TEST(Merge, HalvesTheMomentumTooSoThatTheModelCanStayAsItIs) {
  Round round = SmallRound({{100, -100}}, MergeRule::kMean, {});
  Plant(*round.files, "/previous", {64, 64});
  round.merge.previous_step = "/previous";
  round.merge.momentum = kMomentumOne / 2;
  EXPECT_EQ(round.Steps(), (Integers{132, -68}));
  round.merge.halvings = 2;
  EXPECT_EQ(round.Steps(), (Integers{33, -17}));
  round.merge.halvings = kMaxHalvings;
  EXPECT_EQ(round.Steps(), (Integers{0, 0}));
}

TEST(Merge, WithMomentumIsRefusedExactlyWhenTheStepDoesNotFit) {
  Round round = SmallRound({{0, 0, 0}}, MergeRule::kMean, {});
  round.layout.tensors = {{"a", {1}}, {"b", {0}}, {"c", {2}}};
  round.merge.previous_step = "/previous";
  round.merge.momentum = kMomentumOne / 2;
  const auto steps = [&](const Integers& updates, const Integers& previous) {
    Plant(*round.files, "/u0", updates);
    Plant(*round.files, "/previous", previous);
    return round.Steps();
  };
  EXPECT_EQ(steps({0, kHighest - 2, kLowest + 3}, {0, 4, -7}), (Integers{0, kHighest, kLowest}))
      << "the last is 2^-1 below the lowest and rounds to it";
  EXPECT_ERROR(ErrorCode::kRefused, "tensor c with momentum does not fit 32 bits",
               (void)steps({0, 0, kHighest}, {0, 0, 1}));
  EXPECT_ERROR(ErrorCode::kRefused, "tensor a with momentum", (void)steps({kLowest, 0, 0}, {-2, 0, 0}));
}

TEST(Merge, VotesOnlyAmongTheRehearsingSites) {
  // Three of four rehearsing sites near 10, one liar; the active site far away counts with its weight.
  Round round = SmallRound({{1000}, {9}, {10}, {11}, {kHighest}, {0}, {0}, {0}}, MergeRule::kMedian, 0);
  round.merge.updates.resize(5);
  round.merge.weights.rows = {{16'384, 4096, 4096, 4096, 4096}};
  EXPECT_EQ(round.Steps(), (Integers{505})) << "half of 1000 and half of 10.5: 505.25";
  round.merge.rule = MergeRule::kTrimmedMean;
  round.merge.trim = 1;
  EXPECT_EQ(round.Steps(), (Integers{505}));
  Plant(*round.files, "/u0", {1001});
  EXPECT_EQ(round.Steps(), (Integers{506})) << "505.75";
}

TEST(Merge, OfARobustRuleNeverLeavesTheRangeOfTheHonestSites) {
  // Two liars among five votes: whatever they say, the step lies between the honest ones.
  RandomStream random(77);
  for (int trial = 0; trial < 20; ++trial) {
    Round round = MakeRound(200 + static_cast<std::uint64_t>(trial), 5, {500});
    round.merge.weights.rows = {{6554, 6554, 6554, 6553, 6553}};
    const bool median = trial % 2 == 0;
    round.merge.rule = median ? MergeRule::kMedian : MergeRule::kTrimmedMean;
    round.merge.trim = median ? 0 : 2;
    Plant(*round.files, "/u1", Integers(500, kHighest));
    Plant(*round.files, "/u3", Integers(500, random.NextBelow(2) == 0 ? kHighest : kLowest));
    const Integers steps = round.Steps();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto [low, high] = std::minmax({round.inputs[0][i], round.inputs[2][i], round.inputs[4][i]});
      ASSERT_GE(steps[i], low);
      ASSERT_LE(steps[i], high);
    }
  }
}

TEST(Merge, SaysWhichRuleSoFewSitesCannotSupport) {
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kMean, 0, 0), std::nullopt);
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kMedian, 0, 3), std::nullopt);
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kTrimmedMean, 1, 3), std::nullopt);
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kMedian, 0, 2),
            "rule median needs the updates of at least 3 rehearsing sites; there are 2");
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kTrimmedMean, 2, 4),
            "rule trimmed_mean with trim 2 needs the updates of at least 5 rehearsing sites; there are 4");
  EXPECT_EQ(WhyRuleCannotRun(MergeRule::kTrimmedMean, 0xffffffff, 64).value().substr(0, 27),
            "rule trimmed_mean with trim");
  EXPECT_TRUE(WhyRuleCannotRun(MergeRule::kTrimmedMean, 0, 10).has_value());

  Round round = MakeRound(1, 4, {5});
  round.merge.rule = MergeRule::kMedian;
  round.merge.active = 1;
  EXPECT_EQ(round.Steps(), round.SlowSteps());
  round = MakeRound(1, 3, {5});
  round.merge.rule = MergeRule::kMedian;
  round.merge.active = 1;
  EXPECT_ERROR(ErrorCode::kRefused, "rule median needs", (void)round.Steps());
}

TEST(Merge, RefusesSettingsThatMeanNothing) {
  const auto refused = [](const std::string& words, const auto& spoil) {
    Round round = MakeRound(1, 3, {5, 6});
    Plant(*round.files, "/previous", Integers(11));
    Plant(*round.files, "/short", Integers(10));
    spoil(round.merge);
    EXPECT_ERROR(ErrorCode::kInvalidInput, words, (void)round.Steps());
  };
  refused("0 rows of weights", [](Merge& merge) { merge.weights.rows.clear(); });
  refused("3 rows of weights for a model of 2 tensors",
          [](Merge& merge) { merge.weights.rows.assign(3, merge.weights.rows[0]); });
  refused("2 weights for 3 updates", [](Merge& merge) { merge.weights.rows = {{16'384, 16'384}}; });
  refused("sum to 32769", [](Merge& merge) { ++merge.weights.rows[0][1]; });
  refused("sum to 32767", [](Merge& merge) {
    merge.weights.rows.push_back(merge.weights.rows[0]);
    --merge.weights.rows[1][2];
  });
  refused("not among those given", [](Merge& merge) { merge.active = 3; });
  refused("rule mean trims nothing", [](Merge& merge) { merge.trim = 1; });
  refused("at most 16 times", [](Merge& merge) { merge.halvings = 17; });
  refused("below 1", [](Merge& merge) { merge.momentum = kMomentumOne; });
  refused("no momentum", [](Merge& merge) { merge.previous_step = "/previous"; });
  refused("at most 64 updates", [](Merge& merge) {
    merge.updates.assign(65, merge.updates[0]);
    merge.weights.rows = {Weights(65, 0)};
    merge.weights.rows[0][0] = 32'768;
  });
  refused("/short has 40 bytes; the model needs 44", [](Merge& merge) {
    merge.momentum = 1;
    merge.previous_step = "/short";
  });
}

TEST(Merge, GivesNoMoreStepsThanThereAreValues) {
  Round round = MakeRound(1, 3, {5, 0});
  StepReader reader(*round.files, round.layout, round.merge);
  Integers steps(6);
  reader.Next(std::span(steps).first(5));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more steps", reader.Next(std::span(steps).first(1)));
}

TEST(Merge, CarriesMomentumFromRoundToRoundThroughTheStepFile) {
  FaultFileSystem files;
  WriteModel(files, "/base", {{"w", Floats({4}, {0, 1, -1, 2})}});
  const UpdateLayout layout = LayoutOfModel(SafetensorsReader::Open(files, "/base"));
  Plant(files, "/u", {1000, 7, -9, 0});
  Merge merge = WeightedMean({{"/u", 32'768}});
  merge.momentum = kMomentumOne / 4 * 3;
  Integers velocity(4);
  Path base = "/base";
  for (int round = 0; round < 5; ++round) {
    const Path out = "/model" + std::to_string(round), step = "/step" + std::to_string(round);
    const AggregateResult result = Aggregate(files, base, layout, merge, out, step);
    const Integers update{1000, 7, -9, 0};
    for (std::size_t i = 0; i < 4; ++i) {
      velocity[i] = static_cast<std::int32_t>(std::nearbyint(0.75 * velocity[i] + update[i]));  // Exact in double.
    }
    EXPECT_EQ(result.step, Sha256Of(IntegerBytes(velocity)));
    EXPECT_EQ(files.Peek(step), AsText(IntegerBytes(velocity)));
    merge.previous_step = step;
    base = out;
  }
}

}  // namespace
}  // namespace hemafed
