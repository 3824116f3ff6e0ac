// coordinator/intake.h
// SPDX-License-Identifier: Apache-2.0
//
// Takes a site's signed statement into the log: form, signature, place and rules are checked before anything is stored;
// the integers of an update, of feature sums, of latent moments or of score histograms are decoded, compared with the
// digest that the site signed, and kept raw for aggregation, report and replay. The receipt is made after the entry is
// durable. A sealed bundle is kept as it is until its recipient says that it holds the pictures; one that could not be
// opened stays, as evidence.
//
// A well signed update that breaks a rule (norm bound, layout, digest) is logged as refused and the round goes on
// without it; so are sums that are not what the site says, and the task then waits for a person. Anything else that is
// wrong changes nothing and is answered with a refusal.
//
// Thread-safety: one thread.
#pragma once

#include <string>

#include "codec/exchange.h"
#include "codec/update.h"
#include "coordinator/ledger.h"
#include "protocol/objects/object_store.h"
#include "protocol/wire/messages.h"

namespace hemafed::coordinator {

class Intake {
 public:
  // All borrowed. `uploads` holds the compressed update files that sites put; they are removed once decoded. It is
  // apart from `store`, so that nothing a site sends can touch a model. `scratch` is a folder on the store's disk.
  Intake(FileSystem& files, Ledger& ledger, ObjectStore& store, ObjectStore& uploads, Path scratch);

  // A Receipt or a Refusal. Throws only for this machine's own troubles (disk).
  [[nodiscard]] wire::Message Take(const std::string& site, const wire::Submission& submission);

 private:
  // The rule that an update, or sums, due now breaks by what its site signed: another base model, another number of
  // steps. It is the site's answer in the round. Throws where the statement is not to be answered so.
  [[nodiscard]] std::optional<std::string> WhyRefused(const StatementEntry& entry) const;
  // What only the objects tell of a statement without a file: what latents were compared with.
  [[nodiscard]] std::optional<std::string> WhyNotOfTheLog(const StatementEntry& entry) const;
  // Checks and stores what the file that goes with the statement says, or returns the rule it breaks.
  [[nodiscard]] std::optional<std::string> Store(const StatementEntry& entry);
  // Compares a bundle's header, which is all of it that can be read here, with what the site signed, and stores it.
  [[nodiscard]] std::optional<std::string> StoreBundle(const StatementEntry& entry, const BundleReport& report);
  // Removes what its recipient holds.
  void DropBundle(const Digest& bundle);
  // Decodes and stores the update's integers.
  [[nodiscard]] std::optional<std::string> StoreUpdate(const std::string& site, const UpdateReport& report);
  // The same for the counts of an evaluation's score histograms.
  [[nodiscard]] std::optional<std::string> StoreScores(const StatementEntry& entry);
  // Likewise Fisher information and class means, which travel in the form of updates.
  [[nodiscard]] std::optional<std::string> StoreFisher(const FisherReport& report);
  [[nodiscard]] std::optional<std::string> StoreMeans(const MeansReport& report);
  [[nodiscard]] std::optional<std::string> StoreMoments(const MomentsReport& report);
  // What an update file is said to hold.
  struct SentIntegers {
    Digest file;
    Digest values;
    UpdateEncoding encoding = UpdateEncoding::kInt32;
  };
  // Decodes and stores integers of which `why_not` finds nothing wrong.
  [[nodiscard]] std::optional<std::string> StoreIntegers(
      const SentIntegers& sent, const UpdateLayout& layout,
      const std::function<std::optional<std::string>(const ReadableFile&)>& why_not);
  // Of the current model's updates.
  [[nodiscard]] UpdateLayout ModelLayout() const;
  // Stores feature sums in canonical form.
  [[nodiscard]] std::optional<std::string> StoreSums(const SumsReport& report);
  [[nodiscard]] wire::Receipt ReceiptFor(std::uint64_t index) const;

  FileSystem& files_;
  Ledger& ledger_;
  ObjectStore& store_;
  ObjectStore& uploads_;
  Path scratch_;
};

}  // namespace hemafed::coordinator
