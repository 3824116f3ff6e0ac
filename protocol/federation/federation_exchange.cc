// SPDX-License-Identifier: Apache-2.0
//
// FederationState: exemplars that travel. Who has agreed, which bundles are due, and what their statements may say. The
// contents of bundles are nobody's business here: they are sealed.
#include <algorithm>

#include "common/error.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> FederationState::MissingAgreements() const {
  std::vector<std::string> missing;
  for (const std::string& site : plan().Sites()) {
    if (ExchangePartners(plan(), site).empty()) continue;
    if (!agreements_.contains(site) || ended_agreements_.contains(site)) missing.push_back(site);
  }
  return missing;
}

AgreementReport FederationState::AgreementOf(const std::string& site) const {
  return AgreementReport::FromJson({agreements_.at(site).statement.body, "agreement of " + site});
}

bool FederationState::MayExchange(const std::string& a, const std::string& b) const {
  const auto stands = [&](const std::string& site) {
    return roster_.contains(site) && agreements_.contains(site) && !ended_agreements_.contains(site);
  };
  return stands(a) && stands(b);
}

std::vector<std::string> FederationState::BundlesToSend() const {
  std::vector<std::string> due;
  if (phase_ != Phase::kEvaluating || exemplars_pending()) return due;
  const std::string& sender = participants_.front();
  for (const std::string& recipient : BundleRecipients(plan(), task_)) {
    const bool sent = std::any_of(bundles_.begin(), bundles_.end(), [&](const SentBundle& bundle) {
      return bundle.entry.statement.task == task_ && bundle.report.recipient == recipient;
    });
    if (!sent && MayExchange(sender, recipient)) due.push_back(recipient);
  }
  return due;
}

const SentBundle* FederationState::BundleToReceive() const {
  if (phase_ != Phase::kCommitting) return nullptr;
  const std::string& site = participants_.front();
  for (const SentBundle& bundle : bundles_) {
    if (bundle.report.recipient == site && !bundle.received && MayExchange(bundle.sender(), site)) return &bundle;
  }
  return nullptr;
}

void FederationState::CheckExchange(const StatementEntry& entry, const std::string& what) const {
  const std::string& site = entry.site;
  const SiteStatement& statement = entry.statement;
  JsonFields body(statement.body, what);
  if (IsAboutPlan(statement.kind)) {
    // Pictures that travelled can be withdrawn after the plan, too.
    const bool agrees = statement.kind == StatementKind::kAgreement || statement.kind == StatementKind::kAgreementEnd;
    if (phase_ == Phase::kClosed && agrees) OutOfPlace(what + ": the plan is finished");
    if (statement.task != 0 || statement.round != 0 || statement.subject != plan_digest()) {
      Refuse(what + ": it is not about the plan");
    }
  }
  switch (statement.kind) {
    case StatementKind::kAgreement: {
      const auto report = AgreementReport::FromJson(body);
      const std::vector<std::string> partners = ExchangePartners(plan(), site);
      if (partners.empty()) Refuse(what + ": under this plan no pictures travel from or to this site");
      // Once, and not again after its end: an old statement shown again changes nothing.
      if (agreements_.contains(site)) OutOfPlace(what + ": it has agreed already");
      if (report.partners != partners) Refuse(what + ": it names other partners than the plan gives this site");
      // A key that nothing can be sealed to (RFC 9180, 7.1.4) would stop the sender; it throws here.
      (void)HpkeSender(report.key, {});
      break;
    }
    case StatementKind::kAgreementEnd:
      body.RequireAllRead();
      if (!agreements_.contains(site)) OutOfPlace(what + ": it has not agreed");
      if (ended_agreements_.contains(site)) OutOfPlace(what + ": it has ended its agreement already");
      break;
    case StatementKind::kBundle: {
      RequirePhase(Phase::kEvaluating, "a bundle");
      if (statement.round != 0) Refuse(what + ": a bundle belongs to no round");
      const auto report = BundleReport::FromJson(body);
      if (site != participants_.front() || !Contains(BundlesToSend(), report.recipient)) {
        OutOfPlace(what + ": no bundle for " + report.recipient + " is due from this site");
      }
      const std::uint64_t kept = exemplars_.at(site);
      if (report.items == 0 || report.items > MaxBundleItemsOf(plan(), task_) || report.items > kept) {
        Refuse(what + ": " + std::to_string(report.items) + " pictures are not what the plan lets this task give");
      }
      if (report.file_bytes > MaxBundleFileBytesOf(plan(), task_)) {
        Refuse(what + ": its file is larger than the plan's pictures can make it");
      }
      const bool seen = std::any_of(bundles_.begin(), bundles_.end(),
                                    [&](const SentBundle& bundle) { return bundle.report.file == report.file; });
      if (seen) Refuse(what + ": this file was sent before");
      break;
    }
    case StatementKind::kReceived: {
      RequirePhase(Phase::kCommitting, "what became of a bundle");
      if (statement.round != 0) Refuse(what + ": a bundle belongs to no round");
      const auto report = ReceivedReport::FromJson(body);
      const SentBundle* due = BundleToReceive();
      if (site != participants_.front() || due == nullptr || due->report.file != report.bundle) {
        OutOfPlace(what + ": it is not about the bundle that this site has to take in now");
      }
      // Under a budget lists are cut where they arrive, to the room that they have by then.
      const bool cut = plan().rehearsal.budget > 0 && report.held > 0 && report.held < due->report.items;
      const bool whole = report.held == due->report.items && report.held > 0;
      if (report.trouble ? report.held > 0 : !(whole || cut)) {
        Refuse(what + ": a bundle is held whole or not at all");
      }
      break;
    }
    case StatementKind::kWithdrawal: CheckWithdrawal(site, WithdrawalReport::FromJson(body), what); break;
    case StatementKind::kRemoved: CheckRemoved(site, RemovedReport::FromJson(body), what); break;
    case StatementKind::kCommitment:
    case StatementKind::kUpdate:
    case StatementKind::kAcknowledgement:
    case StatementKind::kExemplars:
    case StatementKind::kEvaluation:
    case StatementKind::kJudgement:
    case StatementKind::kFisher:
    case StatementKind::kMeans:
    case StatementKind::kMoments:
    case StatementKind::kDrift:
    case StatementKind::kSums: throw Error(ErrorCode::kInternal, what + ": no part of an exchange");
  }
}

void FederationState::AdvanceExchange(const StatementEntry& entry) {
  const JsonFields body(entry.statement.body, entry.site);
  if (entry.statement.kind == StatementKind::kAgreement) {
    agreements_.emplace(entry.site, entry);
  } else if (entry.statement.kind == StatementKind::kAgreementEnd) {
    ended_agreements_.insert(entry.site);
  } else if (entry.statement.kind == StatementKind::kBundle) {
    bundles_.push_back({.entry = entry, .report = BundleReport::FromJson(body), .received = {}});
  } else if (entry.statement.kind == StatementKind::kWithdrawal || entry.statement.kind == StatementKind::kRemoved) {
    AdvanceWithdrawal(entry);
  } else {
    const auto report = ReceivedReport::FromJson(body);
    for (SentBundle& bundle : bundles_) {
      if (bundle.report.file == report.bundle) bundle.received = report;
    }
  }
}

}  // namespace hemafed
