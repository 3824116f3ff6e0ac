// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_folder.h"

#include <algorithm>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::agent {

using nlohmann::json;

namespace {
constexpr std::size_t kMaxMembershipBytes = 16 << 10;
constexpr std::size_t kMaxEndpointBytes = 256;
}  // namespace

void Membership::Save(FileSystem& files, const Path& path) const {
  const json text = {{"slot", slot},         {"work", work_endpoint}, {"server", HexEncode(server_key)},
                     {"log_name", log_name}, {"log", log_key.Hex()},  {"operator", operator_key.Hex()}};
  WriteFileAtomically(files, path, text.dump(1) + "\n");
}

Membership Membership::Load(FileSystem& files, const Path& path) {
  if (!files.Exists(path)) {
    throw Error(ErrorCode::kNotFound, path.string() + " is missing: this lab has not joined; run `hemafed-site join`");
  }
  const json object = ParseJsonObject(ReadFile(files, path, kMaxMembershipBytes), path.string());
  JsonFields fields(object, path.string());
  const auto public_key = [&](const std::string& key) {
    const auto parsed = Ed25519PublicKey::FromHex(fields.Text(key, 64));
    if (!parsed) fields.Fail(key, "is not a public key");
    return *parsed;
  };
  Membership membership;
  membership.slot = fields.Text("slot", kMaxNameBytes);
  membership.work_endpoint = fields.Text("work", kMaxEndpointBytes);
  membership.server_key = fields.HexBytes("server", 32);
  membership.log_name = fields.Text("log_name", kMaxNameBytes);
  membership.log_key = public_key("log");
  membership.operator_key = public_key("operator");
  fields.RequireAllRead();
  return membership;
}

SiteKeys SiteKeys::Load(FileSystem& files, const SiteFolder& folder) {
  return {.curve = wire::LoadCurveKeyPair(files, folder.CurveKeyFile()),
          .statement = Ed25519KeyPair::Load(files, folder.StatementKeyFile())};
}

LabIdentity EnsureIdentity(FileSystem& files, const SiteFolder& folder, const std::string& slot) {
  files.CreateFolders(folder.Agent(), 0700);
  files.CreateFolders(folder.Keys(), 0700);
  if (!files.Exists(folder.CurveKeyFile())) {
    wire::SaveCurveKeyPair(files, folder.CurveKeyFile(), wire::GenerateCurveKeyPair());
  }
  for (const Path& path : {folder.StatementKeyFile(), folder.WitnessKeyFile()}) {
    if (!files.Exists(path)) Ed25519KeyPair::Generate().Save(files, path);
  }
  const wire::CurveKey curve = wire::LoadCurveKeyPair(files, folder.CurveKeyFile()).public_key;
  return {.slot = slot,
          .curve_key = Bytes(curve.begin(), curve.end()),
          .statement_key = Ed25519KeyPair::Load(files, folder.StatementKeyFile()).PublicKey(),
          .witness_key = Ed25519KeyPair::Load(files, folder.WitnessKeyFile()).PublicKey()};
}

}  // namespace hemafed::agent
