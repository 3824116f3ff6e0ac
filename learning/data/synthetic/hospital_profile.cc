// SPDX-License-Identifier: Apache-2.0
#include "learning/data/synthetic/hospital_profile.h"

#include <string>

#include "common/error.h"

namespace hemafed::learning::synthetic {

namespace {

constexpr std::array kProfiles = {
    // Bright lilac field, red-purple nuclei, greyish-pink red cells; hand-focused, some pictures soft.
    HospitalProfile{
        .name = "matek-19",
        .side_px = 128,
        .field_um = 29.0,
        .background = {247, 241, 248},
        .density = {{{0.12, 0.24, 0.19}, {0.86, 1.72, 0.46}, {0.52, 0.36, 0.10}, {0.20, 0.80, 0.52}}},
        .stain_spread = 0.16,
        .defocus_um = {0.10, 0.24},
        .far_defocus_share = 0.12,
        .sharpening = 0.0,
        .vignetting = 0.05,
        .noise = 2.0,
        .white_balance_spread = 0.015,
        .red_cells_per_1000_um2 = {7, 16},
        .pallor = 0.60,
        .cell_scale = 1.0,
        .platelets_per_picture = 0.8,
    },
    // Dim cold field, blue nuclei, copper red cells, sharpened by the scanner, large magnification.
    HospitalProfile{
        .name = "int-20",
        .side_px = 112,
        .field_um = 25.0,
        .background = {214, 224, 232},
        .density = {{{0.07, 0.33, 0.46}, {1.12, 1.40, 0.46}, {0.62, 0.30, 0.06}, {0.10, 0.72, 1.20}}},
        .stain_spread = 0.12,
        .defocus_um = {0.04, 0.09},
        .far_defocus_share = 0.02,
        .sharpening = 0.7,
        .vignetting = 0.16,
        .noise = 3.5,
        .white_balance_spread = 0.02,
        .red_cells_per_1000_um2 = {4, 10},
        .pallor = 0.35,
        .cell_scale = 1.08,
        .platelets_per_picture = 0.4,
    },
    // Cream field, navy nuclei, mauve-brown red cells, whole slide analyser: even light, small cells, many neighbours.
    HospitalProfile{
        .name = "acevedo-20",
        .side_px = 120,
        .field_um = 36.0,
        .background = {253, 232, 206},
        .density = {{{0.27, 0.42, 0.26}, {1.55, 1.90, 0.52}, {0.70, 0.58, 0.12}, {0.34, 0.98, 0.92}}},
        .stain_spread = 0.10,
        .defocus_um = {0.12, 0.18},
        .far_defocus_share = 0.03,
        .sharpening = 0.25,
        .vignetting = 0.02,
        .noise = 1.2,
        .white_balance_spread = 0.01,
        .red_cells_per_1000_um2 = {9, 18},
        .pallor = 0.72,
        .cell_scale = 0.96,
        .platelets_per_picture = 1.6,
    },
};

}  // namespace

std::span<const HospitalProfile> HospitalProfiles() { return kProfiles; }

const HospitalProfile& HospitalProfileNamed(std::string_view name) {
  std::string known;
  for (const HospitalProfile& profile : kProfiles) {
    if (profile.name == name) return profile;
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  }
  throw Error(ErrorCode::kNotFound, "no synthetic hospital is called '" + std::string(name) + "'; there are: " + known);
}

}  // namespace hemafed::learning::synthetic
