// SPDX-License-Identifier: Apache-2.0
#include "codec/merge.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "codec/integer_weights.h"
#include "codec/middle_sum.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are read as they lie in memory");

namespace {

// Values summed at a time: 64 KB of input and 128 KB of sums stay in the second-level cache.
constexpr std::size_t kSumValues = 16'384;
// Votes held at a time, of all rehearsing updates together: 256 KB. Shared by 63 of them that is still 4 KB a read.
constexpr std::size_t kVoteValues = 65'536;

[[noreturn]] void Invalid(const std::string& what) { throw Error(ErrorCode::kInvalidInput, what); }

void AddWeighted(const std::int32_t* __restrict values, std::int32_t weight, std::int64_t* __restrict sums,
                 std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += static_cast<std::int64_t>(weight) * static_cast<std::int64_t>(values[i]);
  }
}

// steps = round_half_even(sums / 2^shift). Half to even: adding one less than half rounds halves down, and the lowest
// kept bit lifts those above an odd number. Only with momentum can a step be too large; returns whether all fit.
template <bool kMayNotFit>
bool ShiftToSteps(const std::int64_t* __restrict sums, std::int32_t* __restrict steps, std::size_t count, int shift) {
  const std::int64_t below_half = (std::int64_t{1} << (shift - 1)) - 1;
  std::int64_t lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t odd = (sums[i] >> shift) & 1;
    const std::int64_t step = (sums[i] + below_half + odd) >> shift;
    steps[i] = static_cast<std::int32_t>(step);
    if constexpr (kMayNotFit) lost |= step ^ steps[i];
  }
  return lost == 0;
}

// The same for a denominator that is even but no power of two.
bool DivideToSteps(const std::int64_t* __restrict sums, std::int32_t* __restrict steps, std::size_t count,
                   std::int64_t denominator) {
  const std::int64_t half = denominator / 2;
  std::int64_t lost = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t step = sums[i] / denominator;
    std::int64_t rest = sums[i] - step * denominator;
    const std::int64_t negative = rest >> 63;  // All ones where division rounded up: take the integer below.
    rest += denominator & negative;
    step += negative;
    step += static_cast<std::int64_t>(rest + (step & 1) > half);
    steps[i] = static_cast<std::int32_t>(step);
    lost |= step ^ steps[i];
  }
  return lost == 0;
}

void RequireWeights(const MergeWeights& weights, std::size_t tensors, std::size_t updates) {
  if (weights.rows.empty() || (weights.PerTensor() && weights.rows.size() != tensors)) {
    Invalid("there are " + std::to_string(weights.rows.size()) + " rows of weights for a model of " +
            std::to_string(tensors) + " tensors; one for all of them or one for each is needed");
  }
  for (const auto& row : weights.rows) {
    if (row.size() != updates) {
      Invalid("there are " + std::to_string(row.size()) + " weights for " + std::to_string(updates) + " updates");
    }
    const auto sum = std::accumulate(row.begin(), row.end(), std::uint64_t{0});
    if (sum != kWeightSum) Invalid("the weights of the updates sum to " + std::to_string(sum) + ", not to 2^15");
  }
}

void RequireSettings(const Merge& merge) {
  if (merge.updates.size() > kMaxMergedUpdates) {
    Invalid("a round merges at most " + std::to_string(kMaxMergedUpdates) + " updates, not " +
            std::to_string(merge.updates.size()));
  }
  if (merge.active && *merge.active >= merge.updates.size())
    Invalid("the active site's update is not among those given");
  if (merge.rule != MergeRule::kTrimmedMean && merge.trim != 0) {
    Invalid("rule " + std::string(MergeRuleName(merge.rule)) + " trims nothing; leave `trim` at 0");
  }
  if (merge.halvings > kMaxHalvings) {
    Invalid("a step is halved at most " + std::to_string(kMaxHalvings) + " times, not " +
            std::to_string(merge.halvings));
  }
  if (merge.momentum >= kMomentumOne) Invalid("the server's momentum must be below 1");
  if (merge.previous_step && merge.momentum == 0) Invalid("a previous step is given, but no momentum");
}

}  // namespace

std::string_view MergeRuleName(MergeRule rule) noexcept {
  switch (rule) {
    case MergeRule::kMean: return "mean";
    case MergeRule::kMedian: return "median";
    case MergeRule::kTrimmedMean: return "trimmed_mean";
  }
  return "unknown";
}

Merge WeightedMean(const std::vector<WeightedUpdate>& updates) {
  Merge merge;
  merge.weights.rows.emplace_back();
  for (const WeightedUpdate& update : updates) {
    merge.updates.push_back(update.file);
    merge.weights.rows.front().push_back(update.weight);
  }
  return merge;
}

std::optional<std::string> WhyRuleCannotRun(MergeRule rule, std::uint32_t trim, std::size_t rehearsing) {
  if (rule == MergeRule::kMean) return std::nullopt;
  const std::string name = "rule " + std::string(MergeRuleName(rule));
  const std::string have = "; there are " + std::to_string(rehearsing);
  if (rule == MergeRule::kTrimmedMean && trim == 0) {
    return name + " with trim 0 would let every site move the model; set `trim` to at least 1, or use mean";
  }
  const std::size_t needed = std::max(kMinVotes, 2 * static_cast<std::size_t>(trim) + 1);
  if (rehearsing >= needed) return std::nullopt;
  std::string why = name;
  if (trim > 0) why += " with trim " + std::to_string(trim);
  return why + " needs the updates of at least " + std::to_string(needed) + " rehearsing sites" + have;
}

