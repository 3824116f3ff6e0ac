// SPDX-License-Identifier: Apache-2.0
#include "learning/data/folds.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <tuple>

#include "common/error.h"
#include "learning/data/split_rule.h"

namespace hemafed::learning {

namespace {

struct Unit {
  Digest key;
  std::vector<std::size_t> pictures;
};

std::vector<Unit> DealingOrder(std::span<const PictureEntry> pictures, std::uint64_t seed) {
  std::array<std::uint8_t, 8> seed_bytes{};
  StoreLittleEndian(seed, seed_bytes.data());
  std::map<std::string, Unit> by_name;
  for (std::size_t i = 0; i < pictures.size(); ++i) by_name[UnitName(pictures[i])].pictures.push_back(i);
  std::vector<Unit> units;
  for (auto& [name, unit] : by_name) {
    unit.key = Sha256().Update("hemafed folds 1").Update(seed_bytes).Update(name).Finish();
    units.push_back(std::move(unit));
  }
  std::sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
    return a.pictures.size() != b.pictures.size() ? a.pictures.size() > b.pictures.size() : a.key < b.key;
  });
  return units;
}

}  // namespace

std::vector<std::uint32_t> AssignFolds(std::span<const PictureEntry> pictures, std::size_t classes, std::uint32_t folds,
                                       std::uint64_t seed) {
  const std::vector<Unit> units = DealingOrder(pictures, seed);
  if (folds < 2 || folds > kMaxFolds || units.size() < folds) {
    throw Error(ErrorCode::kInvalidInput, std::to_string(folds) + " folds of " + std::to_string(units.size()) +
                                              " pictures or groups cannot be made; choose 2 to " +
                                              std::to_string(kMaxFolds) + ", and no more than there are groups");
  }
  std::vector<double> sizes(classes);
  for (const PictureEntry& picture : pictures) sizes[picture.class_index] += 1.0;
  struct Fold {
    std::vector<double> counts;  // by class
    std::size_t pictures = 0;
  };
  std::vector<Fold> parts(folds, Fold{std::vector<double>(classes), 0});
  std::vector<std::uint32_t> fold_of(pictures.size());
  for (const Unit& unit : units) {
    const auto crowding = [&](const Fold& fold) {
      double sum = 0.0;
      for (const std::size_t i : unit.pictures) {
        sum += fold.counts[pictures[i].class_index] / sizes[pictures[i].class_index];
      }
      return std::make_tuple(sum, fold.pictures);
    };
    std::uint32_t best = 0;
    for (std::uint32_t f = 1; f < folds; ++f) {
      if (crowding(parts[f]) < crowding(parts[best])) best = f;
    }
    for (const std::size_t i : unit.pictures) {
      fold_of[i] = best;
      parts[best].counts[pictures[i].class_index] += 1.0;
    }
    parts[best].pictures += unit.pictures.size();
  }
  return fold_of;
}

}  // namespace hemafed::learning
