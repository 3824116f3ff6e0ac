// SPDX-License-Identifier: Apache-2.0
#include "learning/features/detection/nms_kernel.h"

#include <algorithm>

namespace hemafed::learning {

namespace {

// Compiled once for each of these instruction sets; the loader picks the best one present. O3: -O2 leaves the loop
// scalar.
#if defined(__x86_64__)
#define HEMAFED_WIDE_LOOP [[gnu::target_clones("avx512f", "avx2", "default"), gnu::optimize("O3")]]
#else
#define HEMAFED_WIDE_LOOP [[gnu::optimize("O3")]]
#endif

struct Columns {
  const float *x0, *y0, *x1, *y1, *area;
};

// Marks the boxes from `first` on that overlap box `best` too much. The products are compared instead of the quotient:
// both sides are 0 where neither box has an area, which then removes nothing.
HEMAFED_WIDE_LOOP
void Mark(const Columns& boxes, std::size_t best, std::size_t first, std::size_t last, float overlap,
          std::uint8_t* removed) {
  const float x0 = boxes.x0[best], y0 = boxes.y0[best], x1 = boxes.x1[best], y1 = boxes.y1[best];
  const float area = boxes.area[best];
  for (std::size_t i = first; i < last; ++i) {
    const float width = std::max(0.0f, std::min(x1, boxes.x1[i]) - std::max(x0, boxes.x0[i]));
    const float height = std::max(0.0f, std::min(y1, boxes.y1[i]) - std::max(y0, boxes.y0[i]));
    const float common = width * height;
    removed[i] = static_cast<std::uint8_t>(removed[i] | (common > overlap * (area + boxes.area[i] - common)));
  }
}

// Places of the boxes of one group that stay, among `places`.
void KeepOfGroup(const SortedBoxes& boxes, const std::vector<std::size_t>& places, float overlap,
                 std::vector<std::size_t>& kept) {
  const std::size_t count = places.size();
  std::vector<float> x0(count), y0(count), x1(count), y1(count), area(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = places[i];
    x0[i] = boxes.x0[place];
    y0[i] = boxes.y0[place];
    x1[i] = boxes.x1[place];
    y1[i] = boxes.y1[place];
    area[i] = (x1[i] - x0[i]) * (y1[i] - y0[i]);
  }
  const Columns columns{x0.data(), y0.data(), x1.data(), y1.data(), area.data()};
  std::vector<std::uint8_t> removed(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (removed[i] != 0) continue;
    kept.push_back(places[i]);
    Mark(columns, i, i + 1, count, overlap, removed.data());
  }
}

}  // namespace

std::vector<std::size_t> KeepBest(const SortedBoxes& boxes, float overlap, std::size_t most) {
  std::vector<std::int64_t> groups = boxes.groups;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  std::vector<std::vector<std::size_t>> members(groups.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const auto group = std::lower_bound(groups.begin(), groups.end(), boxes.groups[i]) - groups.begin();
    members[static_cast<std::size_t>(group)].push_back(i);
  }
  std::vector<std::size_t> kept;
  for (const std::vector<std::size_t>& places : members) KeepOfGroup(boxes, places, overlap, kept);
  std::sort(kept.begin(), kept.end());
  if (kept.size() > most) kept.resize(most);
  return kept;
}

}  // namespace hemafed::learning
