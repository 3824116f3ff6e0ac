// SPDX-License-Identifier: Apache-2.0
#include "codec/aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/integer_weights.h"
#include "common/random.h"
#include "tests/codec/models.h"
#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"

namespace hemafed {
namespace {

using testing_support::FaultFileSystem;
using testing_support::FloatBytes;
using testing_support::Floats;
using testing_support::IntegerBytes;
using testing_support::Model;
using testing_support::TensorBytes;
using testing_support::TensorFloats;
using testing_support::WriteModel;

using Integers = std::vector<std::int32_t>;

constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();

void Plant(FaultFileSystem& files, const Path& path, const Integers& values) {
  files.Plant(path, AsText(IntegerBytes(values)));
}

// The formula of the header, value by value, in 128 bits and with a rounding of its own.
std::int64_t SlowStep(const std::vector<Integers>& inputs, const std::vector<std::uint32_t>& weights, std::size_t i) {
  Int128 sum = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) sum += static_cast<Int128>(weights[k]) * inputs[k][i];
  Int128 below = sum / 32768;
  while (below * 32768 > sum) --below;
  const Int128 twice = 2 * (sum - below * 32768);
  if (twice > 32768 || (twice == 32768 && (below & 1) != 0)) ++below;
  return static_cast<std::int64_t>(below);
}

// A model with a tensor of more than two blocks, small ones around it, and buffers between them; and three updates.
class AggregateTest : public testing::Test {
 protected:
  AggregateTest() {
    RandomStream random(17);
    const auto floats = [&](std::size_t count) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(random.NextNormal());
      return values;
    };
    model_ = {{"a.bias", Floats({3}, {-0.0F, 1e-30F, 1e30F})},
              {"b.num_batches_tracked", {DType::kI64, {}, Bytes{1, 2, 3, 4, 5, 6, 7, 8}}},
              {"b.running_var", Floats({2}, {0x1.234567p-3F, std::numeric_limits<float>::infinity()})},
              {"b.weight", Floats({300, 1000}, floats(300'000))},
              {"c.weight", Floats({0, 4}, {})},
              {"d.weight", Floats({1000}, floats(1000))},
              {"z.bytes", {DType::kU8, {200'000}, Bytes(200'000, 7)}}};
    WriteModel(files_, kBase, model_, {{"hemafed.feature_width", "320"}});
    layout_ = LayoutOfModel(SafetensorsReader::Open(files_, kBase));
    for (int k = 0; k < 3; ++k) {
      Integers values(layout_.ValueCount());
      for (auto& value : values) {
        value = static_cast<std::int32_t>(random.NextWord()) >> (random.NextBelow(4) == 0 ? 0 : 12);
        if (random.NextBelow(50) == 0) value = random.NextBelow(2) == 0 ? kLowest : kHighest;
      }
      inputs_.push_back(std::move(values));
      updates_.push_back({"/u" + std::to_string(k), weights_[static_cast<std::size_t>(k)]});
      Plant(files_, updates_.back().file, inputs_.back());
    }
  }

  const Path kBase = "/base", kOut = "/out";
  FaultFileSystem files_;
  Model model_;
  UpdateLayout layout_;
  const std::vector<std::uint32_t> weights_{16384, 10000, 6384};
  std::vector<Integers> inputs_;
  std::vector<WeightedUpdate> updates_;
};

TEST_F(AggregateTest, EqualsASlowComputation) {
  const AggregateResult result = Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut, "/step");
  Integers steps(layout_.ValueCount());
  UInt128 squares = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    steps[i] = static_cast<std::int32_t>(SlowStep(inputs_, weights_, i));
    squares += static_cast<UInt128>(static_cast<Int128>(steps[i]) * steps[i]);
  }
  EXPECT_EQ(files_.Peek("/step"), AsText(IntegerBytes(steps)));
  EXPECT_EQ(result.step, Sha256Of(IntegerBytes(steps)));
  EXPECT_TRUE(result.squared_norm == squares);
  EXPECT_EQ(result.model, Sha256Of(*files_.Peek(kOut)));

