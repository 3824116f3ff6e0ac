// SPDX-License-Identifier: Apache-2.0
#include "learning/data/split_rule.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

namespace {

using Counts = std::vector<std::int64_t>;

Counts Shares(const Counts& sizes, unsigned percent) {
  const std::int64_t all = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  std::int64_t left = (all * percent + 99) / 100;
  Counts shares(sizes.size());
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    shares[c] = sizes[c] * percent / 100;
    left -= shares[c];
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] * percent % 100 > sizes[b] * percent % 100; });
  for (std::size_t i = 0; i < order.size() && left > 0; ++i, --left) ++shares[order[i]];
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    shares[c] = std::min(shares[c], std::max<std::int64_t>(sizes[c] - 1, 0));
  }
  return shares;
}

}  // namespace

std::string UnitName(const PictureEntry& picture) {
  if (!picture.patient.empty()) return "patient " + picture.patient;
  if (!picture.group.empty()) return "group " + picture.group;
  return "picture " + picture.digest.Hex();
}

std::vector<bool> HoldOut(std::span<const PictureEntry> pictures, std::size_t classes, unsigned percent,
                          std::uint64_t seed) {
  if (percent < 1 || percent > 99) {
    throw Error(ErrorCode::kInvalidInput, "a split holds out 1 to 99 percent, not " + std::to_string(percent));
  }
  std::array<std::uint8_t, 8> seed_bytes{};
  StoreLittleEndian(seed, seed_bytes.data());
  Counts sizes(classes);
  std::map<std::string, std::vector<std::size_t>> units;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    ++sizes[pictures[i].class_index];
    units[UnitName(pictures[i])].push_back(i);
  }
  std::vector<std::pair<Digest, const std::vector<std::size_t>*>> order;
  order.reserve(units.size());
  for (const auto& [name, members] : units) {
    order.emplace_back(Sha256().Update("hemafed split 1").Update(seed_bytes).Update(name).Finish(), &members);
  }
  std::sort(order.begin(), order.end());

  const Counts shares = Shares(sizes, percent);
  Counts taken(classes);
  std::vector<bool> held_out(pictures.size());
  for (const auto& [key, members] : order) {
    Counts with = taken;
    for (const std::size_t i : *members) ++with[pictures[i].class_index];
    std::int64_t gain = 0;
    for (std::size_t c = 0; c < classes; ++c) gain += std::abs(shares[c] - taken[c]) - std::abs(shares[c] - with[c]);
    if (gain <= 0) continue;
    taken = with;
    for (const std::size_t i : *members) held_out[i] = true;
  }
  return held_out;
}

TrainingParts SplitTraining(const DatasetIndex& index, unsigned percent, std::uint64_t seed) {
  const std::vector<std::uint32_t> positions = index.Positions(Split::kTrain);
  std::vector<PictureEntry> pictures;
  pictures.reserve(positions.size());
  for (const std::uint32_t position : positions) pictures.push_back(index.pictures[position]);
  const std::vector<bool> held_out = HoldOut(pictures, index.classes.size(), percent, seed);
  TrainingParts parts;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    (held_out[i] ? parts.validation : parts.train).push_back(positions[i]);
  }
  return parts;
}

}  // namespace hemafed::learning
