// learning/continual/exemplar_store.h
// SPDX-License-Identifier: Apache-2.0
//
// Which pictures a site keeps for rehearsal: for each (domain, class) two sorted lists, half chosen by herding and half
// by uncertainty (UACL; published-systems 2.3). The store holds names, not pictures: the SHA-256 of a picture's file
// and the source it was imported from.
//
//     m = room per (domain, class): fixed by the plan, or floor(K / number of lists) for a budget K
//     herding list: the first ceil(m/2) choices; uncertainty list: the floor(m/2) most uncertain of the rest
//
// Herding chooses first, then the rest is ranked, so no picture is stored twice. A class with fewer than m pictures
// gives all of them; room that stays free is not given to others. When m shrinks, both lists are cut at their ends and
// never ranked again: one merged list would lose its uncertain half first. With a budget the stored pictures never
// exceed K.
//
// The store is a value; saving it sealed is the caller's business (common/sealed_file.h).
//
// Errors: Error(kInvalidInput) for bad JSON or arguments, kConflict for a list that exists already.
// Thread-safety: value types and free functions without state. No LibTorch here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"
#include "learning/continual/herding.h"

namespace hemafed::learning {

// Largest m and largest stored total. The paper keeps 1,000 pictures over 36 lists.
inline constexpr std::size_t kMaxExemplars = 100'000;
// Most (domain, class) lists: 64 domains with 64 classes each.
inline constexpr std::size_t kMaxExemplarLists = 4096;
inline constexpr std::size_t kMaxExemplarNameBytes = 128;  // of a domain or a source
// Largest JSON form in bytes: every exemplar allowed, each with a name of the largest size.
inline constexpr std::size_t kMaxExemplarStoreBytes = 32u << 20;

struct Exemplar {
  Digest picture;
  std::string source;  // the import it came from; not a path
  bool operator==(const Exemplar&) const = default;
};

struct ExemplarList {
  std::string domain;
  std::uint32_t label = 0;            // class index of the plan
  std::vector<Exemplar> herding;      // in the order of choice
  std::vector<Exemplar> uncertainty;  // most uncertain first
  bool operator==(const ExemplarList&) const = default;
};

struct ExemplarStore {
  std::vector<ExemplarList> lists;  // ascending by (domain, label), each pair once
  bool operator==(const ExemplarStore&) const = default;
};

// How the m pictures of a list are chosen. The names fit the published methods: UACL takes both halves, iCaRL herding
// alone; the others are for comparison. Random choices are kept in the herding list, in the order of their draw.
enum class ExemplarMix : std::uint8_t { kBoth, kHerding, kUncertainty, kRandom };

struct ExemplarShares {
  std::size_t herding;      // kBoth: ceil(m / 2)
  std::size_t uncertainty;  // kBoth: floor(m / 2)
};
[[nodiscard]] ExemplarShares SharesOf(std::size_t m, ExemplarMix mix = ExemplarMix::kBoth);

// How much room a list has.
struct ExemplarLimit {
  enum class Kind : std::uint8_t { kPerList, kBudget, kBytes };
  Kind kind;
  std::size_t value;  // m, or K, or the bytes that all stored pictures may take
  std::size_t item_bytes =
      0;  // kBytes: of one stored picture, for instance its tile (3 side^2); K = value / item_bytes
};
// m for `lists` lists (those stored plus those about to be added, from the classes declared at task opening). Throws
// kInvalidInput above kMaxExemplars, or for a budget in bytes without the size of an item. A budget smaller than the
// number of lists gives 0: nothing is kept.
[[nodiscard]] std::size_t RoomPerList(const ExemplarLimit& limit, std::size_t lists);

// Rows chosen from one class: see above. `uncertainty` has one value a row of `features` (kHerding and kRandom do not
// look at it; it may then be empty). `seed` is for kRandom.
struct ExemplarChoice {
  std::vector<std::size_t> herding;
  std::vector<std::size_t> uncertainty;
};
[[nodiscard]] ExemplarChoice ChooseExemplars(const FeatureRows& features, std::span<const double> uncertainty,
                                             std::size_t m, HerdingVariant variant,
                                             ExemplarMix mix = ExemplarMix::kBoth, std::uint64_t seed = 0);

// Adds a list in its place. kConflict if the (domain, label) is there already: a class is chosen once per domain.
void AddList(ExemplarStore& store, ExemplarList list);
// Cuts every list to the shares of m.
void Reduce(ExemplarStore& store, std::size_t m, ExemplarMix mix = ExemplarMix::kBoth);
// Removes a picture wherever it is stored, for instance because a patient withdrew; returns how often it was there.
std::size_t Withdraw(ExemplarStore& store, const Digest& picture);
[[nodiscard]] std::size_t StoredCount(const ExemplarStore& store);

// Canonical JSON: sorted keys, no spaces. FromJson(ToJson(s)) == s, and every other text is refused.
[[nodiscard]] std::string ExemplarStoreToJson(const ExemplarStore& store);
[[nodiscard]] ExemplarStore ExemplarStoreFromJson(std::string_view text);

}  // namespace hemafed::learning
