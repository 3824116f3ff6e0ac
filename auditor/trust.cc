// SPDX-License-Identifier: Apache-2.0
#include "auditor/trust.h"

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"

namespace hemafed::auditor {

namespace {

constexpr std::size_t kMaxTrustBytes = 64 << 10;  // 64 labs take 8 KB.
constexpr std::size_t kMaxKeyTextBytes = 512;

Ed25519PublicKey KeyOf(JsonFields& fields, const std::string& key) {
  const auto parsed = Ed25519PublicKey::FromHex(fields.Text(key, 64));
  if (!parsed) fields.Fail(key, "is not a public key in hexadecimal");
  return *parsed;
}

}  // namespace

Trust Trust::Load(FileSystem& files, const Path& path) {
  const nlohmann::json object = ParseJsonObject(ReadFile(files, path, kMaxTrustBytes), path.string());
  JsonFields fields(object, path.string());
  Trust trust;
  const auto log_key = NoteKey::Parse(fields.Text("log", kMaxKeyTextBytes));
  if (!log_key) fields.Fail("log", "is not a note key (name+hash+key)");
  trust.log_key = *log_key;
  trust.operator_key = KeyOf(fields, "operator");
  JsonFields labs = fields.Object("labs");
  for (const auto& item : object["labs"].items()) {
    if (!IsPlainName(item.key())) labs.Fail(item.key(), "is not a plain name");
    trust.labs[item.key()] = KeyOf(labs, item.key());
  }
  fields.RequireAllRead();
  return trust;
}

void Trust::RequireKnown(const EntryBody& entry) const {
  if (const auto* consortium = std::get_if<ConsortiumEntry>(&entry)) {
    if (consortium->operator_key != operator_key) {
      throw Error(ErrorCode::kRefused, "the log names another operator's key than the trust file");
    }
    if (consortium->log_key != log_key.key || consortium->name != log_key.name) {
      throw Error(ErrorCode::kRefused, "the log names another log key than the trust file");
    }
  }
  if (const auto* roster = std::get_if<RosterEntry>(&entry)) {
    const auto lab = labs.find(roster->lab.slot);
    if (lab == labs.end()) {
      throw Error(ErrorCode::kRefused, "the trust file does not name the lab " + roster->lab.slot);
    }
    if (lab->second != roster->lab.statement_key) {
      throw Error(ErrorCode::kRefused, "the lab " + roster->lab.slot + " has another key than in the trust file");
    }
  }
}

}  // namespace hemafed::auditor
