// SPDX-License-Identifier: Apache-2.0
//
// FederationState: pictures that travelled and are taken back. The log knows them by bundle and place only.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "protocol/federation/federation_state.h"
#include "protocol/federation/refusals.h"

namespace hemafed {

bool FederationState::IsDue(const Withdrawal& withdrawal) const {
  const auto& received = bundles_[withdrawal.bundle].received;
  return !withdrawal.removed && received && !received->trouble;
}

const Withdrawal* FederationState::WithdrawalToRemove(const std::string& site) const {
  for (const Withdrawal& withdrawal : withdrawals_) {
    if (bundles_[withdrawal.bundle].report.recipient == site && IsDue(withdrawal)) return &withdrawal;
  }
  return nullptr;
}

std::vector<std::string> FederationState::MissingRemovals() const {
  std::set<std::string> sites;
  for (const Withdrawal& withdrawal : withdrawals_) {
    if (IsDue(withdrawal)) sites.insert(bundles_[withdrawal.bundle].report.recipient);
  }
  return {sites.begin(), sites.end()};
}

void FederationState::CheckWithdrawal(const std::string& site, const WithdrawalReport& report,
                                      const std::string& what) const {
  const auto bundle = std::find_if(bundles_.begin(), bundles_.end(),
                                   [&](const SentBundle& sent) { return sent.report.file == report.bundle; });
  if (bundle == bundles_.end() || bundle->sender() != site) Refuse(what + ": it is about no bundle of this site");
  if (report.items.back() >= bundle->report.items) Refuse(what + ": the bundle does not have so many pictures");
  // Each adds at least one picture, so a bundle has no more withdrawals than pictures.
  std::vector<std::uint64_t> left = report.items;
  for (const Withdrawal& earlier : withdrawals_) {
    if (earlier.report.bundle != report.bundle) continue;
    std::erase_if(left, [&](std::uint64_t item) {
      return std::binary_search(earlier.report.items.begin(), earlier.report.items.end(), item);
    });
  }
  if (left.empty()) OutOfPlace(what + ": all of these pictures were withdrawn already");
}

void FederationState::CheckRemoved(const std::string& site, const RemovedReport& report,
                                   const std::string& what) const {
  const Withdrawal* due = WithdrawalToRemove(site);
  if (due == nullptr || due->id != report.withdrawal) {
    OutOfPlace(what + ": it is not about the withdrawal that this site has to carry out now");
  }
}

void FederationState::AdvanceWithdrawal(const StatementEntry& entry) {
  const JsonFields body(entry.statement.body, entry.site);
  if (entry.statement.kind == StatementKind::kRemoved) {
    const Digest id = RemovedReport::FromJson(body).withdrawal;
    for (Withdrawal& withdrawal : withdrawals_) withdrawal.removed = withdrawal.removed || withdrawal.id == id;
    // What rounding left over of an update made with these pictures would bring them into the next one.
    carries_residual_.erase(entry.site);
    return;
  }
  Withdrawal withdrawal{.id = Sha256Of(entry.statement.ToText()),
                        .lab = admissions_.at(entry.site),
                        .entry = entry,
                        .report = WithdrawalReport::FromJson(body)};
  while (bundles_[withdrawal.bundle].report.file != withdrawal.report.bundle) ++withdrawal.bundle;
  withdrawals_.push_back(std::move(withdrawal));
}

}  // namespace hemafed
