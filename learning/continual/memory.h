// learning/continual/memory.h
// SPDX-License-Identifier: Apache-2.0
//
// The exemplars as pictures: the store (exemplar_store.h) holds names, the sources of the tasks so far hold the
// pictures; this joins the two, in the order of the store: ascending (domain, class), herding before uncertainty.
//
// Errors: Error(kNotFound) if a stored picture is in none of its domain's sources.
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/continual/exemplar_store.h"
#include "learning/continual/picture_view.h"

namespace hemafed::learning {

// Which stored picture; a picture may be stored once for each domain it occurs in.
struct ExemplarKey {
  std::string domain;
  std::int64_t label = 0;  // class index of the study
  Digest picture;
  auto operator<=>(const ExemplarKey&) const = default;  // NOLINT(modernize-use-nullptr): as in sha256.h
};

struct Memory {
  std::vector<ExemplarKey> keys;  // key i names picture i of the view
  PictureView view;
};

// Exemplars of a batch: items are places in Memory::keys.
struct MemoryBatch {
  Batch batch;
  std::vector<std::uint32_t> items;
};

struct MemorySourceOf {
  std::string domain;
  BatchSource* source = nullptr;
};

// `class_of_row[r]`: the class of the study that head row r stands for. A picture is looked up in the sources of its
// domain, first to last.
[[nodiscard]] Memory BuildMemory(const ExemplarStore& store, const std::vector<MemorySourceOf>& sources,
                                 const std::vector<std::int64_t>& class_of_row);

}  // namespace hemafed::learning
