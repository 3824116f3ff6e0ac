// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "studies/report/thumbnail.h"
#include "studies/uacl/study_tables.h"

namespace hemafed::studies {

namespace {

constexpr int kThumbnailSide = 72;
// Rows of one chart; more go into the next.
constexpr std::size_t kRowsOfAChart = 15;
// Pictures shown of each half of a list; the first ones are the ones that stay longest.
constexpr std::size_t kShownOfEachHalf = 10;

void AddHalf(GalleryRow& row, const std::vector<learning::Exemplar>& half, const std::string& rule,
             const learning::DomainPictures& domain, const std::map<Digest, std::uint32_t>& positions) {
  for (std::size_t i = 0; i < std::min(half.size(), kShownOfEachHalf); ++i) {
    const auto position = positions.find(half[i].picture);
    if (position == positions.end()) continue;  // Withdrawn from the folder since.
    row.pictures.push_back({.file = Thumbnail(domain.Tile(position->second), kThumbnailSide),
                            .caption = rule + " " + std::to_string(i + 1),
                            .detail = half[i].picture.Hex().substr(0, 8)});
  }
}

}  // namespace

std::vector<GalleryChart> ExemplarGalleries(const ExperimentResults& results, const MethodResults& method) {
  std::vector<GalleryChart> charts;
  std::map<std::string, std::map<Digest, std::uint32_t>> positions;  // by domain
  for (const learning::ExemplarList& list : method.results.front().exemplars.lists) {
    const learning::DomainPictures& domain = results.data->Domain(list.domain);
    auto& of_domain = positions[list.domain];
    if (of_domain.empty()) {
      for (std::uint32_t i = 0; i < domain.index().pictures.size(); ++i) {
        of_domain[domain.index().pictures[i].digest] = i;
      }
    }
    GalleryRow row{.name = list.domain + ": " + results.study->classes.at(list.label),
                   .detail = std::to_string(list.herding.size()) + " by herding, " +
                             std::to_string(list.uncertainty.size()) + " by uncertainty",
                   .pictures = {}};
    AddHalf(row, list.herding, "mean", domain, of_domain);
    AddHalf(row, list.uncertainty, "unsure", domain, of_domain);
    if (charts.empty() || charts.back().rows.size() == kRowsOfAChart) {
      charts.push_back({.title = method.name + ": exemplars kept, seed " + std::to_string(method.seeds.front()),
                        .rows = {},
                        .tile = kThumbnailSide});
    }
    charts.back().rows.push_back(std::move(row));
  }
  return charts;
}

}  // namespace hemafed::studies
