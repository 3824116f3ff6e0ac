// studies/ae_cfe/detector_study.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-study ae-cfe detect`: trains the small-machine Mask R-CNN on the annotated training pictures of a data
// folder and scores it on the test pictures beside the classical segmenter.
//
// Domains with masks train everything, domains with boxes all but the mask head. Each picture with a mask counts
// `masked_times` times, since masks are few. Half of the samples are augmented (cells/annotated_augment.h).
//
// Output folder: checkpoint/ (a run that was stopped goes on from there), detector.safetensors, detection.txt,
// detection.md, detection.json, run.json; lock, held meanwhile.
//
// Scores, per domain and finder: average precision over all detections (COCO); everything else over those with at least
// `min_score`: annotated cells found (box IoU >= 0.5), mean mask IoU (0 for a cell that was not found), detections per
// picture. The classical segmenter's own score takes no part: it is reported as it is.
//
// Errors: Error; kNotFound for a domain folder that is missing, kConflict for an output folder that is of another run
// or that another process works on, kInterrupted after a stop with everything saved. Thread-safety: once per process
// (it sets LibTorch's threads).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "common/stop_signal.h"

namespace hemafed::studies {

struct DetectorStudyOptions {
  Path data;
  Path output;
  Path weights;  // imported ImageNet weights of EfficientNet-Lite0
  std::vector<std::string> annotated = {"jtsc", "cellavision", "acevedo20", "raabin", "bccd"};
  std::vector<std::string> others = {"matek19"};  // no annotations: detections are counted
  unsigned masked_times = 3;
  std::uint64_t steps = 1200;
  std::uint64_t seed = 1;
  int threads = 2;
  std::string device = "cpu";
  double min_score = 0.5;
  std::vector<std::string> command_line;       // for the record
  std::function<bool()> stop = StopRequested;  // asked before each step and after each picture that is scored
};

// Returns the exit status.
int RunDetectorStudy(const DetectorStudyOptions& options);

}  // namespace hemafed::studies
