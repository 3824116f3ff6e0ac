// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/smear.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "learning/data/synthetic/canvas.h"
#include "learning/data/synthetic/optics.h"

namespace hemafed::learning::synthetic {

namespace {

// Canvas pixels a picture pixel, along each side.
constexpr int kSupersampling = 2;
// Red cells are drawn beyond the field's edge by this much, so that cut ones appear. um
constexpr double kMargin = 5.0;
// The clear space that a white cell keeps from the middle of a red one, in um beyond both radii: negative is overlap.
constexpr double kClearance = -0.6;

struct RedCell {
  cv::Point2d centre;
  double radius = 0.0;  // um, geometric mean of both half axes
  double stretch = 1.0;
  double tilt = 0.0;
  double amount = 1.0;
  double pallor = 0.5;
};

// Haemoglobin over a biconcave disc at a relative distance s from its middle: pale within, full at 0.7, zero beyond 1.
Layer RedCellLayer(const Canvas& canvas, const RedCell& cell) {
  const double scale = canvas.px_per_um();
  const double reach = cell.radius * cell.stretch + 0.5;
  const cv::Point low(static_cast<int>(std::floor((cell.centre.x - reach) * scale)),
                      static_cast<int>(std::floor((cell.centre.y - reach) * scale)));
  const cv::Point high(static_cast<int>(std::ceil((cell.centre.x + reach) * scale)),
                       static_cast<int>(std::ceil((cell.centre.y + reach) * scale)));
  Layer layer{cv::Rect(low, high) & cv::Rect(0, 0, canvas.side_px(), canvas.side_px()), {}};
  layer.covered.create(layer.place.size());
  const double cosine = std::cos(cell.tilt);
  const double sine = std::sin(cell.tilt);
  const double soft = 0.12 / cell.radius;  // Half the width of the edge, relative.
  for (int y = 0; y < layer.place.height; ++y) {
    for (int x = 0; x < layer.place.width; ++x) {
      const double dx = (layer.place.x + x + 0.5) / scale - cell.centre.x;
      const double dy = (layer.place.y + y + 0.5) / scale - cell.centre.y;
      const double along = (dx * cosine + dy * sine) / (cell.radius * cell.stretch);
      const double across = (dy * cosine - dx * sine) * cell.stretch / cell.radius;
      const double s = std::sqrt(along * along + across * across);
      const double edge = std::clamp((1.0 + soft - s) / (2.0 * soft), 0.0, 1.0);
      const double dent = std::clamp(1.0 - s / 0.68, 0.0, 1.0);
      const double thickness = 1.0 - cell.pallor * dent * dent * (3.0 - 2.0 * dent);
      layer.covered(y, x) = static_cast<float>(cell.amount * edge * thickness);
    }
  }
  return layer;
}

void DrawRedCells(Canvas& canvas, const HospitalProfile& profile, cv::Point2d white_centre, double white_radius,
                  RandomStream& random) {
  const double side = profile.field_um + 2.0 * kMargin;
  const double crowding = random.NextBetween(profile.red_cells_per_1000_um2.low, profile.red_cells_per_1000_um2.high);
  const int wanted = static_cast<int>(std::lround(crowding * side * side / 1000.0));
  const double size = random.NextBetween(0.94, 1.06);
  std::vector<RedCell> cells;
  for (int tries = 0; tries < 12 * wanted && static_cast<int>(cells.size()) < wanted; ++tries) {
    RedCell cell;
    cell.centre = {random.NextBetween(-kMargin, side - kMargin), random.NextBetween(-kMargin, side - kMargin)};
    cell.radius = profile.cell_scale * size * random.NextBetween(3.3, 4.0);
    cell.stretch = std::sqrt(random.NextBetween(1.0, 1.22));
    cell.tilt = std::numbers::pi * random.NextUnit();
    cell.amount = random.NextBetween(0.85, 1.1);
    cell.pallor = profile.pallor * random.NextBetween(0.5, 1.2);
    const double overlap = random.NextUnit();
    if (cv::norm(cell.centre - white_centre) < white_radius + cell.radius + kClearance) continue;
    // Few overlaps: a new cell may reach into an older one by up to a third of its radius, and mostly does not.
    const double reach = overlap < 0.2 ? 1.35 : overlap < 0.5 ? 1.85 : 2.05;
    const bool crowded = std::any_of(cells.begin(), cells.end(), [&](const RedCell& other) {
      return cv::norm(cell.centre - other.centre) < reach * 0.5 * (cell.radius + other.radius);
    });
    if (crowded) continue;
    canvas.Add(RedCellLayer(canvas, cell), DyeAmounts(1.0f, 0.0f, 0.0f, 0.0f));
    cells.push_back(cell);
  }
}

void DrawPlatelets(Canvas& canvas, const HospitalProfile& profile, cv::Point2d white_centre, double white_radius,
                   RandomStream& random) {
  const cv::Mat_<float> grain = canvas.Noise(0.45, random);
  // A count with the right mean and a tail: every tenth of an expected platelet appears with probability 0.1 ten times.
  constexpr int kChances = 10;
  for (int i = 0; i < kChances; ++i) {
    const bool present = random.NextUnit() < profile.platelets_per_picture / kChances;
    const cv::Point2d at(random.NextUnit() * profile.field_um, random.NextUnit() * profile.field_um);
    const double radius = random.NextBetween(0.7, 1.35);
    const double second = radius * random.NextBetween(0.5, 0.9);
    const double angle = 2.0 * std::numbers::pi * random.NextUnit();
    if (!present || cv::norm(at - white_centre) < white_radius + radius) continue;
    const cv::Point2d next(at.x + radius * std::cos(angle), at.y + radius * std::sin(angle));
    const Layer body = canvas.Sweep({{at, radius}, {next, second}}, 0.5);
    canvas.Paint(body, DyeAmounts(0.15f, 0.46f, 0.12f, 0.0f), 0.9, grain, 0.35);
  }
}

}  // namespace

cv::Mat DrawSmear(const HospitalProfile& profile, std::uint64_t seed, std::size_t class_index, std::uint32_t index) {
  if (class_index >= kSmearClasses.size()) {
    throw Error(ErrorCode::kInvalidInput, "class index " + std::to_string(class_index) + " cannot be drawn");
  }
  const std::uint64_t key =
      DeriveSeed(seed, "synthetic smear " + std::to_string(kGeneratorVersion) + " " + std::string(profile.name));
  RandomStream random(key, std::uint64_t{class_index} << 32 | index);
  Canvas canvas(static_cast<int>(profile.side_px) * kSupersampling, profile.field_um);
  const double middle = 0.5 * profile.field_um;
  const cv::Point2d centre(middle + random.NextBetween(-1.5, 1.5), middle + random.NextBetween(-1.5, 1.5));
  const double scale = profile.cell_scale * random.NextBetween(0.95, 1.05);
  // Red cells make room for a cell of average size; larger ones push into them.
  const double room = scale * (class_index == 2 ? 4.8 : class_index == 3 ? 7.8 : 6.3);
  DrawRedCells(canvas, profile, centre, room, random);
  DrawPlatelets(canvas, profile, centre, room, random);
  DrawLeukocyte(canvas, class_index, centre, scale, random);
  return Photograph(canvas, profile, random);
}

}  // namespace hemafed::learning::synthetic