  const auto merged = SafetensorsReader::Open(files_, kOut);
  EXPECT_EQ(merged.metadata().at("hemafed.feature_width"), "320");
  std::size_t next = 0;
  for (const auto& [name, tensor] : model_) {
    const bool moves = std::any_of(layout_.tensors.begin(), layout_.tensors.end(),
                                   [&, &wanted = name](const auto& spec) { return spec.name == wanted; });
    EXPECT_EQ(merged.Require(name).shape, tensor.shape);
    if (!moves) {
      EXPECT_EQ(TensorBytes(merged, name), tensor.bytes) << name << " is to be copied bit for bit";
      continue;
    }
    const auto base = TensorFloats(SafetensorsReader::Open(files_, kBase), name);
    std::vector<float> want;
    want.reserve(base.size());
    for (const float theta : base) {
      want.push_back(
          static_cast<float>(static_cast<double>(theta) + std::ldexp(static_cast<double>(steps[next++]), -22)));
    }
    EXPECT_EQ(TensorBytes(merged, name), FloatBytes(want)) << name;
  }
  EXPECT_EQ(next, steps.size());
}

TEST_F(AggregateTest, DoesNotDependOnTheOrderOfTheUpdates) {
  const AggregateResult first = Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut);
  std::sort(updates_.begin(), updates_.end(), [](const auto& a, const auto& b) { return a.weight < b.weight; });
  do {
    const AggregateResult again = Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut);
    EXPECT_EQ(again.step, first.step);
    EXPECT_EQ(again.model, first.model);
  } while (std::next_permutation(updates_.begin(), updates_.end(),
                                 [](const auto& a, const auto& b) { return a.weight < b.weight; }));
}

TEST_F(AggregateTest, OfOneUpdateIsThatUpdate) {
  const AggregateResult result =
      Aggregate(files_, kBase, layout_, WeightedMean({{updates_[1].file, kWeightSum}}), kOut);
  EXPECT_EQ(result.step, Sha256Of(IntegerBytes(inputs_[1])));
}

TEST_F(AggregateTest, OfZerosLeavesTheModelAsItIsButForTheSignOfZero) {
  Plant(files_, "/zero", Integers(layout_.ValueCount()));
  (void)Aggregate(files_, kBase, layout_, WeightedMean({{"/zero", kWeightSum}}), kOut);
  const auto merged = SafetensorsReader::Open(files_, kOut);
  EXPECT_EQ(TensorBytes(merged, "b.weight"), model_["b.weight"].bytes);
  EXPECT_EQ(TensorBytes(merged, "a.bias"), FloatBytes({0.0F, 1e-30F, 1e30F})) << "-0 + 0 is +0";
}

TEST(StepReader, RoundsHalvesToEven) {
  FaultFileSystem files;
  Plant(files, "/a", {1, 3, -1, -3, 2, kHighest, kLowest, 1});
  Plant(files, "/b", {0, 0, 0, 0, 1, kHighest, kLowest, 0});
  StepReader reader(files, {{{"w", {8}}}}, WeightedMean({{"/a", 16384}, {"/b", 16384}}));
  Integers steps(8);
  reader.Next(std::span(steps).first(3));
  reader.Next(std::span(steps).subspan(3));
  EXPECT_EQ(steps, (Integers{0, 2, 0, -2, 2, kHighest, kLowest, 0}));
}

TEST_F(AggregateTest, RefusesWhatDoesNotFit) {
  const auto refused = [&](const std::string& words) {
    EXPECT_ERROR(ErrorCode::kInvalidInput, words,
                 (void)Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut));
  };
  const auto good = updates_;
  updates_.clear();
  refused("sum to 0, not to 2^15");
  updates_ = {good[0], good[1]};
  refused("sum to 26384, not to 2^15");
  updates_ = {{good[0].file, 0xffffffff}, {good[1].file, 0x8001}};
  refused("sum to 4295000064");
  updates_ = good;
  Integers longer = inputs_[2];
  longer.push_back(0);
  Plant(files_, "/u2", longer);
  refused("/u2 has 1204016 bytes; the model needs 1204012");
  Plant(files_, "/u2", Integers(inputs_[2].begin(), inputs_[2].end() - 1));
  refused("/u2 has 1204008 bytes; the model needs 1204012");
  Plant(files_, "/u2", inputs_[2]);

  const UpdateLayout layout = layout_;
  layout_.tensors[0].shape = {1, 3};
  refused("tensor a.bias has another type or shape");
  layout_ = layout;
  layout_.tensors[0].name = "a.weight";
  refused("/base has no tensor a.weight");
  layout_ = layout;
  std::swap(layout_.tensors[0], layout_.tensors[3]);
  refused("ascending order");
}

TEST_F(AggregateTest, RefusesValuesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(1000);
    values[999] = bad;
    model_["d.weight"] = Floats({1000}, values);
    WriteModel(files_, kBase, model_);
    EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor d.weight of the new model",
                 (void)Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut));
  }
}

TEST_F(AggregateTest, ReportsEveryFailureOfTheDisk) {
  const AggregateResult want = Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut);
  std::uint64_t failures = 0;
  for (std::uint64_t n = 1;; ++n) {
    files_.FailCall(n, ErrorCode::kUnavailable);
    bool refused = false;
    try {
      EXPECT_EQ(Aggregate(files_, kBase, layout_, WeightedMean(updates_), kOut).model, want.model);
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    }
    EXPECT_EQ(refused, files_.failed()) << "call " << n;
    if (!files_.failed()) break;
    ++failures;
  }
  EXPECT_GT(failures, 50u);
}

}  // namespace
}  // namespace hemafed
