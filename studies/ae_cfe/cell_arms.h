// studies/ae_cfe/cell_arms.h
// SPDX-License-Identifier: Apache-2.0
//
// The arms that look at cells, not at pictures: the features of a trained detector as they are (R-CNN-RF of the
// thesis's table 3.2), and the latents of an autoencoder that is trained on them (AE-RF, ND-AE-DA, AAE-DA, AE-CFE;
// table 3.1's sweep). published-systems 3.1 to 3.5.
//
// Of every picture of the study the best scored cell is described once, for all arms with the same detector, side and
// target ("<work>/cells/", learning/features/extractor/cell_cache.h). A picture without a cell is taken whole and one
// that has no features at all gets zeros, as in a plan (learning/features/extractor/cell_latents.h), so that all arms
// are asked about the same pictures. The autoencoder learns from real cells alone.
//
// Each autoencoder has a folder "<work>/arms/<arm>[/seed-<n>]/<8 digits of what it is made from>/":
//
//   checkpoint/               until training is over; a kill loses at most a minute or one batch
//   autoencoder.safetensors   for plans of the architecture ae_cfe, too
//   training.json             settings, cells by outcome, losses of every epoch
//
// Errors: those of LoadCellDescriber, OpenCellCache and AutoencoderTraining; kInterrupted when `talk` throws it.
// Thread-safety: one thread.
#pragma once

#include <memory>

#include "common/file_system.h"
#include "studies/ae_cfe/ae_cfe_file.h"
#include "studies/ae_cfe/feature_source.h"
#include "studies/ae_cfe/picture_arms.h"

namespace hemafed::studies {

// Of the kinds kDetector and kAutoencoder. `work`: the study's output folder; `threads`: of LibTorch in training, part
// of what fixes the bits. `files` and `pictures` are borrowed and must outlive the arm.
[[nodiscard]] std::unique_ptr<FeatureSource> MakeCellArm(FileSystem& files, const ArmChoice& choice,
                                                         StudyPictures& pictures, const Path& work, int threads);

}  // namespace hemafed::studies
