// SPDX-License-Identifier: Apache-2.0
#include "coordinator/enrolment.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "codec/plan.h"
#include "common/error.h"
#include "common/json_fields.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/signing.h"
#include "protocol/log/canonical_json.h"

namespace hemafed::coordinator {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxFileBytes = 16 << 10;
// Invitations open at once; each costs a file and a comparison.
constexpr std::size_t kMaxInvites = 1000;

Path InviteFile(const Consortium& consortium, const std::string& slot) {
  return consortium.folder.Invites() / (slot + ".json");
}
Path PendingFile(const Consortium& consortium, const std::string& slot) {
  return consortium.folder.Pending() / (slot + ".json");
}

void RequirePlain(const std::string& slot) {
  if (!IsPlainName(slot)) {
    throw Error(ErrorCode::kInvalidInput, "'" + slot + "' is not a plain name: use 1 to 48 of a-z, 0-9, '_' and '-'");
  }
}

std::optional<PendingLab> ReadPending(FileSystem& files, const Consortium& consortium, const std::string& slot) {
  const Path path = PendingFile(consortium, slot);
  if (!files.Exists(path)) return std::nullopt;
  const json object = ParseJsonObject(ReadFile(files, path, kMaxFileBytes), path.string());
  JsonFields fields(object, path.string());
  PendingLab pending;
  pending.lab = LabIdentity::FromJson(fields.Raw("lab"), path.string());
  const Bytes signature = fields.HexBytes("signature", pending.signature.size());
  std::copy(signature.begin(), signature.end(), pending.signature.begin());
  pending.fingerprint = Fingerprint(pending.lab, consortium.server_key.public_key);
  return pending;
}

void LeaveInInbox(FileSystem& files, const Consortium& consortium, const std::string& name, const EntryBody& body,
                  const std::string* plan_text) {
  const Path base = consortium.folder.Inbox() / name;
  // The plan's text first: the decision's appearance makes both visible.
  if (plan_text != nullptr) WriteFileAtomically(files, base.string() + ".toml", *plan_text);
  WriteFileAtomically(files, base.string() + ".json", EntryToText({.at_ms = 0, .body = body}));
}

wire::Refusal Refuse(wire::RefusalCode code, std::string text) { return {code, std::move(text), {}}; }

}  // namespace

Invitation Invite(FileSystem& files, const Consortium& consortium, const std::string& slot, std::int64_t now_ms) {
  RequirePlain(slot);
  if (files.List(consortium.folder.Invites()).size() >= kMaxInvites) {
    throw Error(ErrorCode::kConflict,
                "1000 invitations are open; remove old ones from " + consortium.folder.Invites().string());
  }
  Invitation invitation{
      .slot = slot,
      .enrol_endpoint = consortium.settings.enrol_endpoint,
      .work_endpoint = consortium.settings.work_endpoint,
      .server_key = Bytes(consortium.server_key.public_key.begin(), consortium.server_key.public_key.end()),
      .log_name = consortium.settings.name,
      .log_key = consortium.log_key.PublicKey(),
      .operator_key = consortium.operator_key,
      .expires_ms = now_ms + kInvitationValidMs};
  if (RAND_bytes(invitation.secret.data(), static_cast<int>(invitation.secret.size())) != 1) {
    throw Error(ErrorCode::kInternal, "OpenSSL gave no random bytes");
  }
  // Only the secret's digest stays here: whoever reads the folder cannot use the invitation.
  const json file = {
      {"slot", slot}, {"secret_sha256", Sha256Of(invitation.secret).Hex()}, {"expires_ms", invitation.expires_ms}};
  WriteFileAtomically(files, InviteFile(consortium, slot), file.dump());
  return invitation;
}

std::vector<PendingLab> ListPending(FileSystem& files, const Consortium& consortium) {
  std::vector<PendingLab> labs;
  for (const std::string& name : files.List(consortium.folder.Pending())) {
    if (!name.ends_with(".json")) continue;
    if (auto pending = ReadPending(files, consortium, name.substr(0, name.size() - 5)))
      labs.push_back(std::move(*pending));
  }
  return labs;
}

void Approve(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
             const std::string& slot, const std::string& fingerprint) {
  RequirePlain(slot);
  const auto pending = ReadPending(files, consortium, slot);
  if (!pending) {
    throw Error(ErrorCode::kNotFound,
                "no lab waits in slot " + slot + "; `hemafed-coordinator pending` lists those that do");
  }
  if (pending->fingerprint != fingerprint) {
    throw Error(ErrorCode::kRefused,
                "the lab in slot " + slot + " shows the fingerprint " + pending->fingerprint + ", not " + fingerprint +
                    ": compare again by telephone; if they still differ, somebody else holds the token: "
                    "invite the slot anew");
  }
  RosterEntry entry{.joins = true, .lab = pending->lab, .lab_signature = pending->signature};
  SignOperatorRoster(operator_key, entry);
  LeaveInInbox(files, consortium, "join-" + slot, entry, nullptr);
}

void Revoke(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
            const LabIdentity& lab) {
  RosterEntry entry{.joins = false, .lab = lab};
  SignOperatorRoster(operator_key, entry);
  LeaveInInbox(files, consortium, "revoke-" + lab.slot, entry, nullptr);
}

void SubmitPlan(FileSystem& files, const Consortium& consortium, const Ed25519KeyPair& operator_key,
                const Path& plan_file) {
  const std::string text = ReadFile(files, plan_file, kMaxPlanBytes);
  (void)ParsePlan(text, plan_file.string());
  const Digest digest = Sha256Of(text);
  LeaveInInbox(files, consortium, "plan-" + digest.Hex().substr(0, 16),
               PlanEntry{.plan = digest, .operator_signature = SignOperatorPlan(operator_key, digest)}, &text);
}

