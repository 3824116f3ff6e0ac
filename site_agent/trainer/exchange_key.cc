// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/exchange_key.h"

#include "common/sealed_file.h"

namespace hemafed::trainer {

HpkePrivateKey LoadOrCreateExchangeKey(FileSystem& files, const Path& path) {
  const SealKey bytes = LoadOrCreateSealKey(files, path);
  return HpkePrivateKey(bytes.bytes());
}

void SaveExchangeKey(FileSystem& files, const Path& path, const HpkePrivateKey& key) {
  WriteFileAtomically(files, path, AsText(key.bytes()), 0600);
}

}  // namespace hemafed::trainer
