// SPDX-License-Identifier: Apache-2.0
#include "codec/exchange.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "codec/sealed_bundle.h"
#include "common/digest_of_file.h"

namespace hemafed {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 3> kTroubleNames{"seal", "items", "picture"};

HpkePublicKey ReadKey(JsonFields& fields, const std::string& key) {
  HpkePublicKey value;
  const Bytes bytes = fields.HexBytes(key, HpkePublicKey::kBytes);
  std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
  return value;
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> BundleRecipients(const Plan& plan, std::size_t task) {
  std::vector<std::string> recipients;
  if (plan.rehearsal.policy != RehearsalPolicy::kSealed) return recipients;
  for (std::size_t later = task + 1; later < plan.tasks.size(); ++later) {
    const std::string& site = plan.tasks[later].site;
    if (site != plan.tasks[task].site && !Contains(recipients, site)) recipients.push_back(site);
  }
  return recipients;
}

std::vector<std::string> ExchangePartners(const Plan& plan, std::string_view site) {
  std::set<std::string> partners;
  for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
    const std::vector<std::string> recipients = BundleRecipients(plan, task);
    if (plan.tasks[task].site == site) partners.insert(recipients.begin(), recipients.end());
    if (Contains(recipients, site)) partners.insert(plan.tasks[task].site);
  }
  std::vector<std::string> ordered = plan.Sites();
  std::erase_if(ordered, [&](const std::string& name) { return !partners.contains(name); });
  return ordered;
}

std::uint64_t MaxBundleItemsOf(const Plan& plan, std::size_t task) {
  if (BundleRecipients(plan, task).empty()) return 0;
  return std::uint64_t{plan.ExemplarsPerList(task + 1)} * plan.tasks[task].classes.size();
}

std::uint64_t MaxBundleFileBytesOf(const Plan& plan, std::size_t task) {
  const std::uint64_t items = MaxBundleItemsOf(plan, task);
  if (items == 0) return 0;
  BundleHeader header;
  header.plaintext_bytes = items * (kBundleEntryBytes + plan.rehearsal.picture_bytes);
  return header.FileBytes();
}

std::uint64_t MaxBundleFileBytes(const Plan& plan) {
  std::uint64_t most = 0;
  for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
    most = std::max(most, MaxBundleFileBytesOf(plan, task));
  }
  return most;
}

std::optional<std::string> WhyBundlesAreTooLarge(const Plan& plan) {
  for (std::size_t task = 0; task < plan.tasks.size(); ++task) {
    const std::uint64_t items = MaxBundleItemsOf(plan, task), bytes = MaxBundleFileBytesOf(plan, task);
    if (items <= kMaxBundleItems && bytes <= kMaxObjectBytes) continue;
    return "lets the exemplars of task " + std::to_string(task + 1) + " be " + std::to_string(items) +
           " pictures in a file of " + std::to_string(bytes) + " bytes; a bundle holds at most " +
           std::to_string(kMaxBundleItems) + " pictures and " + std::to_string(kMaxObjectBytes) +
           " bytes: lower it, or keep fewer exemplars";
  }
  return std::nullopt;
}

json TrainerKeyReport::ToJson() const { return {{"key", key.Hex()}}; }

TrainerKeyReport TrainerKeyReport::FromJson(JsonFields fields) {
  TrainerKeyReport report{.key = ReadKey(fields, "key")};
  fields.RequireAllRead();
  return report;
}

json AgreementReport::ToJson() const { return {{"key", key.Hex()}, {"partners", partners}}; }

AgreementReport AgreementReport::FromJson(JsonFields fields) {
  AgreementReport report;
  report.key = ReadKey(fields, "key");
  report.partners = fields.Texts("partners", kMaxSites, kMaxNameBytes);
  for (const std::string& partner : report.partners) {
    if (!IsPlainName(partner)) fields.Fail("partners", "names something that is no lab");
  }
  fields.RequireAllRead();
  return report;
}

json BundleReport::ToJson() const {
  return {{"recipient", recipient}, {"file", file.Hex()}, {"file_bytes", file_bytes}, {"items", items}};
}

BundleReport BundleReport::FromJson(JsonFields fields) {
  BundleReport report;
  report.recipient = fields.Text("recipient", kMaxNameBytes);
  if (!IsPlainName(report.recipient)) fields.Fail("recipient", "is not a plain name");
  report.file = fields.Sha256Digest("file");
  report.file_bytes = fields.Unsigned("file_bytes", kMaxObjectBytes);
  report.items = fields.Unsigned("items", kMaxBundleItems);
  fields.RequireAllRead();
  return report;
}

std::string_view BundleTroubleName(BundleTrouble trouble) noexcept {
  return kTroubleNames[static_cast<std::size_t>(trouble)];
}

json ReceivedReport::ToJson() const {
  return {{"bundle", bundle.Hex()},
          {"held", held},
          {"trouble", trouble ? json(BundleTroubleName(*trouble)) : json(nullptr)}};
}

ReceivedReport ReceivedReport::FromJson(JsonFields fields) {
  ReceivedReport report;
  report.bundle = fields.Sha256Digest("bundle");
  report.held = fields.Unsigned("held", kMaxBundleItems);
  if (!fields.Raw("trouble").is_null()) {
    const std::string name = fields.Text("trouble", 16);
    const auto found = std::find(kTroubleNames.begin(), kTroubleNames.end(), name);
    if (found == kTroubleNames.end()) fields.Fail("trouble", "is not seal, items or picture");
    report.trouble = static_cast<BundleTrouble>(found - kTroubleNames.begin());
  }
  fields.RequireAllRead();
  return report;
}

json WithdrawalReport::ToJson() const { return {{"bundle", bundle.Hex()}, {"items", items}}; }

WithdrawalReport WithdrawalReport::FromJson(JsonFields fields) {
  WithdrawalReport report;
  report.bundle = fields.Sha256Digest("bundle");
  report.items = fields.Numbers("items", kMaxWithdrawnItems, 0, kMaxBundleItems - 1);
  const bool ascend =
      std::adjacent_find(report.items.begin(), report.items.end(), std::greater_equal<>()) == report.items.end();
  if (report.items.empty() || !ascend) fields.Fail("items", "is empty or does not ascend");
  fields.RequireAllRead();
  return report;
}

json RemovedReport::ToJson() const { return {{"withdrawal", withdrawal.Hex()}}; }

RemovedReport RemovedReport::FromJson(JsonFields fields) {
  RemovedReport report{.withdrawal = fields.Sha256Digest("withdrawal")};
  fields.RequireAllRead();
  return report;
}

}  // namespace hemafed
