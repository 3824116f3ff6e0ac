// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/withdraw.h"

#include <algorithm>
#include <map>
#include <utility>

#include "codec/job_folder.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/data/dataset_index.h"
#include "protocol/federation/lab_agreement.h"
#include "protocol/federation/lab_withdrawals.h"
#include "site_agent/trainer/stored_exemplars.h"
#include "site_agent/trainer/trainer_folder.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

namespace {

struct SentUnderPlan {
  Digest plan;
  std::vector<SealedToOther> bundles;
};

std::vector<SentUnderPlan> AllSent(FileSystem& files, const Path& vault) {
  std::vector<SentUnderPlan> sent;
  for (const Digest& plan : SentBundles::Plans(files, vault)) {
    sent.push_back({.plan = plan, .bundles = SentBundles(files, vault, plan).Load()});
  }
  return sent;
}

// Nothing if the folder is missing: this lab has not got so far.
std::vector<std::string> NamesIn(FileSystem& files, const Path& folder) {
  try {
    return files.List(folder);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return {};
    throw;
  }
}

// Plans that the trainer may have kept exemplars for.
std::set<Digest> PlansOf(FileSystem& files, const Path& lab) {
  std::set<Digest> plans;
  for (const std::string& name : NamesIn(files, JobFolder{lab / "jobs"}.Plans())) {
    if (const auto plan = Digest::FromHex(Path(name).stem().string())) plans.insert(*plan);
  }
  if (const auto agreement = LoadLabAgreement(files, TrainerFolder{lab / "trainer"}.Agreement())) {
    plans.insert(agreement->plan);
  }
  return plans;
}

std::set<Digest> KnownPictures(FileSystem& files, const Path& lab, const std::vector<SentUnderPlan>& sent,
                               const std::set<Digest>& withdrawn) {
  const TrainerFolder folder{lab / "trainer"};
  std::set<Digest> known = withdrawn;
  for (const std::string& name : NamesIn(files, folder.Pictures())) {
    if (!name.ends_with(".index")) continue;
    for (const learning::PictureEntry& picture : learning::LoadIndex(files, folder.Pictures() / name).pictures) {
      known.insert(picture.digest);
    }
  }
  for (const Digest& plan : PlansOf(files, lab)) {
    for (const learning::ExemplarList& list : StoredExemplars(files, folder.Vault(), plan).lists) {
      for (const auto* part : {&list.herding, &list.uncertainty}) {
        for (const learning::Exemplar& exemplar : *part) known.insert(exemplar.picture);
      }
    }
  }
  for (const SentUnderPlan& under : sent) {
    for (const SealedToOther& bundle : under.bundles) known.insert(bundle.pictures.begin(), bundle.pictures.end());
  }
  return known;
}

// A trainer that has them open reads on; one that is just making them starts over.
std::size_t RemoveTiles(FileSystem& files, const Path& folder) {
  std::size_t removed = 0;
  for (const std::string& name : NamesIn(files, folder)) {
    const bool is_of_pictures = name.ends_with(".tiles") || name.ends_with(".tiles.tmp") ||
                                name.find(kLatentsSuffix) != std::string::npos ||
                                name.find(kCellsSuffix) != std::string::npos;
    if (!is_of_pictures) continue;
    files.Remove(folder / name);
    ++removed;
  }
  return removed;
}

// Appends to the plan's file what it does not hold yet.
void NoteCopies(FileSystem& files, const Path& lab, const SentUnderPlan& under, const std::set<Digest>& named,
                const std::set<Digest>& withdrawn, bool runs, WithdrawalCount& count) {
  const Path file = WithdrawalsFileOf(lab, under.plan);
  LabWithdrawals decided = LoadLabWithdrawals(files, file);
  if (!decided.reports.empty() && decided.plan != under.plan) {
    throw Error(ErrorCode::kCorrupt, file.string() + " is of another plan than its name says; it was moved or altered");
  }
  decided.plan = under.plan;
  std::map<Digest, std::set<std::uint64_t>> known;
  for (const WithdrawalReport& report : decided.reports) {
    known[report.bundle].insert(report.items.begin(), report.items.end());
  }
  std::map<std::string, std::size_t> added;  // By recipient.
  for (const SealedToOther& bundle : under.bundles) {
    for (const WithdrawalReport& report : PlacesOf({bundle}, named)) {
      count.noted +=
          static_cast<std::size_t>(std::count_if(report.items.begin(), report.items.end(), [&](std::uint64_t item) {
            return known[bundle.file].contains(item);
          }));
    }
    for (WithdrawalReport& report : PlacesOf({bundle}, withdrawn)) {
      std::erase_if(report.items, [&](std::uint64_t item) { return known[bundle.file].contains(item); });
      if (report.items.empty()) continue;
      added[bundle.recipient] += report.items.size();
      decided.reports.push_back(std::move(report));
    }
  }
  if (added.empty()) return;
  decided.Save(files, file);
  for (const auto& [recipient, copies] : added) {
    if (runs) {
      count.sent += copies;
    } else {
      count.elsewhere.push_back({.plan = under.plan, .recipient = recipient, .pictures = copies});
    }
  }
}

}  // namespace

