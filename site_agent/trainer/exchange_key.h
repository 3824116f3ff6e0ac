// site_agent/trainer/exchange_key.h
// SPDX-License-Identifier: Apache-2.0
//
// The trainer's own key for pictures that other hospitals seal to it (X25519, common/hpke.h): in the vault's folder,
// mode 0600, which the agent cannot read. One for all plans; its public half goes into the lab's agreement.
//
// Losing it makes bundles that were not opened yet worthless; there is no second way to open them.
//
// Errors: those of LoadOrCreateSealKey (common/sealed_file.h). Thread-safety: free functions.
#pragma once

#include "common/file_system.h"
#include "common/hpke.h"

namespace hemafed::trainer {

// Makes a random one at the first call.
[[nodiscard]] HpkePrivateKey LoadOrCreateExchangeKey(FileSystem& files, const Path& path);
// A chosen one: for simulators with fixed keys.
void SaveExchangeKey(FileSystem& files, const Path& path, const HpkePrivateKey& key);

}  // namespace hemafed::trainer
