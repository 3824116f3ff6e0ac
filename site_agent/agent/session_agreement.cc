// SPDX-License-Identifier: Apache-2.0
//
// Session: what the lab's people have to say before pictures travel, and what it looks at before it works for a
// partner.
#include <nlohmann/json.hpp>
#include <utility>

#include "codec/exchange.h"
#include "common/error.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/agent/session.h"

namespace hemafed::agent {

std::optional<std::string> Session::UnagreedPartner(const Job& job) const {
  std::vector<std::string> partners;
  if (job.kind == JobKind::kAgree) partners = ExchangePartners(*plan_, job.site);
  // A removal needs nobody's yes.
  if (job.partner && job.kind != JobKind::kRemove) partners.push_back(job.partner->site);
  if (partners.empty()) return std::nullopt;
  const std::optional<LabAgreement> agreement = LoadLabAgreement(files_, folder_.AgreementFile());
  for (std::string& partner : partners) {
    if (!agreement || !agreement->Allows(job.plan, partner)) return std::move(partner);
  }
  return std::nullopt;
}

void Session::AskPeople(const std::string& partner) {
  statement_.reset();
  signature_.reset();
  stage_ = Stage::kAsking;
  if (asked_people_ == assignment_->job->Name()) return;
  asked_people_ = assignment_->job->Name();
  Tell("the plan " + plan_->name + " lets pictures travel between this lab and " + partner +
       "; nothing of that happens unless this lab's people say so: read " +
       jobs_.PlanFile(*assignment_->plan).string() + ", then run `hemafed-site agree`");
}

Session::Messages Session::BeginJob() {
  if (const auto partner = UnagreedPartner(*assignment_->job)) {
    AskPeople(*partner);
    return {};
  }
  CheckPartner();
  if (assignment_->job->kind == JobKind::kRemove) RemoveBundleOf(*assignment_->job);
  StartJob();
  return TakeResult();
}

void Session::CheckPartner() const {
  const Job& job = *assignment_->job;
  if (job.kind == JobKind::kSeal) (void)RecipientKeyOf(job, membership_.operator_key);
  if (job.kind == JobKind::kRemove) (void)ExpectedRemovalOf(job, membership_.operator_key);
  if (job.kind != JobKind::kReceive) return;
  if (ExpectedBundleOf(job, membership_.operator_key).report.file != assignment_->bundle) {
    throw Error(ErrorCode::kRefused,
                "the coordinator sent another file than the bundle that " + job.partner->site + " signed");
  }
}

Session::Messages Session::SayUnasked() {
  if (!assignment_ || !assignment_->plan || !transfer_.idle()) return {};
  const bool free = stage_ == Stage::kIdle || stage_ == Stage::kAsking || stage_ == Stage::kTraining;
  if (!free) return {};
  Messages out = EndAgreement();
  return out.empty() ? Withdraw() : out;
}

Session::Messages Session::EndAgreement() {
  if (assignment_->agreement != AgreementState::kGiven || assignment_->action == Action::kFinished) return {};
  const std::optional<LabAgreement> agreement = LoadLabAgreement(files_, folder_.AgreementFile());
  if (!agreement || !agreement->ended || agreement->plan != *assignment_->plan) return {};
  statement_ = SiteStatement{.kind = StatementKind::kAgreementEnd,
                             .task = 0,
                             .round = 0,
                             .subject = *assignment_->plan,
                             .body = nlohmann::json::object()};
  signature_.reset();
  return Submit();
}

}  // namespace hemafed::agent