Digest PictureNamed(FileSystem& files, const std::string& name) {
  if (const auto digest = Digest::FromHex(name)) return *digest;
  if (!files.Exists(name)) {
    throw Error(ErrorCode::kInvalidInput, name + " is neither a picture's file nor a SHA-256 of 64 lower-case digits");
  }
  return DigestOfFile(files, name);
}

std::vector<WithdrawalReport> PlacesOf(const std::vector<SealedToOther>& sent, const std::set<Digest>& pictures) {
  std::vector<WithdrawalReport> reports;
  for (const SealedToOther& bundle : sent) {
    WithdrawalReport report{.bundle = bundle.file, .items = {}};
    for (std::size_t place = 0; place < bundle.pictures.size(); ++place) {
      if (!pictures.contains(bundle.pictures[place])) continue;
      report.items.push_back(place);
      if (report.items.size() == kMaxWithdrawnItems) {
        reports.push_back(report);
        report.items.clear();
      }
    }
    if (!report.items.empty()) reports.push_back(std::move(report));
  }
  return reports;
}

WithdrawalCount WithdrawPictures(FileSystem& files, const Path& lab, const std::vector<Digest>& pictures) {
  const TrainerFolder folder{lab / "trainer"};
  const Vault vault(files, folder.Vault());
  const auto agreement = LoadLabAgreement(files, folder.Agreement());
  const std::set<Digest> before = vault.Withdrawn();
  const std::vector<SentUnderPlan> sent = AllSent(files, folder.Vault());

  WithdrawalCount count;
  const std::set<Digest> known = KnownPictures(files, lab, sent, before);
  std::set<Digest> named;
  for (const Digest& picture : pictures) {
    if (known.contains(picture)) {
      named.insert(picture);
    } else if (std::find(count.unknown.begin(), count.unknown.end(), picture) == count.unknown.end()) {
      count.unknown.push_back(picture);
    }
  }
  if (named.empty()) return count;
  for (const Digest& plan : PlansOf(files, lab)) {
    learning::ExemplarStore store = vault.Load(plan);
    for (const Digest& picture : named) count.exemplars += learning::Withdraw(store, picture);
  }

  // First: what the trainer seals from here on is without them, and what it sealed before is in its record.
  vault.AddWithdrawn(std::vector<Digest>(named.begin(), named.end()));
  const std::set<Digest> withdrawn = vault.Withdrawn();
  count.fresh = withdrawn.size() - before.size();
  count.tiles = RemoveTiles(files, folder.Pictures());
  // Read again, with what was sealed meanwhile. Of all withdrawn pictures, also of those of an earlier run that was
  // interrupted here.
  for (const SentUnderPlan& under : AllSent(files, folder.Vault())) {
    NoteCopies(files, lab, under, named, withdrawn, agreement && agreement->plan == under.plan, count);
  }
  return count;
}

}  // namespace hemafed::trainer
