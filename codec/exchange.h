// codec/exchange.h
// SPDX-License-Identifier: Apache-2.0
//
// Exemplars that travel, under the rehearsal policy `sealed` (design 4.3; docs/sealed_bundle.md): what a plan says
// about who gives pictures to whom and how much, and the reports of the jobs and statements that carry it out.
//
//     task t is done at site A, its exemplars are chosen      -> one bundle for each site B != A of a later task
//     B's next task opens                                     -> B takes in the bundles addressed to it, then commits
//
//     items of a bundle  <= m * (classes of task t), m = Plan::ExemplarsPerList(t + 1)
//     bytes of its file  <= header + items * (table entry + picture_bytes) + 16 for each chunk begun
//
// FromJson functions bound every field and throw Error(kInvalidInput). Thread-safety: value types, free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/plan.h"
#include "common/hpke.h"
#include "common/json_fields.h"
#include "common/sha256.h"

namespace hemafed {

// Sites that get the exemplars of task `task`, in the order of their first task after it; none under other policies.
[[nodiscard]] std::vector<std::string> BundleRecipients(const Plan& plan, std::size_t task);
// Sites that this one gives exemplars to or gets them from, in the order of Plan::Sites().
[[nodiscard]] std::vector<std::string> ExchangePartners(const Plan& plan, std::string_view site);
// The most that a bundle of task `task` can hold, and its largest file. 0 where none leaves the task.
[[nodiscard]] std::uint64_t MaxBundleItemsOf(const Plan& plan, std::size_t task);
[[nodiscard]] std::uint64_t MaxBundleFileBytesOf(const Plan& plan, std::size_t task);
// Of all tasks.
[[nodiscard]] std::uint64_t MaxBundleFileBytes(const Plan& plan);
// Why a bundle of this plan could be larger than a bundle or an object may be; nothing if none can.
[[nodiscard]] std::optional<std::string> WhyBundlesAreTooLarge(const Plan& plan);

// Job `agree`: the public half of the trainer's key.
struct TrainerKeyReport {
  HpkePublicKey key;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static TrainerKeyReport FromJson(JsonFields fields);
};

// Statement `agreement`: this lab's people have said that pictures may travel between it and these labs under the plan.
struct AgreementReport {
  HpkePublicKey key;                  // What pictures for this lab are sealed to.
  std::vector<std::string> partners;  // All of the plan's for this lab, none twice.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static AgreementReport FromJson(JsonFields fields);
};

// Job `seal` and statement `bundle`: a file of codec/sealed_bundle.h.
struct BundleReport {
  std::string recipient;
  Digest file;
  std::uint64_t file_bytes = 0;
  std::uint64_t items = 0;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static BundleReport FromJson(JsonFields fields);
};

// Why a recipient could not take a bundle. Words of a fixed list: a report carries no free text out of a lab.
enum class BundleTrouble : std::uint8_t {
  kSeal,     // It does not open with this lab's key as that sender's bundle of that task, or has another digest.
  kItems,    // What it lists is not what the plan lets that task give.
  kPicture,  // A picture in it is none that can be decoded.
};
[[nodiscard]] std::string_view BundleTroubleName(BundleTrouble trouble) noexcept;

// Job `receive` and statement `received`.
struct ReceivedReport {
  Digest bundle;           // SHA-256 of its file.
  std::uint64_t held = 0;  // Pictures of it in the vault now: all, or none; under a budget what lists have room for.
  std::optional<BundleTrouble> trouble;

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static ReceivedReport FromJson(JsonFields fields);
};

// Pictures of one withdrawal: several hundred fit a log entry, and whoever has more says more than one.
inline constexpr std::size_t kMaxWithdrawnItems = 500;

// Statement `withdrawal`: the giver takes pictures of one bundle back, for instance because a patient withdrew. They
// are named by their places in the bundle, which tell nothing to anybody who has not opened it.
struct WithdrawalReport {
  Digest bundle;                     // SHA-256 of its file.
  std::vector<std::uint64_t> items;  // Places in the bundle from 0 on, ascending.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static WithdrawalReport FromJson(JsonFields fields);
  bool operator==(const WithdrawalReport&) const = default;
};

// Job `remove` and statement `removed`: this lab's vault does not hold these pictures any longer.
struct RemovedReport {
  Digest withdrawal;  // SHA-256 of the withdrawal statement's canonical text.

  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] static RemovedReport FromJson(JsonFields fields);
};

}  // namespace hemafed
