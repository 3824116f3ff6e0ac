// studies/uacl/uacl_command.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-study uacl`: runs a continual-learning study file on a data folder and writes its results.
//
// Thread-safety: once per process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/file_system.h"

namespace hemafed::studies {

struct UaclOptions {
  Path study;
  Path data;
  Path output;
  Path cache;                                     // tiles; below the output folder if empty
  std::vector<std::string> experiments, methods;  // empty: all of the study
  std::vector<std::uint64_t> seeds;
  unsigned jobs = 0;                      // runs at once; 0: processor cores / threads of a run, or 1 on a GPU
  std::string device = "cpu";             // learning/models/device.h
  unsigned loaders = 1;                   // threads of a run that make batches ahead; 0: none
  std::vector<std::string> command_line;  // for the record
};

// Returns the exit status. Errors: Error; kUnavailable before anything is read if the device is not there.
int RunUaclStudy(const UaclOptions& options);

}  // namespace hemafed::studies
