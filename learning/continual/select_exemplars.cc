// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/select_exemplars.h"

#include <utility>

#include "common/error.h"
#include "common/random.h"

namespace hemafed::learning {

namespace {

std::vector<std::uint32_t> IndicesOf(const BatchSource& source, std::uint32_t label) {
  std::vector<std::uint32_t> indices;
  for (std::uint32_t i = 0; i < source.Size(); ++i) {
    if (source.Label(i) == std::int64_t{label}) indices.push_back(i);
  }
  return indices;
}

std::vector<Exemplar> Name(const BatchSource& source, const std::string& source_name,
                           const std::vector<std::uint32_t>& indices, const std::vector<std::size_t>& rows) {
  std::vector<Exemplar> exemplars;
  for (const std::size_t row : rows) exemplars.push_back({source.PictureDigest(indices[row]), source_name});
  return exemplars;
}

}  // namespace

std::vector<ExemplarList> SelectExemplars(const Classifier& model, BatchSource& source, const std::string& domain,
                                          const std::string& source_name, std::span<const std::uint32_t> labels,
                                          std::size_t m, const SelectionSettings& settings,
                                          const ScoredPictures& on_pictures) {
  std::vector<ExemplarList> lists;
  for (const std::uint32_t label : labels) {
    if (std::int64_t{label} >= model.classes()) {
      throw Error(ErrorCode::kInvalidInput, "cannot choose exemplars of class " + std::to_string(label) +
                                                ": the model knows " + std::to_string(model.classes()) + " classes");
    }
    const std::vector<std::uint32_t> indices = IndicesOf(source, label);
    UncertaintySettings scoring = settings.uncertainty;
    if (settings.mix == ExemplarMix::kHerding) scoring.passes = 0;
    FeatureRows features{indices.size(), static_cast<std::size_t>(model.feature_width()), {}};
    std::vector<double> uncertainty;
    if (settings.mix != ExemplarMix::kRandom) {
      PictureScores scores = ScorePictures(model, source, indices, scoring, on_pictures);
      features.values = std::move(scores.features);
      uncertainty = std::move(scores.uncertainty);
    }
    const std::uint64_t seed =
        DeriveSeed(settings.uncertainty.seed, "exemplars of " + domain + " class " + std::to_string(label));
    const ExemplarChoice choice = ChooseExemplars(features, uncertainty, m, settings.herding, settings.mix, seed);
    lists.push_back({domain, label, Name(source, source_name, indices, choice.herding),
                     Name(source, source_name, indices, choice.uncertainty)});
  }
  return lists;
}

}  // namespace hemafed::learning
