// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/herding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "common/error.h"

namespace hemafed::learning {

namespace {

using Vector = std::vector<double>;

void CheckFeatures(const FeatureRows& features) {
  if (features.width == 0 || features.values.size() / features.width != features.rows ||
      features.values.size() % features.width != 0) {
    throw Error(ErrorCode::kInvalidInput, "herding: the feature matrix does not hold rows times width values");
  }
  if (!std::all_of(features.values.begin(), features.values.end(), [](float value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::kInvalidInput, "herding: a feature is not a finite number; the model is broken");
  }
}

double Dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
  return sum;
}

// A zero vector has no direction; it stays as it is.
void ScaleToLengthOne(std::span<double> vector) {
  const double squares = Dot(vector, vector);
  if (squares == 0.0) return;
  const double length = std::sqrt(squares);
  for (double& value : vector) value /= length;
}

// Rows of small integers are padded with zeros to whole blocks; a block's sum of products fits 32 bits:
// 256 * 127 * 32767 < 2^31.
constexpr std::size_t kBlock = 256;
constexpr double kMostByte = 127.0;
constexpr double kMostShort = 32767.0;

// GCC compiles the loop once for each instruction set, the program takes the best one, and wide registers are allowed
// for this loop. Integers: the result does not depend on any of it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HEMAFED_WIDE_LOOP [[gnu::target_clones("avx2", "default"), gnu::optimize("O3")]]
#else
#define HEMAFED_WIDE_LOOP
#endif

// Sum of a[j] * b[j], exact.
HEMAFED_WIDE_LOOP std::int64_t DotIntegers(const std::int8_t* a, const std::int16_t* b, std::size_t width) {
  std::int64_t sum = 0;
  for (std::size_t block = 0; block < width; block += kBlock) {
    std::int32_t part = 0;
    for (std::size_t j = block; j < block + kBlock; ++j) {
      const auto wide = static_cast<std::int16_t>(a[j]);
      part += std::int32_t{wide} * std::int32_t{b[j]};
    }
    sum += part;
  }
  return sum;
}

// A vector as whole multiples of a step, at most `most` of them.
struct Rounded {
  double step = 1.0;
  double error = 0.0;  // |vector - step * integers|
};
template <typename Integer>
Rounded RoundTo(std::span<const double> vector, double most, Integer* out) {
  double largest = 0.0;
  for (const double value : vector) largest = std::max(largest, std::abs(value));
  Rounded result;
  if (largest > 0.0) result.step = largest / most;
  double errors = 0.0;
  for (std::size_t j = 0; j < vector.size(); ++j) {
    const double rounded = std::nearbyint(vector[j] / result.step);
    out[j] = static_cast<Integer>(rounded);
    errors += (vector[j] - result.step * rounded) * (vector[j] - result.step * rounded);
  }
  result.error = std::sqrt(errors);
  return result;
}

// The rows as the plain loop sees them, and what is known about each of them before the first step.
class Candidates {
 public:
  Candidates(const FeatureRows& features, bool normalised)
      : features_(features), normalised_(normalised), padded_((features.width + kBlock - 1) / kBlock * kBlock) {
    const std::size_t width = features.width;
    mean_.assign(width, 0.0);
    Vector row(width);
    for (std::size_t i = 0; i < features.rows; ++i) {
      lengths_.push_back(LengthOf(i));
      Row(i, row);
      for (std::size_t j = 0; j < width; ++j) mean_[j] += row[j];
    }
    for (double& value : mean_) value /= static_cast<double>(std::max<std::size_t>(features.rows, 1));
    target_ = mean_;
    if (normalised) ScaleToLengthOne(target_);
    bytes_.assign(features.rows * padded_, 0);
    for (std::size_t i = 0; i < features.rows; ++i) {
      Row(i, row);
      along_mean_.push_back(Dot(row, mean_));
      along_target_.push_back(Dot(row, target_));
      squares_.push_back(Dot(row, row));
      Round(i, row);
    }
  }

