// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/memory.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/error.h"

namespace hemafed::learning {

Memory BuildMemory(const ExemplarStore& store, const std::vector<MemorySourceOf>& sources,
                   const std::vector<std::int64_t>& class_of_row) {
  // Only stored pictures are indexed: a study's sources are a hundred times larger.
  std::map<ExemplarKey, PictureRef> places;
  for (const ExemplarList& list : store.lists) {
    for (const auto* half : {&list.herding, &list.uncertainty}) {
      for (const Exemplar& exemplar : *half) {
        places.emplace(ExemplarKey{list.domain, std::int64_t{list.label}, exemplar.picture}, PictureRef{UINT32_MAX});
      }
    }
  }
  std::vector<BatchSource*> views;
  for (std::uint32_t s = 0; s < sources.size(); ++s) {
    BatchSource& source = *sources[s].source;
    views.push_back(&source);
    for (std::uint32_t i = 0; !places.empty() && i < source.Size(); ++i) {
      const auto found = places.find({sources[s].domain, source.Label(i), source.PictureDigest(i)});
      if (found != places.end() && found->second.source == UINT32_MAX) found->second = {s, i, 0};
    }
  }
  std::vector<ExemplarKey> keys;
  std::vector<PictureRef> pictures;
  for (const ExemplarList& list : store.lists) {
    const auto row = std::find(class_of_row.begin(), class_of_row.end(), std::int64_t{list.label});
    for (const auto* half : {&list.herding, &list.uncertainty}) {
      for (const Exemplar& exemplar : *half) {
        ExemplarKey key{list.domain, std::int64_t{list.label}, exemplar.picture};
        PictureRef place = places.at(key);
        if (place.source == UINT32_MAX || row == class_of_row.end()) {
          throw Error(ErrorCode::kNotFound, "exemplar " + exemplar.picture.Hex() + " of " + list.domain + "/" +
                                                std::to_string(list.label) +
                                                " is not among the pictures of its domain; give the learner the same "
                                                "pictures as before, or withdraw it");
        }
        place.row = row - class_of_row.begin();
        keys.push_back(std::move(key));
        pictures.push_back(place);
      }
    }
  }
  return {std::move(keys), PictureView(std::move(views), std::move(pictures))};
}

}  // namespace hemafed::learning
