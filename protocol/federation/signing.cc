// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/signing.h"

#include "common/error.h"
#include "common/sha256.h"
#include "protocol/identity/statement.h"
#include "protocol/log/canonical_json.h"

namespace hemafed {

namespace {

StatementContext ContextOf(StatementKind kind) {
  switch (kind) {
    case StatementKind::kCommitment: return StatementContext::kCommitment;
    case StatementKind::kUpdate: return StatementContext::kUpdate;
    case StatementKind::kAcknowledgement: return StatementContext::kAcknowledgement;
    case StatementKind::kExemplars: return StatementContext::kExemplars;
    case StatementKind::kEvaluation: return StatementContext::kEvaluation;
    case StatementKind::kJudgement: return StatementContext::kJudgement;
    case StatementKind::kSums: return StatementContext::kSums;
    case StatementKind::kAgreement: return StatementContext::kAgreement;
    case StatementKind::kAgreementEnd: return StatementContext::kAgreementEnd;
    case StatementKind::kBundle: return StatementContext::kBundle;
    case StatementKind::kReceived: return StatementContext::kReceived;
    case StatementKind::kFisher: return StatementContext::kFisher;
    case StatementKind::kMeans: return StatementContext::kMeans;
    case StatementKind::kWithdrawal: return StatementContext::kWithdrawal;
    case StatementKind::kRemoved: return StatementContext::kRemoved;
    case StatementKind::kMoments: return StatementContext::kMoments;
    case StatementKind::kDrift: return StatementContext::kDrift;
  }
  throw Error(ErrorCode::kInternal, "statement kind out of range");
}

// Statements outside a plan: about nobody's task and no model.
Statement Outside(StatementContext context, std::string_view body) {
  return {.context = context, .plan_digest = {}, .task = 0, .round = 0, .base_digest = {}, .body = body};
}

std::string LabBody(const LabIdentity& lab) { return CanonicalJson(lab.ToJson()); }

std::string RosterBody(const RosterEntry& entry) {
  return std::string(entry.joins ? "join " : "revoke ") + LabBody(entry.lab);
}

Statement PlanStatement(const Digest& plan) {
  Statement statement = Outside(StatementContext::kPlan, "");
  statement.plan_digest = plan;
  return statement;
}

std::string DecisionBody(const DecisionEntry& entry) {
  return std::string(DecisionName(entry.kind)).append(" ").append(entry.site);
}

Statement DecisionStatement(const Digest& plan, const DecisionEntry& entry, std::string_view body) {
  return {.context = StatementContext::kDecision,
          .plan_digest = plan,
          .task = entry.task,
          .round = entry.round,
          .base_digest = {},
          .body = body};
}

Statement Signed(const Digest& plan, const SiteStatement& statement, std::string_view body) {
  return {.context = ContextOf(statement.kind),
          .plan_digest = plan,
          .task = statement.task,
          .round = statement.round,
          .base_digest = statement.subject,
          .body = body};
}

}  // namespace

Ed25519Signature SignLabIdentity(const Ed25519KeyPair& lab_key, const LabIdentity& lab) {
  return SignStatement(lab_key, Outside(StatementContext::kLabEntry, LabBody(lab)));
}

bool VerifyLabIdentity(const LabIdentity& lab, const Ed25519Signature& signature) {
  return VerifyStatement(lab.statement_key, Outside(StatementContext::kLabEntry, LabBody(lab)), signature);
}

void SignOperatorRoster(const Ed25519KeyPair& operator_key, RosterEntry& entry) {
  entry.operator_signature = SignStatement(operator_key, Outside(StatementContext::kRoster, RosterBody(entry)));
}

bool VerifyOperatorRoster(const Ed25519PublicKey& operator_key, const RosterEntry& entry) {
  return VerifyStatement(operator_key, Outside(StatementContext::kRoster, RosterBody(entry)), entry.operator_signature);
}

Ed25519Signature SignOperatorPlan(const Ed25519KeyPair& operator_key, const Digest& plan) {
  return SignStatement(operator_key, PlanStatement(plan));
}

bool VerifyOperatorPlan(const Ed25519PublicKey& operator_key, const Digest& plan, const Ed25519Signature& signature) {
  return VerifyStatement(operator_key, PlanStatement(plan), signature);
}

void SignOperatorDecision(const Ed25519KeyPair& operator_key, const Digest& plan, DecisionEntry& entry) {
  const std::string body = DecisionBody(entry);
  entry.operator_signature = SignStatement(operator_key, DecisionStatement(plan, entry, body));
}

bool VerifyOperatorDecision(const Ed25519PublicKey& operator_key, const Digest& plan, const DecisionEntry& entry) {
  const std::string body = DecisionBody(entry);
  return VerifyStatement(operator_key, DecisionStatement(plan, entry, body), entry.operator_signature);
}

Ed25519Signature SignSiteStatement(const Ed25519KeyPair& lab_key, const Digest& plan, const SiteStatement& statement) {
  return SignStatement(lab_key, Signed(plan, statement, CanonicalJson(statement.body)));
}

bool VerifySiteStatement(const Ed25519PublicKey& lab_key, const Digest& plan, const SiteStatement& statement,
                         const Ed25519Signature& signature) {
  return VerifyStatement(lab_key, Signed(plan, statement, CanonicalJson(statement.body)), signature);
}

std::string Fingerprint(const LabIdentity& lab, ByteView server_key) {
  const Digest digest = Sha256().Update(CanonicalJson(lab.ToJson())).Update(server_key).Finish();
  const std::string text = Base32Encode(ByteView(digest.bytes).first(10));
  std::string grouped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && i % 4 == 0) grouped += '-';
    grouped += text[i];
  }
  return grouped;
}

}  // namespace hemafed
