// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/vault.h"

#include <utility>

#include "common/sealed_file.h"

namespace hemafed::trainer {

namespace {
// Binds a sealed file to its purpose and plan: one cannot be put in the place of another.
std::string Context(const Digest& plan) { return "exemplars of plan " + plan.Hex(); }
}  // namespace

Vault::Vault(FileSystem& files, Path folder) : files_(files), folder_(std::move(folder)) {
  files_.CreateFolders(folder_, 0700);
  (void)LoadOrCreateSealKey(files_, KeyFile());
}

Path Vault::FileOf(const Digest& plan) const { return folder_ / ("exemplars-" + plan.Hex().substr(0, 16) + ".sealed"); }

learning::ExemplarStore Vault::Load(const Digest& plan) const {
  const Path path = FileOf(plan);
  if (!files_.Exists(path)) return {};
  const Bytes plain = ReadSealedFile(files_, path, LoadOrCreateSealKey(files_, KeyFile()), Context(plan));
  return learning::ExemplarStoreFromJson(AsText(plain));
}

void Vault::Save(const Digest& plan, const learning::ExemplarStore& store) const {
  WriteSealedFile(files_, FileOf(plan), LoadOrCreateSealKey(files_, KeyFile()), Context(plan),
                  AsBytes(learning::ExemplarStoreToJson(store)));
}

}  // namespace hemafed::trainer
