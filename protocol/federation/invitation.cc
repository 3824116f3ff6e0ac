// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/invitation.h"

#include <algorithm>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "protocol/log/canonical_json.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::string_view kPrefix = "hemafed1.";
constexpr std::size_t kMaxTokenBytes = 4096;  // About 900 in practice; a token is pasted by hand.
constexpr std::size_t kMaxEndpointBytes = 256;

}  // namespace

std::string Invitation::ToToken() const {
  const json fields = {{"slot", slot},
                       {"enrol", enrol_endpoint},
                       {"work", work_endpoint},
                       {"server", HexEncode(server_key)},
                       {"log_name", log_name},
                       {"log", log_key.Hex()},
                       {"operator", operator_key.Hex()},
                       {"expires_ms", expires_ms},
                       {"secret", HexEncode(secret)}};
  std::string text = Base64Encode(AsBytes(CanonicalJson(fields)));
  // The URL alphabet survives shells, mail and chat programs.
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return std::string(kPrefix) + text;
}

Invitation Invitation::FromToken(std::string_view token) {
  const auto fail = [] {
    throw Error(ErrorCode::kInvalidInput,
                "this is not a HemaFed invitation: it starts with 'hemafed1.' and is one line; ask the operator to "
                "send it again");
  };
  if (token.size() > kMaxTokenBytes || !token.starts_with(kPrefix)) fail();
  std::string text(token.substr(kPrefix.size()));
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  const auto decoded = Base64Decode(text);
  if (!decoded) fail();
  const json object = ParseJsonObject(AsText(*decoded), "invitation");
  JsonFields fields(object, "invitation");
  const auto public_key = [&](const std::string& key) {
    const auto parsed = Ed25519PublicKey::FromHex(fields.Text(key, 64));
    if (!parsed) fields.Fail(key, "is not a public key");
    return *parsed;
  };
  Invitation invitation;
  invitation.slot = fields.Text("slot", kMaxNameBytes);
  if (!IsPlainName(invitation.slot)) fields.Fail("slot", "is not a plain name");
  invitation.enrol_endpoint = fields.Text("enrol", kMaxEndpointBytes);
  invitation.work_endpoint = fields.Text("work", kMaxEndpointBytes);
  invitation.server_key = fields.HexBytes("server", 32);
  invitation.log_name = fields.Text("log_name", kMaxNameBytes);
  invitation.log_key = public_key("log");
  invitation.operator_key = public_key("operator");
  invitation.expires_ms = fields.Integer("expires_ms", 0, (1ll << 53) - 1);
  const Bytes secret = fields.HexBytes("secret", invitation.secret.size());
  std::copy(secret.begin(), secret.end(), invitation.secret.begin());
  fields.RequireAllRead();
  return invitation;
}

}  // namespace hemafed