  // psi of one row, scaled if normalised.
  void Row(std::size_t i, std::span<double> out) const {
    const float* values = features_.values.data() + i * features_.width;
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = values[j];
    if (!normalised_ || lengths_[i] == 0.0) return;
    for (double& value : out) value /= lengths_[i];
  }

  [[nodiscard]] std::size_t padded() const { return padded_; }
  [[nodiscard]] const Vector& mean() const { return mean_; }      // of the rows
  [[nodiscard]] const Vector& target() const { return target_; }  // what running means shall be close to
  [[nodiscard]] double squares(std::size_t i) const { return squares_[i]; }
  [[nodiscard]] double along_mean(std::size_t i) const { return along_mean_[i]; }
  [[nodiscard]] double along_target(std::size_t i) const { return along_target_[i]; }
  [[nodiscard]] double spread(std::size_t i) const { return spread_[i]; }  // |e|
  [[nodiscard]] double error(std::size_t i) const { return error_[i]; }    // |e - e'|

  // e' . (step * integers)
  [[nodiscard]] double Estimate(std::size_t i, const std::vector<std::int16_t>& integers, double step) const {
    return steps_[i] * step * static_cast<double>(DotIntegers(bytes_.data() + i * padded_, integers.data(), padded_));
  }

 private:
  [[nodiscard]] double LengthOf(std::size_t i) const {
    double squares = 0.0;
    for (std::size_t j = 0; j < features_.width; ++j) {
      const double value = features_.values[i * features_.width + j];
      squares += value * value;
    }
    return std::sqrt(squares);
  }

  void Round(std::size_t i, Vector& row) {
    for (std::size_t j = 0; j < row.size(); ++j) row[j] -= mean_[j];
    const auto rounded = RoundTo<std::int8_t>(row, kMostByte, bytes_.data() + i * padded_);
    steps_.push_back(rounded.step);
    spread_.push_back(std::sqrt(Dot(row, row)));
    error_.push_back(rounded.error);
  }

  const FeatureRows& features_;
  bool normalised_;
  std::size_t padded_;
  Vector mean_, target_, lengths_;
  Vector squares_, along_mean_, along_target_, spread_, error_, steps_;
  std::vector<std::int8_t> bytes_;
};

struct Bounds {
  double low;
  double high;
};

// A running selection: the sum of the chosen rows and what follows from it for all candidates of the next step.
class Running {
 public:
  Running(const Candidates& candidates, bool normalised)
      : candidates_(candidates),
        normalised_(normalised),
        sum_(candidates.mean().size(), 0.0),
        row_(sum_.size()),
        integers_(candidates.padded(), 0) {}

  // Before choice k (from 1), after k - 1 calls of Add.
  void Prepare(std::size_t k) {
    k_ = static_cast<double>(k);
    Vector off(sum_);  // E
    for (std::size_t j = 0; j < off.size(); ++j) off[j] -= (k_ - 1.0) * candidates_.mean()[j];
    rounded_ = RoundTo<std::int16_t>(off, kMostShort, integers_.data());
    length_ = std::sqrt(Dot(off, off));
    mean_along_off_ = Dot(candidates_.mean(), off);
    sum_along_target_ = Dot(sum_, candidates_.target());
    sum_squares_ = Dot(sum_, sum_);
  }

