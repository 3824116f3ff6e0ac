// SPDX-License-Identifier: Apache-2.0
#include "protocol/federation/partner_word.h"

#include <algorithm>

#include "common/error.h"
#include "protocol/federation/refusals.h"
#include "protocol/federation/signing.h"

namespace hemafed {

namespace {

// The partner's statement of the kind that the job needs, after all signatures were checked.
SiteStatement SignedWord(const Job& job, StatementKind kind, const Ed25519PublicKey& operator_key) {
  const std::string where = "the partner of " + job.Name();
  if (!job.partner) throw Error(ErrorCode::kInvalidInput, where + " is missing");
  const Entry admission = ParseEntry(job.partner->lab);
  const auto* lab = std::get_if<RosterEntry>(&admission.body);
  if (lab == nullptr || !lab->joins || lab->lab.slot != job.partner->site) {
    Refuse(where + ": its roster entry is not that of " + job.partner->site);
  }
  if (!VerifyOperatorRoster(operator_key, *lab)) Refuse(where + ": the operator did not sign its roster entry");
  const Entry said = ParseEntry(job.partner->statement);
  const auto* entry = std::get_if<StatementEntry>(&said.body);
  if (entry == nullptr || entry->site != job.partner->site || entry->statement.kind != kind) {
    Refuse(where + ": its statement is none of the kind '" + std::string(StatementKindName(kind)) + "'");
  }
  if (!VerifySiteStatement(lab->lab.statement_key, job.plan, entry->statement, entry->signature)) {
    Refuse(where + ": its statement is not signed by that lab for this plan");
  }
  return entry->statement;
}

}  // namespace

JobPartner PartnerOf(const RosterEntry& lab, const StatementEntry& statement) {
  // The time of a log entry is the coordinator's word and no part of what was signed.
  return {.site = lab.lab.slot, .lab = EntryToText({0, lab}), .statement = EntryToText({0, statement})};
}

HpkePublicKey RecipientKeyOf(const Job& job, const Ed25519PublicKey& operator_key) {
  const SiteStatement statement = SignedWord(job, StatementKind::kAgreement, operator_key);
  const auto agreement = AgreementReport::FromJson({statement.body, "agreement of " + job.partner->site});
  if (std::find(agreement.partners.begin(), agreement.partners.end(), job.site) == agreement.partners.end()) {
    Refuse("the agreement of " + job.partner->site + " does not name " + job.site);
  }
  return agreement.key;
}

ExpectedBundle ExpectedBundleOf(const Job& job, const Ed25519PublicKey& operator_key) {
  const SiteStatement statement = SignedWord(job, StatementKind::kBundle, operator_key);
  ExpectedBundle expected{
      .address = {.plan = job.plan, .task = statement.task, .sender = job.partner->site, .recipient = job.site},
      .report = BundleReport::FromJson({statement.body, "bundle of " + job.partner->site})};
  if (expected.report.recipient != job.site) Refuse("the bundle of " + job.partner->site + " is for another lab");
  if (expected.address.task >= job.task) Refuse("the bundle of " + job.partner->site + " is not of an earlier task");
  return expected;
}

ExpectedRemoval ExpectedRemovalOf(const Job& job, const Ed25519PublicKey& operator_key) {
  const SiteStatement statement = SignedWord(job, StatementKind::kWithdrawal, operator_key);
  return {.id = Sha256Of(statement.ToText()),
          .report = WithdrawalReport::FromJson({statement.body, "withdrawal of " + job.partner->site})};
}

}  // namespace hemafed
