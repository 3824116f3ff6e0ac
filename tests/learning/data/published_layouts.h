// tests/learning/data/published_layouts.h
// SPDX-License-Identifier: Apache-2.0
//
// Folder and file names of the published sets, with the numbers of pictures of the full downloads and what each class
// is to us. What the layouts are is told in docs/pictures.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace hemafed::learning::testing_support {

// One class of a published set: its folder, the file names' prefix, how many files there are, what it is to us.
struct Published {
  const char* folder;
  const char* prefix;
  std::uint64_t files;
  const char* common;  // empty: dropped
};

inline const std::vector<Published> kMatek = {{"NGS", "NGS", 8484, "neutrophil_segmented"},
                                              {"NGB", "NGB", 109, "neutrophil_banded"},
                                              {"LYT", "LYT", 3937, "lymphocyte_typical"},
                                              {"LYA", "LYA", 11, "lymphocyte_atypical"},
                                              {"MON", "MON", 1789, "monocyte"},
                                              {"EOS", "EOS", 424, "eosinophil"},
                                              {"BAS", "BAS", 79, "basophil"},
                                              {"MYO", "MYO", 3268, "myeloblast"},
                                              {"PMO", "PMO", 70, "promyelocyte"},
                                              {"PMB", "PMB", 18, ""},
                                              {"MYB", "MYB", 42, "myelocyte"},
                                              {"MMZ", "MMZ", 15, "metamyelocyte"},
                                              {"MOB", "MOB", 26, "monocyte"},
                                              {"EBO", "EBO", 78, "erythroblast"},
                                              {"KSC", "KSC", 15, "smudge_cell"}};
inline const std::vector<Published> kMll23 = {
    {"normoblast", "normoblast", 2071, "erythroblast"},
    {"lymphocyte_large_granular", "lymphocyte_large_granular", 1849, ""},
    {"monocyte", "monocyte", 2510, "monocyte"},
    {"lymphocyte_neoplastic", "lymphocyte_neoplastic", 180, "lymphocyte_atypical"},
    {"basophil", "basophil", 616, "basophil"},
    {"eosinophil", "eosinophil", 2448, "eosinophil"},
    {"neutrophil_band", "neutrophil_band", 687, "neutrophil_banded"},
    {"lymphocyte_reactive", "lymphocyte_reactive", 33, "lymphocyte_atypical"},
    {"myeloblast", "myeloblast", 8606, "myeloblast"},
    {"lymphocyte", "lymphocyte", 5532, "lymphocyte_typical"},
    {"neutrophil_segmented", "neutrophil_segmented", 7170, "neutrophil_segmented"},
    {"plasma_cell", "plasma_cell", 1658, ""},
    {"smudge_cell", "smudge_cell", 988, "smudge_cell"},
    {"promyelocyte", "promyelocyte", 745, "promyelocyte"},
    {"myelocyte", "myelocyte", 747, "myelocyte"},
    {"metamyelocyte", "metamyelocyte", 483, "metamyelocyte"},
    {"hairy_cell", "hairy_cell", 3265, ""},
    {"promyelocyte_atypical", "promyelocyte_atypical", 2033, ""}};
// The in-house folders of the same classes, in the same order.
inline constexpr std::array kInt20Folders = {
    "01-NORMO",        "04-LGL",           "05-MONO", "08-LYMPH-neo", "09-BASO",      "10-EOS",
    "11-STAB",         "12-LYMPH-reaktiv", "13-MYBL", "14-LYMPH-typ", "15-SEG",       "16-PLZ",
    "17-Kernschatten", "18-PMYEL",         "19-MYEL", "20-Meta",      "21-Haarzelle", "22-Atyp-PMYEL"};
inline const std::vector<Published> kAcevedo = {{"basophil", "BA", 1218, "basophil"},
                                                {"eosinophil", "EO", 3117, "eosinophil"},
                                                {"erythroblast", "ERB", 1551, "erythroblast"},
                                                {"lymphocyte", "LY", 1214, "lymphocyte_typical"},
                                                {"monocyte", "MO", 1420, "monocyte"},
                                                {"ig", "PMY", 592, "promyelocyte"},
                                                {"ig", "MY", 1137, "myelocyte"},
                                                {"ig", "MMY", 1015, "metamyelocyte"},
                                                {"ig", "IG", 151, ""},
                                                {"neutrophil", "BNE", 1633, "neutrophil_banded"},
                                                {"neutrophil", "SNE", 1646, "neutrophil_segmented"},
                                                {"neutrophil", "NEUTROPHIL", 50, ""},
                                                {"platelet", "PLATELET", 2348, ""}};

inline std::vector<Published> Int20() {
  std::vector<Published> classes = kMll23;
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i].folder = classes[i].prefix = kInt20Folders[i];
  return classes;
}

}  // namespace hemafed::learning::testing_support
