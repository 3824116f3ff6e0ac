// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/agree.h"

#include <algorithm>
#include <set>

#include "codec/exchange.h"
#include "common/error.h"
#include "protocol/federation/lab_agreement.h"

namespace hemafed::agent {

namespace {

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string ExplainExchange(const Plan& plan, const std::string& site) {
  std::string text;
  for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
    const std::string& sender = plan.tasks[task].site;
    const std::string at_most = "at most " + std::to_string(MaxBundleItemsOf(plan, task)) + " pictures of at most " +
                                std::to_string(plan.rehearsal.picture_bytes) + " bytes each";
    for (const std::string& recipient : BundleRecipients(plan, task)) {
      if (sender == site) {
        text += "after task " + std::to_string(task + 1) + " this lab gives " + recipient + " " + at_most + "\n";
      } else if (recipient == site) {
        text += "after task " + std::to_string(task + 1) + " this lab gets from " + sender + " " + at_most + "\n";
      }
    }
  }
  return text.empty() ? "under this plan no pictures travel from or to this lab\n" : text;
}

void Agree(FileSystem& files, const SiteFolder& folder, std::string_view plan_text,
           const std::vector<std::string>& partners) {
  const Membership membership = Membership::Load(files, folder.MembershipFile());
  const Plan plan = ParsePlan(plan_text, "plan");
  const std::vector<std::string> needed = ExchangePartners(plan, membership.slot);
  if (needed.empty()) {
    throw Error(ErrorCode::kRefused, "the plan " + plan.name + " moves no pictures from or to " + membership.slot +
                                         ": there is nothing to agree to");
  }
  if (std::set<std::string>(partners.begin(), partners.end()) != std::set<std::string>(needed.begin(), needed.end())) {
    throw Error(ErrorCode::kRefused, "under the plan " + plan.name + " pictures travel between this lab and " +
                                         Joined(needed) + "; name exactly these labs, or do not agree");
  }
  const Digest digest = Sha256Of(plan_text);
  if (const auto earlier = LoadLabAgreement(files, folder.TrainersAgreementFile())) {
    const bool same = earlier->plan == digest;
    if (!same && !earlier->ended) {
      throw Error(ErrorCode::kConflict,
                  "this lab has agreed to another plan, " + earlier->plan.Hex() + "; take that back first");
    }
    if (same && earlier->ended) {
      throw Error(ErrorCode::kConflict,
                  "this lab has taken its agreement to this plan back; a new one needs a new plan");
    }
  }
  const LabAgreement agreement{
      .plan = digest, .partners = needed, .ended = false, .operator_key = membership.operator_key};
  files.CreateFolders(folder.Trainer(), 0700);
  agreement.Save(files, folder.TrainersAgreementFile());
  agreement.Save(files, folder.AgreementFile());
}

void EndAgreement(FileSystem& files, const SiteFolder& folder) {
  auto agreement = LoadLabAgreement(files, folder.TrainersAgreementFile());
  if (!agreement) throw Error(ErrorCode::kConflict, "this lab has agreed to nothing that could be taken back");
  agreement->ended = true;
  // The trainer's first: from here on nothing is sealed.
  agreement->Save(files, folder.TrainersAgreementFile());
  agreement->Save(files, folder.AgreementFile());
}

}  // namespace hemafed::agent
