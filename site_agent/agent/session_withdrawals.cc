// SPDX-License-Identifier: Apache-2.0
//
// Session: pictures that travelled and are taken back. What this lab's people withdrew is stated unasked; what a
// partner withdrew is removed by the trainer, and nothing that was computed before leaves after it.
#include <nlohmann/json.hpp>
#include <utility>

#include "protocol/federation/lab_withdrawals.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/agent/session.h"

namespace hemafed::agent {

std::optional<SiteStatement> Session::NextWithdrawal() {
  const LabWithdrawals decided = LoadLabWithdrawals(files_, folder_.WithdrawalsFile(*assignment_->plan));
  if (decided.reports.empty() || decided.plan != assignment_->plan) return std::nullopt;
  if (!said_withdrawals_) said_withdrawals_ = LoadSaidWithdrawals(files_, folder_.SaidWithdrawalsFile());
  for (const WithdrawalReport& report : decided.reports) {
    SiteStatement statement{.kind = StatementKind::kWithdrawal,
                            .task = 0,
                            .round = 0,
                            .subject = *assignment_->plan,
                            .body = report.ToJson()};
    const Digest digest = Sha256Of(statement.ToText());
    if (!said_withdrawals_->contains(digest) && !refused_withdrawals_.contains(digest)) return statement;
  }
  return std::nullopt;
}

Session::Messages Session::Withdraw() {
  std::optional<SiteStatement> next = NextWithdrawal();
  if (!next) return {};
  statement_ = std::move(next);
  signature_.reset();
  return Submit();
}

std::optional<Digest> Session::WithdrawalUnderWay() const {
  if (stage_ != Stage::kSubmitted || !statement_ || statement_->kind != StatementKind::kWithdrawal) return std::nullopt;
  return Sha256Of(statement_->ToText());
}

void Session::LeaveWithdrawal() {
  statement_.reset();
  signature_.reset();
  stage_ = assignment_->action == Action::kWait ? Stage::kIdle : Stage::kFetching;
}

Session::Messages Session::AfterWithdrawal(const Digest& withdrawal, bool logged) {
  if (logged) {
    said_withdrawals_->insert(withdrawal);
    SaveSaidWithdrawals(files_, folder_.SaidWithdrawalsFile(), *said_withdrawals_);
    Tell("the partners are told to remove withdrawn pictures; `removed` in the log says when they did");
  } else {
    // Of a bundle that is not in the log, or not yet.
    refused_withdrawals_.insert(withdrawal);
  }
  LeaveWithdrawal();
  if (held_) return Take(*std::exchange(held_, std::nullopt));
  return Advance();
}

void Session::RemoveBundleOf(const Job& job) const {
  // The trainer could open it again.
  files_.Remove(jobs_.Object(ExpectedRemovalOf(job, membership_.operator_key).report.bundle));
}

void Session::RemoveOtherResults(const Job& job) const {
  for (const std::string& name : files_.List(jobs_.Done())) {
    if (name != job.Name()) files_.Remove(jobs_.Done() / name);
  }
}

}  // namespace hemafed::agent