void Decide(FileSystem& files, const Consortium& consortium, const FederationState& state,
            const Ed25519KeyPair& operator_key, DecisionKind kind, const std::string& site) {
  DecisionEntry entry{.kind = kind, .site = site, .task = state.task(), .round = state.round()};
  SignOperatorDecision(operator_key, state.plan_digest(), entry);
  state.Check(Entry{.at_ms = 0, .body = entry});
  LeaveInInbox(files, consortium, "decision-" + std::string(DecisionName(kind)) + "-" + site, entry, nullptr);
}

wire::Message AnswerEnrolment(FileSystem& files, const Consortium& consortium, const FederationState& state,
                              const wire::EnrolRequest& request, ByteView connection_key, std::int64_t now_ms) {
  // One text for every way in which token and slot do not fit: a stranger learns nothing about open invitations.
  const auto not_invited = [] {
    return Refuse(wire::RefusalCode::kBadToken,
                  "this invitation is unknown, used or expired; ask the operator for a new one");
  };
  try {
    if (!IsPlainName(request.slot)) return not_invited();
    const LabIdentity lab = LabIdentity::FromJson(ParseCanonicalJson(request.lab_entry), "lab identity");
    const auto admitted = state.roster().find(request.slot);
    const bool known = admitted != state.roster().end() && admitted->second == lab;
    if (!known) {
      const Path path = InviteFile(consortium, request.slot);
      if (!files.Exists(path)) return not_invited();
      const json object = ParseJsonObject(ReadFile(files, path, kMaxFileBytes), path.string());
      JsonFields fields(object, path.string());
      const Digest wanted = fields.Sha256Digest("secret_sha256");
      const Digest shown = Sha256Of(request.secret);
      const bool same = CRYPTO_memcmp(wanted.bytes.data(), shown.bytes.data(), wanted.bytes.size()) == 0;
      if (!same || fields.Integer("expires_ms", 0, INT64_MAX) < now_ms) return not_invited();
    }
    const bool own_key =
        std::equal(lab.curve_key.begin(), lab.curve_key.end(), connection_key.begin(), connection_key.end());
    if (lab.slot != request.slot || !own_key || !VerifyLabIdentity(lab, request.signature)) {
      return Refuse(wire::RefusalCode::kBadSignature,
                    "the identity is not that of this slot and connection, or not signed by its own key");
    }
    const std::string fingerprint = Fingerprint(lab, consortium.server_key.public_key);
    if (known) return wire::EnrolStatus{wire::EnrolState::kApproved, fingerprint, CanonicalJson(lab.ToJson())};
    const json file = {{"lab", lab.ToJson()}, {"signature", HexEncode(request.signature)}};
    WriteFileAtomically(files, PendingFile(consortium, request.slot), file.dump());
    return wire::EnrolStatus{wire::EnrolState::kPending, fingerprint, ""};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
    return Refuse(wire::RefusalCode::kMalformed, error.what());
  }
}

wire::Message AnswerPoll(FileSystem& files, const Consortium& consortium, const FederationState& state,
                         const wire::EnrolPoll& poll, ByteView connection_key) {
  if (!std::equal(connection_key.begin(), connection_key.end(), poll.curve_public_key.begin(),
                  poll.curve_public_key.end())) {
    return Refuse(wire::RefusalCode::kBadSignature, "a lab may ask only about its own key");
  }
  const auto own = [&](const LabIdentity& lab) {
    return std::equal(lab.curve_key.begin(), lab.curve_key.end(), connection_key.begin(), connection_key.end());
  };
  const auto admitted = state.roster().find(poll.slot);
  if (admitted != state.roster().end() && own(admitted->second)) {
    return wire::EnrolStatus{wire::EnrolState::kApproved,
                             Fingerprint(admitted->second, consortium.server_key.public_key),
                             CanonicalJson(admitted->second.ToJson())};
  }
  const auto pending = IsPlainName(poll.slot) ? ReadPending(files, consortium, poll.slot) : std::nullopt;
  if (!pending || !own(pending->lab)) {
    return Refuse(wire::RefusalCode::kBadToken, "nobody with this key waits in this slot; join with a new invitation");
  }
  return wire::EnrolStatus{wire::EnrolState::kPending, pending->fingerprint, ""};
}

std::vector<Decision> ReadInbox(FileSystem& files, const Consortium& consortium) {
  std::vector<Decision> decisions;
  for (const std::string& name : files.List(consortium.folder.Inbox())) {
    if (!name.ends_with(".json")) continue;
    const Path path = consortium.folder.Inbox() / name;
    Decision decision{.file = path, .entry = ParseEntry(ReadFile(files, path, kMaxFileBytes)).body, .plan_text = {}};
    if (std::holds_alternative<PlanEntry>(decision.entry)) {
      decision.plan_text = ReadFile(files, Path(path).replace_extension(".toml"), kMaxPlanBytes);
    } else if (!std::holds_alternative<RosterEntry>(decision.entry) &&
               !std::holds_alternative<DecisionEntry>(decision.entry)) {
      throw Error(ErrorCode::kInvalidInput, path.string() + " is no decision of an operator; remove it");
    }
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

void Settle(FileSystem& files, const Consortium& consortium, const Decision& decision) {
  if (const auto* roster = std::get_if<RosterEntry>(&decision.entry); roster != nullptr && roster->joins) {
    files.Remove(InviteFile(consortium, roster->lab.slot));
    files.Remove(PendingFile(consortium, roster->lab.slot));
  }
  files.Remove(decision.file);
  files.Remove(Path(decision.file).replace_extension(".toml"));
}

}  // namespace hemafed::coordinator
