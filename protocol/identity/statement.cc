// protocol/identity/statement.cc
// SPDX-License-Identifier: Apache-2.0
#include "protocol/identity/statement.h"

#include <array>

#include "common/error.h"

namespace hemafed {

namespace {

void AppendField(std::string& out, std::string_view bytes) {
  std::array<std::uint8_t, 4> length{};
  StoreLittleEndian(static_cast<std::uint32_t>(bytes.size()), length.data());
  out.append(AsText(length)).append(bytes);
}

void AppendField(std::string& out, std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  StoreLittleEndian(number, bytes.data());
  AppendField(out, AsText(bytes));
}

}  // namespace

std::string_view StatementContextName(StatementContext context) noexcept {
  switch (context) {
    case StatementContext::kPlan: return "plan";
    case StatementContext::kRoster: return "roster";
    case StatementContext::kLabEntry: return "lab-entry";
    case StatementContext::kEnrolment: return "enrolment";
    case StatementContext::kCommitment: return "commitment";
    case StatementContext::kUpdate: return "update";
    case StatementContext::kAcknowledgement: return "acknowledgement";
    case StatementContext::kExemplars: return "exemplars";
    case StatementContext::kEvaluation: return "evaluation";
    case StatementContext::kJudgement: return "judgement";
    case StatementContext::kDecision: return "decision";
    case StatementContext::kSums: return "sums";
    case StatementContext::kAgreement: return "agreement";
    case StatementContext::kAgreementEnd: return "agreement-end";
    case StatementContext::kBundle: return "bundle";
    case StatementContext::kReceived: return "received";
    case StatementContext::kFisher: return "fisher";
    case StatementContext::kMeans: return "means";
    case StatementContext::kWithdrawal: return "withdrawal";
    case StatementContext::kRemoved: return "removed";
    case StatementContext::kMoments: return "moments";
    case StatementContext::kDrift: return "drift";
  }
  return "unknown";
}

std::string StatementBytes(const Statement& statement) {
  if (statement.body.size() > kMaxStatementBodyBytes) {
    throw Error(ErrorCode::kInvalidInput, "a signed statement of " + std::to_string(statement.body.size()) +
                                              " bytes is over the limit of " + std::to_string(kMaxStatementBodyBytes) +
                                              "; sign the digest of larger content");
  }
  std::string bytes = "hemafed-";
  bytes.append(StatementContextName(statement.context)).append("-v1\n");
  AppendField(bytes, AsText(statement.plan_digest.bytes));
  AppendField(bytes, statement.task);
  AppendField(bytes, statement.round);
  AppendField(bytes, AsText(statement.base_digest.bytes));
  AppendField(bytes, statement.body);
  return bytes;
}

Ed25519Signature SignStatement(const Ed25519KeyPair& key, const Statement& statement) {
  return key.Sign(StatementBytes(statement));
}

bool VerifyStatement(const Ed25519PublicKey& key, const Statement& statement, ByteView signature) {
  if (statement.body.size() > kMaxStatementBodyBytes) return false;
  return Verify(key, StatementBytes(statement), signature);
}

}  // namespace hemafed
