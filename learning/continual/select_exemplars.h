// learning/continual/select_exemplars.h
// SPDX-License-Identifier: Apache-2.0
//
// Chooses the exemplars of one domain after training on a task: for each given class one list, by the model that the
// task ended with, from the un-augmented pictures of this domain's task only. Exemplars of other domains must not be in
// `source`: they would move the class mean (published-systems 2.3).
//
// Errors: those of ScorePictures and ChooseExemplars; kInvalidInput if a class has no head row.
// Thread-safety: one thread at a time per source.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "learning/continual/batch_source.h"
#include "learning/continual/exemplar_store.h"
#include "learning/continual/uncertainty.h"
#include "learning/models/classifier.h"

namespace hemafed::learning {

struct SelectionSettings {
  UncertaintySettings uncertainty;
  HerdingVariant herding;
  ExemplarMix mix = ExemplarMix::kBoth;
};

// With a mix other than kBoth only what it needs is computed. Random choices follow from
// DeriveSeed(uncertainty.seed, "exemplars of <domain> class <label>").

// Lists for `labels` in their order, each with room for m pictures; a class without a picture gives an empty list.
[[nodiscard]] std::vector<ExemplarList> SelectExemplars(const Classifier& model, BatchSource& source,
                                                        const std::string& domain, const std::string& source_name,
                                                        std::span<const std::uint32_t> labels, std::size_t m,
                                                        const SelectionSettings& settings,
                                                        const ScoredPictures& on_pictures = {});

}  // namespace hemafed::learning
