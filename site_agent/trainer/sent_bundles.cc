// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/sent_bundles.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "codec/plan.h"
#include "codec/sealed_bundle.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "common/sealed_file.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

using nlohmann::json;

namespace {

// A task has a bundle for each later site.
constexpr std::size_t kMaxSentBundles = kMaxTasks * kMaxSites;

constexpr std::string_view kPrefix = "sent-";
constexpr std::string_view kSuffix = ".sealed";

// All of the digest: pictures are withdrawn under plans that the lab has no other trace of.
Path FileOf(const Path& vault, const Digest& plan) {
  return vault / (std::string(kPrefix) + plan.Hex() + std::string(kSuffix));
}
std::string ContextOf(const Digest& plan) { return "bundles sent under plan " + plan.Hex(); }

}  // namespace

SentBundles::SentBundles(FileSystem& files, const Path& vault, const Digest& plan)
    : files_(files), vault_(vault), plan_(plan) {}

std::vector<Digest> SentBundles::Plans(FileSystem& files, const Path& vault) {
  std::vector<Digest> plans;
  for (const std::string& name : files.List(vault)) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::size_t length = name.size() - kPrefix.size() - kSuffix.size();
    if (const auto plan = Digest::FromHex(name.substr(kPrefix.size(), length))) plans.push_back(*plan);
  }
  return plans;
}

std::vector<SealedToOther> SentBundles::Load() const {
  std::vector<SealedToOther> sent;
  const Path path = FileOf(vault_, plan_);
  if (!files_.Exists(path)) return sent;
  const SealKey key = LoadOrCreateSealKey(files_, vault_ / std::string(kVaultKeyName));
  const json object = ParseJsonObject(AsText(ReadSealedFile(files_, path, key, ContextOf(plan_))), path.string());
  JsonFields fields(object, path.string());
  for (JsonFields& item : fields.Objects("bundles", kMaxSentBundles)) {
    SealedToOther bundle;
    bundle.task = static_cast<std::uint32_t>(item.Unsigned("task", kMaxTasks - 1));
    bundle.recipient = item.Text("recipient", kMaxNameBytes);
    bundle.file = item.Sha256Digest("file");
    for (const std::string& picture : item.Texts("pictures", kMaxBundleItems, 64)) {
      const auto digest = Digest::FromHex(picture);
      if (!digest) item.Fail("pictures", "holds something that is no digest");
      bundle.pictures.push_back(*digest);
    }
    item.RequireAllRead();
    sent.push_back(std::move(bundle));
  }
  fields.RequireAllRead();
  return sent;
}

void SentBundles::Record(const SealedToOther& bundle) const {
  std::vector<SealedToOther> sent = Load();
  std::erase_if(sent,
                [&](const SealedToOther& old) { return old.task == bundle.task && old.recipient == bundle.recipient; });
  sent.push_back(bundle);
  json list = json::array();
  for (const SealedToOther& one : sent) {
    json pictures = json::array();
    for (const Digest& picture : one.pictures) pictures.push_back(picture.Hex());
    list.push_back({{"task", one.task},
                    {"recipient", one.recipient},
                    {"file", one.file.Hex()},
                    {"pictures", std::move(pictures)}});
  }
  WriteSealedFile(files_, FileOf(vault_, plan_), LoadOrCreateSealKey(files_, vault_ / std::string(kVaultKeyName)),
                  ContextOf(plan_), AsBytes(json{{"bundles", std::move(list)}}.dump()));
}

}  // namespace hemafed::trainer
