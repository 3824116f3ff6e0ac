// learning/data/synthetic/hospital_profile.h
// SPDX-License-Identifier: Apache-2.0
//
// What makes the drawn smears of one hospital look different from those of another: stain, scale, focus, illumination,
// camera, and how thick the blood was spread. The three profiles are named after the published domains and are loosely
// modelled on how these look (field of view 29, 25 and 36 um; lilac, cold and cream background); no pixel is taken
// from them.
//
// Colour follows the Beer-Lambert law (Ruifrok and Johnston, "Quantification of histochemical staining by color
// deconvolution", Anal. Quant. Cytol. Histol. 23, 2001): light = background * exp(-sum over dyes of amount * density).
//
// Thread-safety: value types.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace hemafed::learning::synthetic {

// The dyes of a Romanowsky stain as far as the eye tells them apart.
enum class Dye : std::uint8_t {
  kHaem,     // Red cells: haemoglobin with eosin; also the faint pink of neutrophil cytoplasm.
  kNuclear,  // Chromatin, basophil granules, platelets: azure B with eosin, purple.
  kBlue,     // Ribonucleic acid of lymphocyte and monocyte cytoplasm: azure B alone, blue.
  kGranule,  // Eosinophil granules: eosin on basic protein, orange-red.
};
inline constexpr std::size_t kDyes = 4;

using Rgb = std::array<double, 3>;

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

struct HospitalProfile {
  std::string_view name;
  std::uint32_t side_px = 0;           // width and height of a picture
  double field_um = 0.0;               // what that side shows
  Rgb background;                      // light without any cell, 0..255
  std::array<Rgb, kDyes> density;      // natural-log optical density of one unit of each dye in R, G, B
  double stain_spread = 0.0;           // relative spread of stain strength from slide to slide (uniform, +-)
  Interval defocus_um;                 // Gaussian sigma of most pictures
  double far_defocus_share = 0.0;      // share of pictures that are clearly out of focus (sigma three times larger)
  double sharpening = 0.0;             // strength of the camera's unsharp mask; 0 is none
  double vignetting = 0.0;             // darkening at the corners, 0..1
  double noise = 0.0;                  // sigma of camera noise in grey levels
  double white_balance_spread = 0.0;   // relative, a channel, uniform +-
  Interval red_cells_per_1000_um2;     // crowding
  double pallor = 0.0;                 // how pale the middle of a red cell is, 0..1
  double cell_scale = 1.0;             // flattening: thin smears spread cells to larger discs
  double platelets_per_picture = 0.0;  // mean
};

// matek-19, int-20, acevedo-20, in this order.
[[nodiscard]] std::span<const HospitalProfile> HospitalProfiles();

// Throws Error(kNotFound) that lists the known names.
[[nodiscard]] const HospitalProfile& HospitalProfileNamed(std::string_view name);

}  // namespace hemafed::learning::synthetic
