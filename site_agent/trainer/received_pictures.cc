// SPDX-License-Identifier: Apache-2.0
#include "site_agent/trainer/received_pictures.h"

#include <algorithm>
#include <set>

#include "common/error.h"
#include "site_agent/trainer/vault.h"

namespace hemafed::trainer {

std::string SourceInBundle(const Digest& bundle, std::uint64_t place) {
  return bundle.Hex() + "/" + std::to_string(place);
}

ReceivedPictures::ReceivedPictures(FileSystem& files, const Path& vault, const Digest& plan)
    : files_(files),
      folder_(vault / ("received-" + plan.Hex().substr(0, 16))),
      plan_(plan),
      key_(LoadOrCreateSealKey(files, vault / std::string(kVaultKeyName))) {}

std::string ReceivedPictures::TileContext(const Digest& picture) const {
  return "received picture " + picture.Hex() + " of plan " + plan_.Hex();
}

learning::ExemplarStore ReceivedPictures::Lists() const {
  if (!files_.Exists(IndexFile())) return {};
  const Bytes plain = ReadSealedFile(files_, IndexFile(), key_, "received lists of plan " + plan_.Hex());
  return learning::ExemplarStoreFromJson(AsText(plain));
}

void ReceivedPictures::ReadTile(const Digest& picture, std::span<std::uint8_t> out) const {
  const Bytes tile = ReadSealedFile(files_, TileFile(picture), key_, TileContext(picture));
  if (tile.size() != out.size()) {
    throw Error(ErrorCode::kCorrupt, TileFile(picture).string() + " holds a tile of another size than the plan's");
  }
  std::copy(tile.begin(), tile.end(), out.begin());
}

void ReceivedPictures::PutTile(const Digest& picture, ByteView tile) const {
  files_.CreateFolders(folder_, 0700);
  WriteSealedFile(files_, TileFile(picture), key_, TileContext(picture), tile);
}

std::size_t ReceivedPictures::Remove(const std::string& sender, const Digest& bundle,
                                     const std::vector<std::uint64_t>& places) const {
  std::set<std::string> sources;
  for (const std::uint64_t place : places) sources.insert(SourceInBundle(bundle, place));
  learning::ExemplarStore lists = Lists();
  std::size_t removed = 0;
  for (learning::ExemplarList& list : lists.lists) {
    if (list.domain != sender) continue;
    for (auto* part : {&list.herding, &list.uncertainty}) {
      removed += std::erase_if(*part, [&](const learning::Exemplar& one) { return sources.contains(one.source); });
    }
  }
  Settle(lists);
  return removed;
}

void ReceivedPictures::Settle(const learning::ExemplarStore& lists) const {
  files_.CreateFolders(folder_, 0700);
  WriteSealedFile(files_, IndexFile(), key_, "received lists of plan " + plan_.Hex(),
                  AsBytes(learning::ExemplarStoreToJson(lists)));
  std::set<std::string> named{IndexFile().filename().string()};
  for (const learning::ExemplarList& list : lists.lists) {
    for (const auto* part : {&list.herding, &list.uncertainty}) {
      for (const learning::Exemplar& exemplar : *part) named.insert(TileFile(exemplar.picture).filename().string());
    }
  }
  for (const std::string& name : files_.List(folder_)) {
    if (!named.contains(name)) files_.Remove(folder_ / name);
  }
}

}  // namespace hemafed::trainer
