// SPDX-License-Identifier: Apache-2.0
//
// Pictures of a partner's bundle that the partner has withdrawn, out of this lab's vault (policy `sealed`).
#include "codec/exchange.h"
#include "common/error.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/partner_word.h"
#include "site_agent/trainer/jobs.h"
#include "site_agent/trainer/received_pictures.h"
#include "site_agent/trainer/residuals.h"

namespace hemafed::trainer {

nlohmann::json RunRemoveJob(const JobContext& context) {
  // Also after this lab took its own agreement back: the file still says whose signatures count.
  const auto agreement = LoadLabAgreement(context.files, context.folder.Agreement());
  if (!agreement || agreement->plan != context.job.plan) {
    throw Error(ErrorCode::kUnavailable, context.job.Name() + ": this lab has not agreed to the plan that it is of");
  }
  const ExpectedRemoval expected = ExpectedRemovalOf(context.job, agreement->operator_key);
  const std::string& giver = context.job.partner->site;
  // Held pictures are listed with who gave them, so nobody can have another lab's removed.
  const std::size_t removed = ReceivedPictures(context.files, context.folder.Vault(), context.job.plan)
                                  .Remove(giver, expected.report.bundle, expected.report.items);
  // The log asks for none of these any more once it holds the statement (FederationState::AdvanceWithdrawal).
  RemoveResiduals(context.files, context.folder, context.job.plan);
  context.print(giver + " withdrew " + std::to_string(expected.report.items.size()) + " pictures; " +
                std::to_string(removed) + " of them were held here and are removed");
  return RemovedReport{.withdrawal = expected.id}.ToJson();
}

}  // namespace hemafed::trainer
