// learning/continual/source_digest.h
// SPDX-License-Identifier: Apache-2.0
//
// A digest of what a source holds: which pictures, in which order, with which labels. Two sources with the same digest
// give the same batches. Also a digest of a model's values, to tell whether a run goes on from the weights it began
// with.
//
// Thread-safety: free functions.
#pragma once

#include "common/sha256.h"
#include "learning/continual/batch_source.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

// SHA-256 over, for each picture: the 32 bytes of its digest, its label as 8 bytes little-endian.
[[nodiscard]] Digest DigestOfSource(const BatchSource& source);
// SHA-256 over, for each tensor in canonical order: its name, a zero byte, its values little-endian and row-major.
[[nodiscard]] Digest DigestOfModel(const Classifier& model);

}  // namespace hemafed::learning
