// studies/federation/federation_command.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-study federation`: simulates plans, several seeds each, and writes their results side by side.
//
// Thread-safety: once per process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/file_system.h"

namespace hemafed::studies {

struct FederationOptions {
  std::vector<Path> plans;
  Path data;
  Path output;
  Path sites;                        // List of sites (site_list.h), or empty:
  Path labels;                       // then every site lies in the folder of its name, by this label map.
  std::vector<Path> weights;         // Files, or folders of *.safetensors files, among which a plan's are found.
  Path cache;                        // Tiles; below the output folder if empty.
  std::vector<std::uint64_t> seeds;  // Empty: each plan's own.
  std::vector<Path> beside;          // Output folders of `hemafed-study uacl`.
  std::vector<std::string> poisons;  // SITE:KIND:TASK (studies/local_federation/poison.h); one more arm of each plan.
  bool discard_updates = false;
  unsigned jobs = 0;                      // Runs at once; 0: processor cores / threads of a run.
  std::vector<std::string> command_line;  // For the record.
};

// Returns the exit status: 0, or that of kRefused if an auditor found something. Errors: Error.
int RunFederationStudy(const FederationOptions& options);

}  // namespace hemafed::studies
