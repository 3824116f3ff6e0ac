// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/leukocyte.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "common/error.h"

namespace hemafed::learning::synthetic {

namespace {

constexpr double kTurn = 2.0 * std::numbers::pi;
constexpr int kOutlinePoints = 72;
constexpr int kSpinePoints = 48;

struct Cell {
  cv::Point2d centre;
  double radius = 0.0;  // um
  Layer body;
};

DyeAmounts Dyes(double haem, double nuclear, double blue, double granule) {
  return {static_cast<float>(haem), static_cast<float>(nuclear), static_cast<float>(blue), static_cast<float>(granule)};
}

cv::Point2d Polar(cv::Point2d centre, double radius, double angle) {
  return {centre.x + radius * std::cos(angle), centre.y + radius * std::sin(angle)};
}

// A closed curve r(a) = radius * (1 + sum over k = 2..6 of w_k cos(k a + p_k)) whose waves share `wobble`; lower ones
// are larger. `stretch` makes an ellipse of it.
std::vector<cv::Point2d> Blob(cv::Point2d centre, double radius, double wobble, double stretch, RandomStream& random) {
  std::array<double, 5> size{};
  std::array<double, 5> phase{};
  for (std::size_t k = 0; k < size.size(); ++k) {
    size[k] = wobble * random.NextUnit() / static_cast<double>(k + 1);
    phase[k] = kTurn * random.NextUnit();
  }
  const double tilt = kTurn * random.NextUnit();
  std::vector<cv::Point2d> points;
  for (int i = 0; i < kOutlinePoints; ++i) {
    const double angle = kTurn * i / kOutlinePoints;
    double r = radius;
    for (std::size_t k = 0; k < size.size(); ++k) {
      r += radius * size[k] * std::cos(static_cast<double>(k + 2) * angle + phase[k]);
    }
    const double along = r * std::cos(angle) * stretch;
    const double across = r * std::sin(angle) / stretch;
    points.emplace_back(centre.x + along * std::cos(tilt) - across * std::sin(tilt),
                        centre.y + along * std::sin(tilt) + across * std::cos(tilt));
  }
  return points;
}

struct Lobes {
  int count = 1;
  double length = 0.0;        // um: of the curve the lobes sit on
  double turn = 0.0;          // radians that the curve turns: 0 is straight, 2 pi a ring
  double lobe = 0.0;          // um: radius of a lobe
  double strand = 0.0;        // um: radius between lobes
  double s_shaped = 0.0;      // chance that the curve turns back half way
  double eccentricity = 0.0;  // um: how far the nucleus may lie off the centre
};

// Lobes along a curve in a random direction; the middle third of each lobe's share of the curve is as thick as the
// lobe, the rest as thin as a strand. A single lobe makes a band or a kidney.
std::vector<Disc> LobedNucleus(cv::Point2d centre, const Lobes& lobes, RandomStream& random) {
  std::vector<double> sizes;
  for (int i = 0; i < lobes.count; ++i) sizes.push_back(lobes.lobe * random.NextBetween(0.85, 1.12));
  const bool s_shaped = random.NextUnit() < lobes.s_shaped;
  const double wave = random.NextBetween(-0.5, 0.5);
  const double squeeze = random.NextBetween(0.85, 1.0);
  double heading = kTurn * random.NextUnit();
  cv::Point2d at(0, 0);
  cv::Point2d mean(0, 0);
  std::vector<Disc> discs;
  for (int i = 0; i <= kSpinePoints; ++i) {
    const double t = static_cast<double>(i) / kSpinePoints;
    const int lobe = std::min(lobes.count - 1, static_cast<int>(t * lobes.count));
    const double from_middle = std::abs(2.0 * (t * lobes.count - lobe) - 1.0);  // 0 in the lobe's middle, 1 at its ends
    const bool thick = from_middle <= 0.34;
    const bool end = t * lobes.count < 0.33 || t * lobes.count > lobes.count - 0.33;
    if (thick || lobes.count == 1 || !end)
      discs.push_back({at, thick ? sizes[static_cast<std::size_t>(lobe)] : lobes.strand});
    mean += at / (kSpinePoints + 1.0);
    const double sense = s_shaped && t > 0.5 ? -1.0 : 1.0;
    heading += sense * lobes.turn / kSpinePoints * (1.0 + wave * std::sin(kTurn * t));
    const double step = lobes.length / kSpinePoints;
    at += cv::Point2d(step * std::cos(heading), squeeze * step * std::sin(heading));
  }
  const cv::Point2d shift = Polar(centre, lobes.eccentricity * random.NextUnit(), kTurn * random.NextUnit()) - mean;
  for (Disc& disc : discs) disc.centre += shift;
  return discs;
}

void PaintNucleus(Canvas& canvas, const Layer& nucleus, double amount, double chromatin_um, double clumping,
                  RandomStream& random) {
  const cv::Mat_<float> chromatin = canvas.Noise(chromatin_um, random);
  canvas.Paint(nucleus, Dyes(0.0, amount, 0.06, 0.0), 1.0, chromatin, clumping);
  canvas.Add(Rim(nucleus, 0.35, canvas.px_per_um()), Dyes(0, 0.22 * amount, 0, 0));
}

void PaintBody(Canvas& canvas, const Cell& cell, const DyeAmounts& amounts, double grain_um, double grain,
               double membrane, RandomStream& random) {
  canvas.Paint(cell.body, amounts, 1.0, canvas.Noise(grain_um, random), grain);
  canvas.Add(Rim(cell.body, 0.35, canvas.px_per_um()), amounts * membrane);
}

// Discs at random places of the cell, at most one try in sixteen wasted on places outside it.
std::vector<Disc> Scatter(const Canvas& canvas, const Cell& cell, int count, Interval radius, RandomStream& random) {
  std::vector<Disc> discs;
  for (int tries = 0; tries < 16 * count && static_cast<int>(discs.size()) < count; ++tries) {
    const double distance = 1.1 * cell.radius * std::sqrt(random.NextUnit());
    const cv::Point2d at = Polar(cell.centre, distance, kTurn * random.NextUnit());
    const double size = random.NextBetween(radius.low, radius.high);
    if (CoverAt(cell.body, at, canvas.px_per_um()) > 0.9) discs.push_back({at, size});
  }
  return discs;
}

std::vector<double> Covers(std::size_t count, Interval cover, RandomStream& random) {
  std::vector<double> covers(count);
  for (double& c : covers) c = random.NextBetween(cover.low, cover.high);
  return covers;
}

Cell MakeCell(const Canvas& canvas, cv::Point2d centre, double radius, double wobble, double stretch,
              RandomStream& random) {
  return {centre, radius, canvas.Outline(Blob(centre, radius, wobble, stretch, random), 0.3)};
}

void DrawBasophil(Canvas& canvas, cv::Point2d centre, double scale, RandomStream& random) {
  const double radius = scale * random.NextBetween(5.2, 6.6);
  const Cell cell = MakeCell(canvas, centre, radius, 0.05, random.NextBetween(1.0, 1.08), random);
  PaintBody(canvas, cell, Dyes(0.30, 0.13, 0.08, 0.0), 0.6, 0.25, 0.35, random);
  const int lobes = 2 + static_cast<int>(random.NextBelow(2));
  const Layer nucleus = canvas.Sweep(LobedNucleus(centre,
                                                  {.count = lobes,
                                                   .length = 1.2 * radius,
                                                   .turn = random.NextBetween(1.5, 4.0),
                                                   .lobe = 0.40 * radius,
                                                   .strand = 0.28 * radius,
                                                   .s_shaped = 0.4,
                                                   .eccentricity = 0.12 * radius},
                                                  random),
                                     0.5);
  PaintNucleus(canvas, Within(nucleus, cell.body), random.NextBetween(0.55, 0.75), 1.2, 0.15, random);
  const int count = 45 + static_cast<int>(random.NextBelow(85));
  const std::vector<Disc> granules = Scatter(canvas, cell, count, {0.24, 0.52}, random);
  const std::vector<double> covers = Covers(granules.size(), {0.6, 1.0}, random);
  canvas.Paint(Within(canvas.Granules(granules, covers), cell.body), Dyes(0.0, 1.15, 0.5, 0.0), 0.95);
}

void DrawEosinophil(Canvas& canvas, cv::Point2d centre, double scale, RandomStream& random) {
  const double radius = scale * random.NextBetween(6.0, 7.3);
  const Cell cell = MakeCell(canvas, centre, radius, 0.06, random.NextBetween(1.0, 1.1), random);
  PaintBody(canvas, cell, Dyes(0.25, 0.05, 0.05, 0.22), 0.6, 0.3, 0.3, random);
  const int count = static_cast<int>(random.NextBetween(150, 230) * (radius / 6.5) * (radius / 6.5));
  const std::vector<Disc> granules = Scatter(canvas, cell, count, {0.36, 0.55}, random);
  const Layer granular = canvas.Granules(granules, Covers(granules.size(), {0.75, 1.0}, random));
  canvas.Paint(Within(granular, cell.body), Dyes(0.05, 0.04, 0.0, random.NextBetween(0.75, 0.98)), 1.0);
  const bool three = random.NextUnit() < 0.2;
  const Layer nucleus =
      canvas.Sweep(LobedNucleus(centre,
                                {.count = three ? 3 : 2,
                                 .length = (three ? 2.1 : 1.7) * radius,
                                 .turn = three ? random.NextBetween(3.0, 4.0) : random.NextBetween(1.4, 3.4),
                                 .lobe = (three ? 0.25 : 0.31) * radius,
                                 .strand = random.NextBetween(0.05, 0.10) * radius,
                                 .eccentricity = 0.22 * radius},
                                random),
                   0.35);
  PaintNucleus(canvas, Within(nucleus, cell.body), random.NextBetween(0.82, 1.0), 0.9, 0.22, random);
  // Some granules lie above the nucleus.
  const std::vector<Disc> above = Scatter(canvas, cell, count / 8, {0.34, 0.5}, random);
  const Layer veil = canvas.Granules(above, Covers(above.size(), {0.3, 0.6}, random));
  canvas.Paint(Within(veil, nucleus), Dyes(0.0, 0.5, 0.0, 0.7), 0.7);
}

void DrawLymphocyte(Canvas& canvas, cv::Point2d centre, double scale, RandomStream& random) {
  const bool large = random.NextUnit() < 0.22;
  const double radius = scale * (large ? random.NextBetween(5.2, 6.2) : random.NextBetween(4.0, 5.2));
  const Cell cell = MakeCell(canvas, centre, radius, 0.07, random.NextBetween(1.0, 1.1), random);
  PaintBody(canvas, cell, Dyes(0.02, 0.06, random.NextBetween(0.7, 1.05), 0.0), 0.9, 0.18, 0.35, random);
  const double share = large ? random.NextBetween(0.68, 0.78) : random.NextBetween(0.80, 0.90);
  const double room = radius * (1.0 - share) * 0.8;
  const cv::Point2d middle = Polar(centre, room * random.NextUnit(), kTurn * random.NextUnit());
  const Layer nucleus = canvas.Outline(Blob(middle, radius * share, 0.07, random.NextBetween(1.0, 1.07), random), 0.35);
  PaintNucleus(canvas, Within(nucleus, cell.body), random.NextBetween(1.0, 1.2), 1.3, 0.20, random);
}

void DrawMonocyte(Canvas& canvas, cv::Point2d centre, double scale, RandomStream& random) {
  const double radius = scale * random.NextBetween(7.0, 8.8);
  const Cell cell = MakeCell(canvas, centre, radius, 0.15, random.NextBetween(1.0, 1.14), random);
  PaintBody(canvas, cell, Dyes(0.18, 0.08, random.NextBetween(0.24, 0.38), 0.0), 0.8, 0.14, 0.3, random);
  const std::vector<Disc> dust = Scatter(canvas, cell, 40, {0.12, 0.2}, random);
  canvas.Paint(Within(canvas.Granules(dust, Covers(dust.size(), {0.2, 0.5}, random)), cell.body),
               Dyes(0.2, 0.35, 0.2, 0.0), 0.8);
  const double thick = random.NextBetween(0.31, 0.38) * radius;
  const Layer nucleus = canvas.Sweep(LobedNucleus(centre,
                                                  {.count = 1,
                                                   .length = random.NextBetween(1.0, 1.5) * radius,
                                                   .turn = random.NextBetween(2.2, 3.8),
                                                   .lobe = thick,
                                                   .strand = random.NextBetween(0.74, 0.95) * thick,
                                                   .eccentricity = 0.15 * radius},
                                                  random),
                                     0.6);
  PaintNucleus(canvas, Within(nucleus, cell.body), random.NextBetween(0.76, 0.92), 0.85, 0.17, random);
  const std::vector<Disc> holes =
      Scatter(canvas, cell, static_cast<int>(random.NextBelow(7)), {0.3 * scale, 0.65 * scale}, random);
  const Layer vacuoles = canvas.Granules(holes, Covers(holes.size(), {0.6, 0.9}, random));
  canvas.Paint(Outside(Within(vacuoles, cell.body), nucleus), Dyes(0.04, 0.03, 0.06, 0.0), 0.85);
}

void DrawNeutrophil(Canvas& canvas, cv::Point2d centre, double scale, RandomStream& random) {
  const double radius = scale * random.NextBetween(5.9, 7.2);
  const Cell cell = MakeCell(canvas, centre, radius, 0.06, random.NextBetween(1.0, 1.1), random);
  PaintBody(canvas, cell, Dyes(random.NextBetween(0.36, 0.52), 0.06, 0.03, 0.0), 0.35, 0.32, 0.25, random);
  const std::vector<Disc> fine = Scatter(canvas, cell, 130, {0.13, 0.22}, random);
  canvas.Paint(Within(canvas.Granules(fine, Covers(fine.size(), {0.2, 0.55}, random)), cell.body),
               Dyes(0.7, 0.22, 0.0, 0.05), 0.8);
  Lobes lobes{.count = 1,
              .length = random.NextBetween(1.5, 2.1) * radius,
              .turn = random.NextBetween(2.6, 4.2),
              .lobe = 0.22 * radius,
              .strand = 0.20 * radius,
              .s_shaped = 0.25,
              .eccentricity = 0.12 * radius};
  const double kind = random.NextUnit();
  if (kind > 1.0 / 7.0) {
    lobes.count = kind < 0.55 ? 3 : kind < 0.9 ? 4 : 5;
    lobes.length = random.NextBetween(2.1, 2.5) * radius;
    lobes.turn = random.NextBetween(3.2, 5.4);
    lobes.lobe = (lobes.count == 3 ? 0.235 : lobes.count == 4 ? 0.20 : 0.175) * radius;
    lobes.strand = random.NextBetween(0.035, 0.065) * radius;
  }
  const Layer nucleus = canvas.Sweep(LobedNucleus(centre, lobes, random), 0.3);
  PaintNucleus(canvas, Within(nucleus, cell.body), random.NextBetween(0.98, 1.15), 0.9, 0.20, random);
}

}  // namespace

void DrawLeukocyte(Canvas& canvas, std::size_t class_index, cv::Point2d centre, double scale, RandomStream& random) {
  switch (class_index) {
    case 0: return DrawBasophil(canvas, centre, scale, random);
    case 1: return DrawEosinophil(canvas, centre, scale, random);
    case 2: return DrawLymphocyte(canvas, centre, scale, random);
    case 3: return DrawMonocyte(canvas, centre, scale, random);
    case 4: return DrawNeutrophil(canvas, centre, scale, random);
    default: break;
  }
  throw Error(ErrorCode::kInvalidInput, "class index " + std::to_string(class_index) + " is not one of the " +
                                            std::to_string(kSmearClasses.size()) + " classes that can be drawn");
}

}  // namespace hemafed::learning::synthetic