struct StepReader::State {
  struct Input {
    std::string where;
    std::unique_ptr<ReadableFile> file;
    std::size_t update = 0;  // Index into a row of weights.
  };
  std::vector<Input> summed;      // Weighted one by one.
  std::vector<Input> voting;      // Of the robust rules: the rehearsing sites.
  std::optional<Input> previous;  // The step that momentum carries on.
  MergeWeights weights;
  std::int32_t momentum = 0;
  std::optional<MiddleSum> middle;
  std::int64_t votes = 1;        // What the sums are multiplied by, so that the vote's fraction is an integer.
  std::int64_t denominator = 1;  // What they are divided by at the end.

  std::vector<std::string> names;   // Of the tensors.
  std::vector<std::uint64_t> ends;  // Index of the value after each tensor's last.
  std::size_t tensor = 0;           // Of the next value.
  std::uint64_t next = 0;           // Index of the next value.
  std::size_t block = kSumValues;   // Most values at a time.
  std::vector<std::int32_t> values, vote_values;
  std::vector<std::int64_t> sums;

  void Read(const Input& input, std::span<std::int32_t> out) const {
    const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(out.data()), out.size_bytes());
    if (input.file->ReadAt(next * sizeof(std::int32_t), bytes) != bytes.size()) {
      Invalid(input.where + " ends before the layout's last value");
    }
  }

  void Add(const Input& input, std::int64_t weight, std::size_t count) {
    if (weight == 0) return;
    const auto part = std::span(values).first(count);
    Read(input, part);
    AddWeighted(part.data(), static_cast<std::int32_t>(weight), sums.data(), count);
  }

  void AddVote(const std::vector<std::uint32_t>& row, std::size_t count) {
    std::int64_t weight = 0;
    for (const Input& input : voting) weight += row[input.update];
    if (weight == 0) return;
    for (std::size_t i = 0; i < voting.size(); ++i) Read(voting[i], std::span(vote_values).subspan(i * count, count));
    middle->Add(std::span(vote_values).first(voting.size() * count), weight, std::span(sums).first(count));
  }

  void Round(std::span<std::int32_t> out) {
    const auto bits = static_cast<std::uint64_t>(denominator);
    const auto round = [&] {
      if (!std::has_single_bit(bits)) return DivideToSteps(sums.data(), out.data(), out.size(), denominator);
      const int shift = std::countr_zero(bits);
      return previous ? ShiftToSteps<true>(sums.data(), out.data(), out.size(), shift)
                      : ShiftToSteps<false>(sums.data(), out.data(), out.size(), shift);
    };
    const bool fits = round();
    if (fits) return;
    throw Error(ErrorCode::kRefused, "the step of tensor " + names[tensor] +
                                         " with momentum does not fit 32 bits; lower the momentum or the norm bound");
  }
};

StepReader::StepReader(FileSystem& files, const UpdateLayout& layout, const Merge& merge)
    : state_(std::make_unique<State>()) {
  RequireWeights(merge.weights, layout.tensors.size(), merge.updates.size());
  RequireSettings(merge);
  State& s = *state_;
  const std::uint64_t expected = layout.ValueCount() * sizeof(std::int32_t);
  const auto open = [&](const Path& path, std::size_t update) {
    State::Input input{path.string(), files.OpenForRead(path), update};
    const std::uint64_t size = input.file->Size();
    if (size != expected) {
      Invalid(input.where + " has " + std::to_string(size) + " bytes; the model needs " + std::to_string(expected) +
              " of an update");
    }
    return input;
  };
  for (std::size_t k = 0; k < merge.updates.size(); ++k) {
    const bool votes = merge.rule != MergeRule::kMean && merge.active != k;
    (votes ? s.voting : s.summed).push_back(open(merge.updates[k], k));
  }
  if (const auto why = WhyRuleCannotRun(merge.rule, merge.trim, s.voting.size())) {
    throw Error(ErrorCode::kRefused, *why);
  }
  if (!s.voting.empty()) {
    s.middle.emplace(s.voting.size(),
                     merge.rule == MergeRule::kMedian ? (s.voting.size() - 1) / 2 : std::size_t{merge.trim});
    s.votes = static_cast<std::int64_t>(s.middle->kept());
    s.block = std::min(kSumValues, kVoteValues / s.voting.size());
    s.vote_values.resize(s.voting.size() * s.block);
  }
  if (merge.previous_step) s.previous = open(*merge.previous_step, 0);
  s.momentum = static_cast<std::int32_t>(merge.momentum);
  s.weights = merge.weights;
  s.denominator = s.votes << (kWeightBits + static_cast<int>(merge.halvings));
  std::uint64_t end = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    s.names.push_back(tensor.name);
    s.ends.push_back(end += tensor.ValueCount());
  }
  s.values.resize(s.block);
  s.sums.resize(s.block);
}

StepReader::~StepReader() = default;
StepReader::StepReader(StepReader&&) noexcept = default;
StepReader& StepReader::operator=(StepReader&&) noexcept = default;

void StepReader::Next(std::span<std::int32_t> out) {
  State& s = *state_;
  while (!out.empty()) {
    while (s.tensor < s.ends.size() && s.next == s.ends[s.tensor]) ++s.tensor;
    if (s.tensor == s.ends.size()) Invalid("more steps are asked for than the layout has values");
    const std::uint64_t left = s.ends[s.tensor] - s.next;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, std::min(out.size(), s.block)));
    const std::vector<std::uint32_t>& row = s.weights.Of(s.tensor);
    std::fill_n(s.sums.begin(), count, 0);
    for (const State::Input& input : s.summed) s.Add(input, s.votes * row[input.update], count);
    if (s.previous) s.Add(*s.previous, s.votes * s.momentum, count);
    if (s.middle) s.AddVote(row, count);
    s.Round(out.first(count));
    s.next += count;
    out = out.subspan(count);
  }
}

}  // namespace hemafed
