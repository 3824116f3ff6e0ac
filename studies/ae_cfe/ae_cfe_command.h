// studies/ae_cfe/ae_cfe_command.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-study ae-cfe matrix` runs a cross-domain study file on a data folder and writes its results;
// `hemafed-study ae-cfe published` prints the published tables.
//
// Stop it at any time; the same command goes on: features and answers are kept as files by what they were made from.
//
// Thread-safety: once per process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/progress.h"
#include "studies/ae_cfe/ae_cfe_outputs.h"
#include "studies/ae_cfe/picture_arms.h"

namespace hemafed::studies {

struct AeCfeOptions {
  Path study = "configs/ae_cfe/sample_ae_cfe.toml";
  Path data;
  Path output = "build/studies/ae_cfe";
  Path cache;                             // tiles; below the output folder if empty
  std::vector<std::string> arms;          // empty: all of the study
  std::vector<std::uint64_t> seeds;       // empty: those of the study
  unsigned jobs = 0;                      // forests at once; 0: one a processor core
  unsigned threads = 1;                   // of LibTorch; part of what fixes a trained autoencoder's bits
  std::vector<std::string> command_line;  // for the record
};

// One arm: its features (kept below `folder`), the answers of its forests, maps and drift. `rows` gets truth and groups
// of the domains when it is empty. What a study with arms of its own calls for each of them.
struct ArmOutcome {
  FeatureArmResults results;
  ArmExtras extras;
};
struct StudyPlace {
  FileSystem* files = nullptr;
  const AeCfeFile* study = nullptr;
  StudyPictures* pictures = nullptr;
  Path folder;
  unsigned jobs = 1;
  Progress* progress = nullptr;
};
[[nodiscard]] ArmOutcome RunArm(const StudyPlace& place, FeatureSource& source, std::vector<DomainRows>& rows);

// Return the exit status. Errors: Error.
int RunAeCfeMatrix(const AeCfeOptions& options);
int PrintPublishedAeCfe();

}  // namespace hemafed::studies
