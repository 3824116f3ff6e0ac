// site_agent/trainer/withdraw.h
// SPDX-License-Identifier: Apache-2.0
//
// `hemafed-train withdraw`: the lab's people take pictures back, for instance because a patient withdrew. One command
// for everything that this lab can do about them, under every policy:
//
//     vault/withdrawn.sealed           from now on the trainer neither trains on them, nor keeps, scores or seals them
//     pictures/*.tiles                 removed: decoded copies, made again from what the folder then holds
//     agent/withdrawals-<plan>.json    their places in the bundles that they travelled in (policy `sealed`), under
//                                      whatever plan; the agent states those of the plan that it runs under, so that
//                                      the recipients remove them (docs/sealed_bundle.md)
//
// Runs beside the trainer. Run again, it states what was missed and repeats nothing. A picture that this lab's trainer
// has not imported, does not keep and never sent cannot be withdrawn: nothing is noted of it, and the caller says so.
// What it does not do: remove the files from the pictures' folder, which is not this project's, and make a model
// forget.
//
// Errors: kInvalidInput, kCorrupt, those of FileSystem. Thread-safety: free functions, one process at a time.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "codec/exchange.h"
#include "common/file_system.h"
#include "site_agent/trainer/sent_bundles.h"

namespace hemafed::trainer {

// A picture as people name it: the path of its file, or the SHA-256 of its bytes in hexadecimal digits.
[[nodiscard]] Digest PictureNamed(FileSystem& files, const std::string& name);

// Where these pictures went, as statements to be made, none with more than kMaxWithdrawnItems.
[[nodiscard]] std::vector<WithdrawalReport> PlacesOf(const std::vector<SealedToOther>& sent,
                                                     const std::set<Digest>& pictures);

// Copies that went out under a plan that the lab does not run under now.
struct CopiesElsewhere {
  Digest plan;
  std::string recipient;
  std::size_t pictures = 0;
  bool operator==(const CopiesElsewhere&) const = default;
};

struct WithdrawalCount {
  std::vector<Digest> unknown;  // In no index, list of exemplars or bundle of this lab: not withdrawn.
  std::size_t fresh = 0;        // Pictures that had not been withdrawn before.
  std::size_t exemplars = 0;    // Removed from the lists of exemplars, of all plans together.
  std::size_t tiles = 0;        // Files of decoded pictures removed.
  std::size_t sent = 0;         // Copies that partners are told to remove, under the plan that this lab agreed to.
  std::size_t noted = 0;        // Copies of these pictures, under any plan, that had been noted by an earlier run.
  std::vector<CopiesElsewhere> elsewhere;  // The others; nobody is told before the agent runs under their plan again.
};
// `lab`: its folder.
WithdrawalCount WithdrawPictures(FileSystem& files, const Path& lab, const std::vector<Digest>& pictures);

}  // namespace hemafed::trainer
