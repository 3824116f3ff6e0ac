// studies/ae_cfe/ae_cfe_file.h
// SPDX-License-Identifier: Apache-2.0
//
// A cross-domain study of features as its author writes it: one TOML file (docs/ae_cfe_study.md,
// configs/ae_cfe/sample_ae_cfe.toml) with domains, forest, arms and map. What it says is what runs.
//
// Paths of the file are relative to its own folder, those of domains to the data folder of the command line.
//
// Errors: Error(kInvalidInput) with file, line and column; unknown keys are errors. Thread-safety: value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "learning/features/autoencoder/autoencoder_settings.h"
#include "learning/features/latent/cross_domain.h"
#include "learning/features/latent/two_samples.h"
#include "learning/models/architecture.h"
#include "studies/ae_cfe/feature_source.h"

namespace hemafed::studies {

// Limits that refuse typing errors. The published sweep has 9 sizes in 8 columns.
inline constexpr std::size_t kMaxAeCfeArms = 80;
inline constexpr std::size_t kMaxAeCfeSeeds = 100;
inline constexpr std::uint64_t kMaxAeCfeSeed = (std::uint64_t{1} << 53) - 1;  // Larger ones do not survive JSON.

struct AeCfeDomainChoice {
  std::string name;
  Path folder;
  std::string layout;  // "manifest" or "folders"
  Path labels;
  std::uint32_t crop = 0;
  std::optional<AeCfeDomain> published;  // whose rows of the published tables stand beside it
};

enum class ArmKind : std::uint8_t {
  kFlattened,    // the picture's own pixels
  kTrunk,        // features of a network with imported weights
  kFiles,        // feature files of another program, <folder>/<domain>.safetensors
  kDetector,     // the detector's features of the best scored cell, as they are
  kAutoencoder,  // latents of an autoencoder that is trained on the domains' cells
};

// How cells are found and described; kDetector and kAutoencoder.
struct CellChoice {
  Path detector;
  bool crop_to_box = true;  // or the whole picture as the autoencoder's target
};

struct AutoencoderChoice {
  learning::AutoencoderSettings settings;  // its seed and threads are the run's
  std::string source;                      // domain whose number is settings.source; empty without alignment
  bool all_cells = false;                  // test pictures' too, as published; else only those of training pictures
  std::optional<std::uint64_t> seed;  // one autoencoder for all runs; none: a new one for each of the study's seeds
};

struct ArmChoice {
  ArmDescription description;
  ArmKind kind{};
  std::uint32_t side = 0;  // pixels of the square picture; all but kFiles
  Path weights;            // kTrunk
  Path folder;             // kFiles
  CellChoice cells;        // kDetector, kAutoencoder
  AutoencoderChoice autoencoder;
};

struct MapChoice {
  std::size_t rows_max = 1'000;
  double perplexity = 30;
  std::uint32_t steps = 1'000;
};

struct AeCfeFile {
  [[nodiscard]] static AeCfeFile Load(FileSystem& files, const Path& path);
  [[nodiscard]] static AeCfeFile Parse(std::string_view text, const std::string& where, const Path& folder);

  std::string name;
  std::string title;
  std::string text;         // as written
  bool validation = false;  // part = "validation": a fifth of the training pictures is scored, test pictures not at all
  std::vector<std::uint64_t> seeds;  // of the forest, and of arms that are trained
  learning::CrossDomainSettings matrix;
  std::vector<AeCfeDomainChoice> domains;
  std::vector<ArmChoice> arms;
  std::optional<MapChoice> map;
  std::optional<learning::TwoSampleSettings> drift;
};

}  // namespace hemafed::studies