  // Of a quantity that grows with the distance; the same one for all candidates of a step.
  [[nodiscard]] Bounds BoundsOf(std::size_t i) const {
    const double estimate = candidates_.Estimate(i, integers_, rounded_.step);
    // |e.E - e'.E'| <= |e - e'| |E| + |e'| |E - E'|, and a little for the sums in float64.
    const double error = candidates_.error(i) * length_ +
                         (candidates_.spread(i) + candidates_.error(i)) * (rounded_.error + 1e-9 * length_);
    if (!normalised_) {
      const double middle = candidates_.spread(i) * candidates_.spread(i) + 2.0 * estimate;
      const double slack = 2.0 * error + 1e-9 * (candidates_.spread(i) * candidates_.spread(i) + length_ * length_);
      return {middle - slack, middle + slack};
    }
    const double numerator = candidates_.along_target(i) + sum_along_target_;
    const double middle = (k_ - 1.0) * candidates_.along_mean(i) + mean_along_off_ + estimate;
    const double squares = candidates_.squares(i) + sum_squares_;
    const double shortest = squares + 2.0 * (middle - error) - 1e-9 * squares;
    const double longest = squares + 2.0 * (middle + error) + 1e-9 * squares;
    // Next to 0 the direction is anything.
    if (shortest <= 1e-6 * squares) return {-std::numeric_limits<double>::infinity(), 1.0};
    const double a = -numerator / std::sqrt(shortest);
    const double b = -numerator / std::sqrt(longest);
    return {std::min(a, b) - 1e-9, std::max(a, b) + 1e-9};
  }

  // As the plain loop computes it.
  [[nodiscard]] double Distance(std::size_t i) {
    candidates_.Row(i, row_);
    for (std::size_t j = 0; j < row_.size(); ++j) row_[j] = (row_[j] + sum_[j]) / k_;
    if (normalised_) ScaleToLengthOne(row_);
    double squares = 0.0;
    for (std::size_t j = 0; j < row_.size(); ++j) {
      squares += (candidates_.target()[j] - row_[j]) * (candidates_.target()[j] - row_[j]);
    }
    return std::sqrt(squares);
  }

  void Add(std::size_t i) {
    candidates_.Row(i, row_);
    for (std::size_t j = 0; j < row_.size(); ++j) sum_[j] += row_[j];
  }

 private:
  const Candidates& candidates_;
  bool normalised_;
  Vector sum_, row_;
  std::vector<std::int16_t> integers_;  // E', padded
  Rounded rounded_;
  double k_ = 0.0, length_ = 0.0, mean_along_off_ = 0.0, sum_along_target_ = 0.0, sum_squares_ = 0.0;
};

// The nearest of the left-over candidates; the lowest index among those within the tie.
HerdingChoice Nearest(Running& running, const std::vector<std::size_t>& pool, const std::vector<Bounds>& bounds) {
  double best_high = std::numeric_limits<double>::infinity();
  for (const Bounds& bound : bounds) best_high = std::min(best_high, bound.high);
  std::vector<HerdingChoice> near;
  double best = std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < pool.size(); ++p) {
    if (bounds[p].low > best_high) continue;
    near.push_back({pool[p], running.Distance(pool[p])});
    best = std::min(best, near.back().distance);
  }
  return *std::find_if(near.begin(), near.end(),
                       [&](const HerdingChoice& choice) { return choice.distance <= best + kHerdingTie; });
}

}  // namespace

std::vector<HerdingChoice> Herd(const FeatureRows& features, std::size_t count, HerdingVariant variant) {
  CheckFeatures(features);
  const bool normalised = variant == HerdingVariant::kNormalised;
  const Candidates candidates(features, normalised);
  Running running(candidates, normalised);
  std::vector<std::size_t> pool(features.rows);
  for (std::size_t i = 0; i < pool.size(); ++i) pool[i] = i;

  std::vector<HerdingChoice> choices;
  std::vector<Bounds> bounds;
  for (std::size_t k = 1; k <= std::min(count, features.rows); ++k) {
    running.Prepare(k);
    bounds.clear();
    for (const std::size_t i : pool) bounds.push_back(running.BoundsOf(i));
    choices.push_back(Nearest(running, pool, bounds));
    running.Add(choices.back().row);
    std::erase(pool, choices.back().row);
  }
  return choices;
}

}  // namespace hemafed::learning
