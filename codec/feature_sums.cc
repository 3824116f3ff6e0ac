// SPDX-License-Identifier: Apache-2.0
#include "codec/feature_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "codec/exact.h"
#include "codec/feature_sums_header.h"
#include "codec/plan.h"
#include "common/error.h"

namespace hemafed {

static_assert(std::endian::native == std::endian::little, "canonical integers are hashed as they lie in memory");

namespace {

// Pictures summed at a time: each row of G is then read and written once for 128 pictures.
constexpr std::size_t kBatchPictures = 128;

[[noreturn]] void Fail(const std::string& problem) {
  throw Error(ErrorCode::kInvalidInput, "feature sums: " + problem);
}

void HashValues(Sha256& hash, std::span<const std::int64_t> values) {
  hash.Update({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
}

std::string At(std::uint32_t i, std::uint32_t j) { return "[" + std::to_string(i) + ", " + std::to_string(j) + "]"; }

}  // namespace

std::size_t RoundFeatures(std::span<const double> features, std::span<std::uint16_t> out) {
  if (out.size() != features.size()) throw Error(ErrorCode::kInternal, "RoundFeatures: the lengths differ");
  const double scale = std::ldexp(1.0, kFeatureGridBits);
  std::size_t clamped = 0;
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (!std::isfinite(features[i])) {
      Fail("feature " + std::to_string(i) + " is no finite number; the model's features are broken");
    }
    const double steps = RoundHalfEven(features[i] * scale);
    const double kept = std::clamp(steps, 0.0, static_cast<double>(kMaxFeatureSteps));
    if (kept != steps) ++clamped;
    out[i] = static_cast<std::uint16_t>(kept);
  }
  return clamped;
}

FeatureSums::FeatureSums(std::uint32_t features, std::uint32_t classes) : features_(features), classes_(classes) {
  if (features == 0 || features > kMaxRandomFeatures || classes == 0 || classes > kMaxClasses) {
    Fail(std::to_string(features) + " features and " + std::to_string(classes) + " classes are not 1 to " +
         std::to_string(kMaxRandomFeatures) + " and 1 to " + std::to_string(kMaxClasses));
  }
  moments_.resize(std::size_t{features} * (features + 1) / 2);
  targets_.resize(std::size_t{features} * classes);
  pictures_.resize(classes);
}

std::size_t FeatureSums::RowBegin(std::uint32_t i) const {
  if (i >= features_) throw Error(ErrorCode::kInternal, "feature sums: row " + std::to_string(i) + " does not exist");
  return std::size_t{i} * features_ - std::size_t{i} * (i - std::size_t{1}) / 2;
}

std::span<const std::int64_t> FeatureSums::MomentRow(std::uint32_t i) const {
  return std::span(moments_).subspan(RowBegin(i), features_ - i);
}

std::span<const std::int64_t> FeatureSums::TargetRow(std::uint32_t i) const {
  return std::span(targets_).subspan(std::size_t{i} * classes_, classes_);
}

std::int64_t FeatureSums::Moment(std::uint32_t i, std::uint32_t j) const {
  return MomentRow(std::min(i, j))[std::max(i, j) - std::min(i, j)];
}

std::int64_t FeatureSums::Target(std::uint32_t i, std::uint32_t k) const {
  return targets_.at(i * std::size_t{classes_} + k);
}

std::int64_t FeatureSums::TotalPictures() const {
  return std::accumulate(pictures_.begin(), pictures_.end(), std::int64_t{0});
}

void FeatureSums::CheckShape(const FeatureSums& other) const {
  if (features_ == other.features_ && classes_ == other.classes_) return;
  Fail("sums of " + std::to_string(other.features_) + " features and " + std::to_string(other.classes_) +
       " classes do not fit sums of " + std::to_string(features_) + " and " + std::to_string(classes_));
}

void FeatureSums::Add(const FeatureSums& other) {
  CheckShape(other);
  if (TotalPictures() + other.TotalPictures() > kMaxSummedPictures) {
    Fail("more than " + std::to_string(kMaxSummedPictures) + " pictures cannot be summed exactly");
  }
  const auto add = [](std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
    std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
  };
  add(moments_, other.moments_);
  add(targets_, other.targets_);
  add(pictures_, other.pictures_);
}

void FeatureSums::Subtract(const FeatureSums& other) {
  CheckShape(other);
  FeatureSums rest = *this;
  const auto subtract = [](std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
    std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::minus<>());
  };
  subtract(rest.moments_, other.moments_);
  subtract(rest.targets_, other.targets_);
  subtract(rest.pictures_, other.pictures_);
  if (const auto problem = rest.Implausible()) Fail("what is to be taken out was never added: " + *problem);
  *this = std::move(rest);
}

std::optional<std::string> FeatureSums::Implausible() const {
  constexpr std::int64_t kSteps = kMaxFeatureSteps;
  std::int64_t total = 0;
  for (std::uint32_t k = 0; k < classes_; ++k) {
    if (pictures_[k] < 0 || pictures_[k] > kMaxSummedPictures - total) {
      return "class " + std::to_string(k) + " has " + std::to_string(pictures_[k]) + " pictures";
    }
    total += pictures_[k];
  }
  for (std::uint32_t i = 0; i < features_; ++i) {
    std::int64_t sum = 0;  // Over the classes: at most 2^46.
    for (std::uint32_t k = 0; k < classes_; ++k) {
      const std::int64_t target = TargetRow(i)[k];
      if (target < 0 || target > kSteps * pictures_[k]) {
        return "C" + At(i, k) + " is " + std::to_string(target) + " for " + std::to_string(pictures_[k]) + " pictures";
      }
      sum += target;
    }
    const std::int64_t square = MomentRow(i)[0];
    // f <= f^2 <= 65535 f for integers f, and (sum f)^2 <= n sum f^2.
    if (square < sum || square > kSteps * sum || static_cast<Int128>(sum) * sum > static_cast<Int128>(total) * square) {
      return "G" + At(i, i) + " is " + std::to_string(square) + " for features that sum to " + std::to_string(sum);
    }
  }
  for (std::uint32_t i = 0; i < features_; ++i) {
    const std::span<const std::int64_t> row = MomentRow(i);
    for (std::uint32_t j = i + 1; j < features_; ++j) {
      const Int128 moment = row[j - i];
      if (moment < 0 || moment * moment > static_cast<Int128>(row[0]) * MomentRow(j)[0]) {
        return "G" + At(i, j) + " is " + std::to_string(row[j - i]) + ", more than its diagonal allows";
      }
    }
  }
  return std::nullopt;
}

bool FeatureSums::MaySend(std::int64_t min_pictures) const {
  return std::all_of(pictures_.begin(), pictures_.end(),
                     [&](std::int64_t count) { return count == 0 || count >= min_pictures; });
}

FeatureSums FeatureSums::FromValues(std::uint32_t features, std::uint32_t classes,
                                    std::span<const std::int64_t> values) {
  FeatureSums sums(features, classes);
  if (values.size() != sums.moments_.size() + sums.targets_.size() + sums.pictures_.size()) {
    Fail(std::to_string(values.size()) + " values are not those of " + std::to_string(features) + " features and " +
         std::to_string(classes) + " classes");
  }
  for (std::vector<std::int64_t>* part : {&sums.moments_, &sums.targets_, &sums.pictures_}) {
    std::copy_n(values.begin(), part->size(), part->begin());
    values = values.subspan(part->size());
  }
  if (const auto problem = sums.Implausible()) Fail("these numbers cannot come from pictures: " + *problem);
  return sums;
}

Digest FeatureSums::Hash() const {
  Sha256 hash;
  hash.Update(FeatureSumsHeader(features_, classes_));
  HashValues(hash, moments_);
  HashValues(hash, targets_);
  HashValues(hash, pictures_);
  return hash.Finish();
}

FeatureSumsBuilder::FeatureSumsBuilder(std::uint32_t features, std::uint32_t classes) : sums_(features, classes) {
  batch_.reserve(kBatchPictures * features);
  labels_.reserve(kBatchPictures);
}

void FeatureSumsBuilder::Add(std::span<const std::uint16_t> features, std::uint32_t label) {
  if (features.size() != sums_.features_ || label >= sums_.classes_) {
    Fail("a picture of class " + std::to_string(label) + " with " + std::to_string(features.size()) +
         " features does not fit sums of " + std::to_string(sums_.features_) + " features and " +
         std::to_string(sums_.classes_) + " classes");
  }
  if (sums_.TotalPictures() + static_cast<std::int64_t>(labels_.size()) >= kMaxSummedPictures) {
    Fail("more than " + std::to_string(kMaxSummedPictures) + " pictures cannot be summed exactly");
  }
  batch_.insert(batch_.end(), features.begin(), features.end());
  labels_.push_back(label);
  if (labels_.size() == kBatchPictures) Flush();
}

void FeatureSumsBuilder::Flush() {
  const std::size_t width = sums_.features_;
  std::int64_t* row = sums_.moments_.data();
  for (std::size_t i = 0; i < width; row += width - i, ++i) {
    for (std::size_t p = 0; p < labels_.size(); ++p) {
      const std::uint16_t* features = &batch_[p * width];
      const std::uint32_t left = features[i];
      if (left == 0) continue;  // About half of them, after the ReLU.
      sums_.targets_[i * sums_.classes_ + labels_[p]] += left;
      for (std::size_t j = i; j < width; ++j) {
        const std::uint32_t product = left * features[j];  // Below 2^32.
        row[j - i] += product;
      }
    }
  }
  for (const std::uint32_t label : labels_) ++sums_.pictures_[label];
  batch_.clear();
  labels_.clear();
}

FeatureSums FeatureSumsBuilder::Finish() {
  Flush();
  FeatureSums done(sums_.features_, sums_.classes_);
  std::swap(done, sums_);
  return done;
}

}  // namespace hemafed
