// studies/ae_cfe/published_ae_cfe.h
// SPDX-License-Identifier: Apache-2.0
//
// The tables of AE-CFE as data (Salehi, "Unsupervised feature extraction using autoencoders for analyzing single-cell
// images from AML patients", thesis; Salehi et al., MICCAI 2022), as tables of ours:
//
//   3.1  accuracy of a random forest on Matek-19 by size of the latent, loss, backbone and crop
//   3.2  accuracy in percent of six feature extractors, each trained on one of three sets and tested on each
//   3.3  the same for networks trained for the task, beside AE-CFE
//
// Odd values are marked, not corrected: one cell of 3.1 that is out of line with its column, a value and spread that
// stand twice in 3.2, and the cells "0" of 3.2, which the text calls close to zero. 46.2 % of Matek-19 is one class
// that is frequent elsewhere too, so 0 lies far below chance: labels that did not match explain it better than features
// that did not transfer. They are no targets.
//
// Thread-safety: free functions without state.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/report/number_text.h"
#include "common/report/table.h"
#include "studies/report/report_names.h"

namespace hemafed::studies {

// The three published sets, in the order of the tables.
enum class AeCfeDomain : std::uint8_t { kMatek19, kInt20, kAcevedo20 };
inline constexpr std::array kAeCfeDomains = {AeCfeDomain::kMatek19, AeCfeDomain::kInt20, AeCfeDomain::kAcevedo20};

// Columns of Table 3.2, then those of 3.3.
enum class AeCfeMethod : std::uint8_t { kResNetRf, kRcnnRf, kAeRf, kNdAeDa, kAaeDa, kAeCfe, kResNeXt, kMatekEtAl };
inline constexpr std::array kAeCfeMethods = {AeCfeMethod::kResNetRf, AeCfeMethod::kRcnnRf,   AeCfeMethod::kAeRf,
                                             AeCfeMethod::kNdAeDa,   AeCfeMethod::kAaeDa,    AeCfeMethod::kAeCfe,
                                             AeCfeMethod::kResNeXt,  AeCfeMethod::kMatekEtAl};

[[nodiscard]] std::string_view NameOf(AeCfeDomain domain);  // "Matek-19"
[[nodiscard]] std::string_view NameOf(AeCfeMethod method);  // "ResNet-RF"
// Throw Error(kInvalidInput) that lists the known names.
[[nodiscard]] AeCfeDomain AeCfeDomainNamed(std::string_view name);
[[nodiscard]] AeCfeMethod AeCfeMethodNamed(std::string_view name);

enum class Oddity : std::uint8_t { kNone, kOutOfLine, kPrintedTwice, kFarBelowChance };

struct PublishedAccuracy {
  Measurement percent;  // no spread where none is printed
  Oddity oddity = Oddity::kNone;
};

// A cell of Table 3.2 or 3.3; nothing where the tables have none.
[[nodiscard]] std::optional<PublishedAccuracy> PublishedCell(AeCfeMethod method, AeCfeDomain train, AeCfeDomain test);

// Columns of Table 3.1: loss of the image decoder, crop to the box (BB) or not, backbone.
struct SweepColumn {
  std::string_view name;  // "SSIM-BB R101"
  bool ssim = false;
  bool box = false;
  int backbone = 101;
};
[[nodiscard]] std::span<const SweepColumn> SweepColumns();
// Sizes of the latent, ascending: 5 to 1,000.
[[nodiscard]] std::span<const int> SweepSizes();
// Accuracy 0..1 on Matek-19; `column` and `size` are positions in the two lists.
[[nodiscard]] PublishedAccuracy PublishedSweep(std::size_t size, std::size_t column);

// What the mark behind an odd number stands for: "", "*", "†", "‡".
[[nodiscard]] std::string_view MarkOf(Oddity oddity);

// Tables 3.1, 3.2, 3.3 as printed, odd values marked, with notes on what the marks mean.
[[nodiscard]] std::vector<Table> PublishedAeCfeTables();

}  // namespace hemafed::studies
