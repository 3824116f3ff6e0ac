// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/exemplar_store.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "common/error.h"
#include "common/json_fields.h"
#include "common/random.h"

namespace hemafed::learning {

using nlohmann::json;

namespace {

constexpr const char* kFormat = "hemafed.exemplars.1";

[[noreturn]] void Fail(const std::string& message) { throw Error(ErrorCode::kInvalidInput, message); }

auto KeyOf(const ExemplarList& list) { return std::tie(list.domain, list.label); }
bool Before(const ExemplarList& a, const ExemplarList& b) { return KeyOf(a) < KeyOf(b); }

std::string NameOf(const ExemplarList& list) { return list.domain + "/" + std::to_string(list.label); }

json ToJson(const std::vector<Exemplar>& exemplars) {
  json items = json::array();
  for (const Exemplar& exemplar : exemplars) {
    items.push_back({{"picture", exemplar.picture.Hex()}, {"source", exemplar.source}});
  }
  return items;
}

std::vector<Exemplar> ReadExemplars(JsonFields& fields, const std::string& key) {
  std::vector<Exemplar> exemplars;
  for (JsonFields& item : fields.Objects(key, kMaxExemplars)) {
    exemplars.push_back({item.Sha256Digest("picture"), item.Text("source", kMaxExemplarNameBytes)});
    item.RequireAllRead();
  }
  return exemplars;
}

// What holds for every list, wherever it comes from.
void CheckList(const ExemplarList& list) {
  if (list.domain.empty() || list.domain.size() > kMaxExemplarNameBytes) {
    Fail("exemplars: the name of a domain must have 1 to " + std::to_string(kMaxExemplarNameBytes) + " bytes");
  }
  std::set<Digest> seen;
  for (const auto* half : {&list.herding, &list.uncertainty}) {
    for (const Exemplar& exemplar : *half) {
      if (exemplar.source.size() > kMaxExemplarNameBytes) Fail("exemplars: the name of a source is too long");
      if (!seen.insert(exemplar.picture).second) {
        Fail("exemplars: picture " + exemplar.picture.Hex() + " is twice in list " + NameOf(list));
      }
    }
  }
}

}  // namespace

ExemplarShares SharesOf(std::size_t m, ExemplarMix mix) {
  if (mix == ExemplarMix::kBoth) return {m - m / 2, m / 2};
  if (mix == ExemplarMix::kUncertainty) return {0, m};
  return {m, 0};
}

std::size_t RoomPerList(const ExemplarLimit& limit, std::size_t lists) {
  std::size_t value = limit.value;
  if (limit.kind == ExemplarLimit::Kind::kBytes) {
    if (limit.item_bytes == 0) Fail("exemplars: a budget in bytes needs the bytes of one picture");
    value /= limit.item_bytes;
  }
  if (value > kMaxExemplars) {
    Fail("exemplars: " + std::to_string(value) + " are more than " + std::to_string(kMaxExemplars));
  }
  if (limit.kind == ExemplarLimit::Kind::kPerList) return value;
  return lists == 0 ? value : value / lists;
}

ExemplarChoice ChooseExemplars(const FeatureRows& features, std::span<const double> uncertainty, std::size_t m,
                               HerdingVariant variant, ExemplarMix mix, std::uint64_t seed) {
  const ExemplarShares shares = SharesOf(std::min(m, kMaxExemplars), mix);
  ExemplarChoice choice;
  if (mix == ExemplarMix::kRandom) {
    if (features.rows > UINT32_MAX) Fail("exemplars: too many pictures in one class");
    RandomStream random(seed);
    for (const std::uint32_t row : Permutation(static_cast<std::uint32_t>(features.rows), random)) {
      if (choice.herding.size() < shares.herding) choice.herding.push_back(row);
    }
    return choice;
  }
  std::vector<bool> taken(features.rows, false);
  for (const HerdingChoice& herded : Herd(features, shares.herding, variant)) {
    choice.herding.push_back(herded.row);
    taken[herded.row] = true;
  }
  if (mix == ExemplarMix::kHerding) return choice;
  if (uncertainty.size() != features.rows) Fail("exemplars: there is not one uncertainty for each row of features");
  if (!std::all_of(uncertainty.begin(), uncertainty.end(), [](double value) { return std::isfinite(value); })) {
    Fail("exemplars: an uncertainty is not a finite number; the model is broken");
  }
  std::vector<std::size_t> rest(features.rows);
  std::iota(rest.begin(), rest.end(), std::size_t{0});
  std::erase_if(rest, [&](std::size_t row) { return taken[row]; });
  // Stable: equally uncertain pictures stay in the order of their digests.
  std::stable_sort(rest.begin(), rest.end(),
                   [&](std::size_t a, std::size_t b) { return uncertainty[a] > uncertainty[b]; });
  rest.resize(std::min(rest.size(), shares.uncertainty));
  choice.uncertainty = std::move(rest);
  return choice;
}

void AddList(ExemplarStore& store, ExemplarList list) {
  CheckList(list);
  if (store.lists.size() >= kMaxExemplarLists) {
    Fail("exemplars: more than " + std::to_string(kMaxExemplarLists) + " lists");
  }
  if (StoredCount(store) + list.herding.size() + list.uncertainty.size() > kMaxExemplars) {
    Fail("exemplars: more than " + std::to_string(kMaxExemplars) + " pictures in all");
  }
  const auto place = std::lower_bound(store.lists.begin(), store.lists.end(), list, Before);
  if (place != store.lists.end() && KeyOf(*place) == KeyOf(list)) {
    throw Error(ErrorCode::kConflict, "exemplars of " + NameOf(list) + " were chosen already");
  }
  store.lists.insert(place, std::move(list));
}

void Reduce(ExemplarStore& store, std::size_t m, ExemplarMix mix) {
  const ExemplarShares shares = SharesOf(m, mix);
  for (ExemplarList& list : store.lists) {
    if (list.herding.size() > shares.herding) list.herding.resize(shares.herding);
    if (list.uncertainty.size() > shares.uncertainty) list.uncertainty.resize(shares.uncertainty);
  }
}

std::size_t Withdraw(ExemplarStore& store, const Digest& picture) {
  std::size_t removed = 0;
  const auto is_it = [&](const Exemplar& exemplar) { return exemplar.picture == picture; };
  for (ExemplarList& list : store.lists) {
    removed += std::erase_if(list.herding, is_it) + std::erase_if(list.uncertainty, is_it);
  }
  return removed;
}

std::size_t StoredCount(const ExemplarStore& store) {
  std::size_t count = 0;
  for (const ExemplarList& list : store.lists) count += list.herding.size() + list.uncertainty.size();
  return count;
}

std::string ExemplarStoreToJson(const ExemplarStore& store) {
  json lists = json::array();
  for (const ExemplarList& list : store.lists) {
    lists.push_back({{"domain", list.domain},
                     {"herding", ToJson(list.herding)},
                     {"label", list.label},
                     {"uncertainty", ToJson(list.uncertainty)}});
  }
  return json{{"format", kFormat}, {"lists", std::move(lists)}}.dump();
}

ExemplarStore ExemplarStoreFromJson(std::string_view text) {
  if (text.size() > kMaxExemplarStoreBytes) {
    Fail("exemplars: more than " + std::to_string(kMaxExemplarStoreBytes) + " bytes of JSON");
  }
  const json parsed = ParseJsonObject(text, "exemplars");
  JsonFields fields(parsed, "exemplars");
  if (fields.Text("format", 64) != kFormat) fields.Fail("format", std::string("is not ") + kFormat);
  ExemplarStore store;
  for (JsonFields& item : fields.Objects("lists", kMaxExemplarLists)) {
    ExemplarList list;
    list.domain = item.Text("domain", kMaxExemplarNameBytes);
    list.label = static_cast<std::uint32_t>(item.Unsigned("label", UINT32_MAX));
    list.herding = ReadExemplars(item, "herding");
    list.uncertainty = ReadExemplars(item, "uncertainty");
    item.RequireAllRead();
    AddList(store, std::move(list));
  }
  fields.RequireAllRead();
  // One store has one text: lists out of order, or spaces, are somebody else's writing.
  if (ExemplarStoreToJson(store) != text) Fail("exemplars: the JSON is not in canonical form");
  return store;
}

}  // namespace hemafed::learning
