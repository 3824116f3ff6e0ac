// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/vault.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/error.h"
#include "common/json_fields.h"
#include "common/sealed_file.h"
#include "site_agent/trainer/stored_exemplars.h"

namespace hemafed::trainer {

namespace {
// Binds a sealed file to its purpose and plan: one cannot be put in the place of another.
std::string Context(const Digest& plan) { return "exemplars of plan " + plan.Hex(); }
constexpr std::string_view kWithdrawnContext = "withdrawn pictures";
// More than any lab has; 7 MB.
constexpr std::size_t kMaxWithdrawn = 100'000;

Path ExemplarsFile(const Path& vault, const Digest& plan) {
  return vault / ("exemplars-" + plan.Hex().substr(0, 16) + ".sealed");
}
}  // namespace

learning::ExemplarStore StoredExemplars(FileSystem& files, const Path& vault, const Digest& plan) {
  const Path path = ExemplarsFile(vault, plan);
  if (!files.Exists(path)) return {};
  const SealKey key = LoadOrCreateSealKey(files, vault / std::string(kVaultKeyName));
  return learning::ExemplarStoreFromJson(AsText(ReadSealedFile(files, path, key, Context(plan))));
}

Vault::Vault(FileSystem& files, Path folder) : files_(files), folder_(std::move(folder)) {
  files_.CreateFolders(folder_, 0700);
  (void)LoadOrCreateSealKey(files_, KeyFile());
}

Path Vault::FileOf(const Digest& plan) const { return ExemplarsFile(folder_, plan); }

learning::ExemplarStore Vault::Load(const Digest& plan) const {
  learning::ExemplarStore store = StoredExemplars(files_, folder_, plan);
  for (const Digest& picture : Withdrawn()) (void)learning::Withdraw(store, picture);
  return store;
}

std::set<Digest> Vault::Withdrawn() const {
  std::set<Digest> withdrawn;
  if (!files_.Exists(WithdrawnFile())) return withdrawn;
  const Bytes plain =
      ReadSealedFile(files_, WithdrawnFile(), LoadOrCreateSealKey(files_, KeyFile()), kWithdrawnContext);
  const nlohmann::json object = ParseJsonObject(AsText(plain), WithdrawnFile().string());
  JsonFields fields(object, WithdrawnFile().string());
  for (const std::string& hex : fields.Texts("pictures", kMaxWithdrawn, 64)) {
    const auto digest = Digest::FromHex(hex);
    if (!digest) fields.Fail("pictures", "holds something that is no digest");
    withdrawn.insert(*digest);
  }
  fields.RequireAllRead();
  return withdrawn;
}

void Vault::AddWithdrawn(std::span<const Digest> pictures) const {
  std::set<Digest> withdrawn = Withdrawn();
  const std::size_t before = withdrawn.size();
  withdrawn.insert(pictures.begin(), pictures.end());
  if (withdrawn.size() == before) return;
  if (withdrawn.size() > kMaxWithdrawn) {
    throw Error(ErrorCode::kInvalidInput, WithdrawnFile().string() + " cannot name more than " +
                                              std::to_string(kMaxWithdrawn) + " pictures; start a new vault");
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Digest& picture : withdrawn) list.push_back(picture.Hex());
  WriteSealedFile(files_, WithdrawnFile(), LoadOrCreateSealKey(files_, KeyFile()), kWithdrawnContext,
                  AsBytes(nlohmann::json{{"pictures", std::move(list)}}.dump()));
}

void Vault::Save(const Digest& plan, const learning::ExemplarStore& store) const {
  WriteSealedFile(files_, FileOf(plan), LoadOrCreateSealKey(files_, KeyFile()), Context(plan),
                  AsBytes(learning::ExemplarStoreToJson(store)));
}

}  // namespace hemafed::trainer
