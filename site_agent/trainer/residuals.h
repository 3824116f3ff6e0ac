// site_agent/trainer/residuals.h
// SPDX-License-Identifier: Apache-2.0
//
// What rounding an update to integers left over (error feedback, design 11.11), one file for each round:
//
//     residuals/<plan>-t<task>-r<round>.safetensors
//
// It was made from the round's pictures, so it goes when one of them has to go. Thread-safety: free functions.
#pragma once

#include <string>

#include "codec/job_folder.h"
#include "common/file_system.h"
#include "site_agent/trainer/trainer_folder.h"

namespace hemafed::trainer {

[[nodiscard]] inline std::string ResidualPrefix(const Digest& plan) { return plan.Hex().substr(0, 8) + "-t"; }

[[nodiscard]] inline Path ResidualFile(const TrainerFolder& folder, const Job& job, std::uint32_t round) {
  return folder.Residuals() /
         (ResidualPrefix(job.plan) + std::to_string(job.task) + "-r" + std::to_string(round) + ".safetensors");
}

// All of a plan's. What a crash left half written goes with them.
inline void RemoveResiduals(FileSystem& files, const TrainerFolder& folder, const Digest& plan) {
  for (const std::string& name : files.List(folder.Residuals())) {
    if (name.starts_with(ResidualPrefix(plan))) files.Remove(folder.Residuals() / name);
  }
}

}  // namespace hemafed::trainer
