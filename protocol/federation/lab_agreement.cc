// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/lab_agreement.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/plan.h"
#include "common/json_fields.h"

namespace hemafed {

using nlohmann::json;

namespace {
// 63 partners of 48 characters take 3,300 bytes.
constexpr std::size_t kMaxAgreementBytes = 16 << 10;
}  // namespace

bool LabAgreement::Allows(const Digest& of_plan, std::string_view partner) const {
  return !ended && plan == of_plan && std::find(partners.begin(), partners.end(), partner) != partners.end();
}

void LabAgreement::Save(FileSystem& files, const Path& path) const {
  const json text = {{"plan", plan.Hex()}, {"partners", partners}, {"ended", ended}, {"operator", operator_key.Hex()}};
  WriteFileAtomically(files, path, text.dump(1) + "\n", 0600);
}

std::optional<LabAgreement> LoadLabAgreement(FileSystem& files, const Path& path) {
  if (!files.Exists(path)) return std::nullopt;
  const json object = ParseJsonObject(ReadFile(files, path, kMaxAgreementBytes), path.string());
  JsonFields fields(object, path.string());
  LabAgreement agreement;
  agreement.plan = fields.Sha256Digest("plan");
  agreement.partners = fields.Texts("partners", kMaxSites, kMaxNameBytes);
  agreement.ended = fields.Boolean("ended");
  const auto key = Ed25519PublicKey::FromHex(fields.Text("operator", 64));
  if (!key) fields.Fail("operator", "is not a public key");
  agreement.operator_key = *key;
  fields.RequireAllRead();
  return agreement;
}

}  // namespace hemafed
