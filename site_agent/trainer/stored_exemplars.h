// site_agent/trainer/stored_exemplars.h
// SPDX-License-Identifier: Apache-2.0
//
// A vault's lists as they lie in its file, with pictures that were withdrawn since they were chosen. For what has to be
// the same before and after a withdrawal: the draw of the pictures that a judge holds out. To use a picture, take
// Vault::Load.
//
// Errors: those of Vault. Thread-safety: free function.
#pragma once

#include "common/file_system.h"
#include "common/sha256.h"
#include "learning/continual/exemplar_store.h"

namespace hemafed::trainer {

// `vault` is the vault's folder. An empty store if nothing was kept for this plan.
[[nodiscard]] learning::ExemplarStore StoredExemplars(FileSystem& files, const Path& vault, const Digest& plan);

}  // namespace hemafed::trainer
