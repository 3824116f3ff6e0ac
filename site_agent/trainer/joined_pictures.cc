// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/joined_pictures.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "learning/data/tile_batches.h"

namespace hemafed::trainer {

namespace {

struct Place {
  std::optional<std::uint32_t> own;  // Position in the lab's index; none: received.
  std::int64_t label = 0;
};

class JoinedPictures final : public learning::BatchSource {
 public:
  JoinedPictures(const learning::DomainPictures& lab, ReceivedPictures received, const std::map<Digest, Place>& places,
                 const Plan& plan)
      : lab_(lab),
        received_(std::move(received)),
        places_(places.begin(), places.end()),
        augmentation_(plan.augmentation),
        side_(plan.model.input_px) {}

  [[nodiscard]] std::size_t Size() const override { return places_.size(); }
  [[nodiscard]] std::int64_t Label(std::size_t index) const override { return places_.at(index).second.label; }
  [[nodiscard]] Digest PictureDigest(std::size_t index) const override { return places_.at(index).first; }

  [[nodiscard]] learning::Batch Get(std::span<const std::uint32_t> indices,
                                    const std::optional<learning::AugmentationKey>& augmentation) override {
    const auto read = [&](std::size_t k, std::span<std::uint8_t> tile) {
      const auto& [picture, place] = places_.at(indices[k]);
      if (place.own) {
        const cv::Mat own = lab_.Tile(*place.own);
        std::copy_n(own.data, tile.size(), tile.begin());
      } else {
        received_.ReadTile(picture, tile);
      }
      return place.label;
    };
    return learning::BatchOfTiles(indices.size(), side_, read, augmentation_, augmentation, {},
                                  learning::TileThreads::kCaller);
  }

 private:
  const learning::DomainPictures& lab_;
  ReceivedPictures received_;
  std::vector<std::pair<Digest, Place>> places_;
  AugmentationPlan augmentation_;
  std::uint32_t side_;
};

}  // namespace

std::unique_ptr<learning::BatchSource> JoinPictures(const learning::DomainPictures& lab,
                                                    const std::vector<std::uint32_t>& own, ReceivedPictures received,
                                                    const learning::ExemplarStore& lists, const Plan& plan) {
  std::map<Digest, Place> places;
  for (const std::uint32_t position : own) {
    places[lab.index().pictures[position].digest] = {.own = position, .label = lab.Label(position)};
  }
  for (const learning::ExemplarList& list : lists.lists) {
    for (const auto* part : {&list.herding, &list.uncertainty}) {
      for (const learning::Exemplar& exemplar : *part) {
        places.try_emplace(exemplar.picture, Place{.own = std::nullopt, .label = std::int64_t{list.label}});
      }
    }
  }
  return std::make_unique<JoinedPictures>(lab, std::move(received), places, plan);
}

}  // namespace hemafed::trainer
