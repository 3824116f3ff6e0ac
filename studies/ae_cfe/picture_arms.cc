// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/picture_arms.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/report/scatter_chart.h"
#include "common/sha256.h"
#include "learning/data/label_map.h"
#include "learning/models/model_file.h"

namespace hemafed::studies {

namespace {

using learning::DomainFeatures;
using learning::DomainPart;
using learning::DomainPictures;

// Pictures a forward pass; activations of 32 pictures of 224 px take some 200 MB.
constexpr std::size_t kTrunkBatch = 32;

std::uint64_t PicturesOf(const std::vector<DomainFeatures>& domains) {
  std::uint64_t sum = 0;
  for (const DomainFeatures& domain : domains) sum += domain.labels.size();
  return sum;
}

// An arm over tiles: opens all domains, fills row after row.
class TileArm : public FeatureSource {
 public:
  TileArm(ArmChoice choice, StudyPictures& pictures) : choice_(std::move(choice)), pictures_(&pictures) {}

  [[nodiscard]] const ArmDescription& description() const override { return choice_.description; }

  [[nodiscard]] std::vector<DomainFeatures> Extract(std::uint64_t, const ArmTalk& talk) override {
    std::vector<DomainFeatures> domains;
    for (std::size_t d = 0; d < pictures_->study().domains.size(); ++d)
      domains.push_back(pictures_->Frame(d, pictures_->Open(d, choice_.side)));
    for (const DomainFeatures& domain : domains) {
      if (domain.labels.size() * Columns() <= learning::kMaxFeatureValues) continue;
      throw Error(ErrorCode::kInvalidInput, "arm " + description().name + ": " + std::to_string(domain.labels.size()) +
                                                " pictures of " + domain.domain + " with " + std::to_string(Columns()) +
                                                " features each do not fit into memory; choose a smaller side");
    }
    const std::uint64_t total = PicturesOf(domains);
    std::uint64_t before = 0;
    for (std::size_t d = 0; d < domains.size(); ++d) {
      const DomainPictures& source = pictures_->Open(d, choice_.side);
      domains[d].features = learning::FeatureMatrix(domains[d].labels.size(), Columns());
      Fill(source, pictures_->PartOf(source).positions, domains[d].features, [&](std::uint64_t done) {
        talk(description().name + ": features of " + domains[d].domain, before + done, total);
      });
      before += domains[d].labels.size();
    }
    return domains;
  }

 protected:
  using Done = std::function<void(std::uint64_t)>;
  [[nodiscard]] virtual std::size_t Columns() const = 0;
  virtual void Fill(const DomainPictures& source, const std::vector<std::uint32_t>& positions,
                    learning::FeatureMatrix& features, const Done& done) = 0;

  ArmChoice choice_;
  StudyPictures* pictures_;
};

class FlattenedArm final : public TileArm {
 public:
  using TileArm::TileArm;

  [[nodiscard]] std::string MadeFrom(std::uint64_t) override {
    return "flattened 1, side " + std::to_string(choice_.side) + ", " + pictures_->DigestText(choice_.side);
  }

 protected:
  [[nodiscard]] std::size_t Columns() const override { return std::size_t{choice_.side} * choice_.side * 3; }
  void Fill(const DomainPictures& source, const std::vector<std::uint32_t>& positions,
            learning::FeatureMatrix& features, const Done& done) override {
    for (std::size_t row = 0; row < positions.size(); ++row) {
      const cv::Mat tile = source.Tile(positions[row]);
      std::copy(tile.data, tile.data + features.columns, features.Row(row).begin());
      done(row + 1);
    }
  }
};

class TrunkArm final : public TileArm {
 public:
  TrunkArm(FileSystem& files, ArmChoice choice, StudyPictures& pictures)
      : TileArm(std::move(choice), pictures),
        model_(learning::LoadModel(files, choice_.weights)),
        weights_(DigestOfFile(files, choice_.weights)) {
    if (learning::InputChannels(model_.architecture()) != 3) {
      throw Error(ErrorCode::kInvalidInput, choice_.weights.string() + " is a network that sees latents, not pictures");
    }
  }

  [[nodiscard]] std::string MadeFrom(std::uint64_t) override {
    return "trunk 1, " + std::string(learning::ArchitectureName(model_.architecture())) + ", weights " +
           weights_.Hex() + ", side " + std::to_string(choice_.side) + ", " + pictures_->DigestText(choice_.side);
  }

 protected:
  [[nodiscard]] std::size_t Columns() const override { return static_cast<std::size_t>(model_.feature_width()); }
  void Fill(const DomainPictures& source, const std::vector<std::uint32_t>& positions,
            learning::FeatureMatrix& features, const Done& done) override {
    const at::NoGradGuard no_gradients;
    const auto batches = source.Batches(positions);
    for (std::size_t first = 0; first < positions.size(); first += kTrunkBatch) {
      std::vector<std::uint32_t> indices;
      for (std::size_t i = first; i < std::min(first + kTrunkBatch, positions.size()); ++i)
        indices.push_back(static_cast<std::uint32_t>(i));
      const at::Tensor values =
          model_.Features(batches->Get(indices, std::nullopt).images).to(at::kCPU, at::kFloat).contiguous();
      const float* from = values.const_data_ptr<float>();
      std::copy(from, from + values.numel(), features.Row(first).begin());
      done(first + indices.size());
    }
  }

 private:
  learning::Classifier model_;
  Digest weights_;
};

class FilesArm final : public FeatureSource {
 public:
  FilesArm(FileSystem& files, ArmChoice choice, StudyPictures& pictures)
      : files_(&files), choice_(std::move(choice)), pictures_(&pictures) {}

  [[nodiscard]] const ArmDescription& description() const override { return choice_.description; }
  [[nodiscard]] std::string MadeFrom(std::uint64_t) override {
    Sha256 hash;
    for (const AeCfeDomainChoice& domain : pictures_->study().domains)
      hash.Update(DigestOfFile(*files_, FileOf(domain)).bytes);
    return "files 1, " + hash.Finish().Hex();
  }
  [[nodiscard]] std::vector<DomainFeatures> Extract(std::uint64_t, const ArmTalk& talk) override {
    std::vector<DomainFeatures> domains;
    for (std::size_t d = 0; d < pictures_->study().domains.size(); ++d) {
      const AeCfeDomainChoice& domain = pictures_->study().domains[d];
      domains.push_back(learning::LoadFeatures(*files_, FileOf(domain)));
      // Rows of other pictures, or test pictures on the training side, would be scored as if nothing were wrong.
      const DomainFeatures frame = pictures_->Frame(d, pictures_->Open(d, learning::kMinTileSide));
      const DomainFeatures& read = domains.back();
      if (read.classes != frame.classes || read.labels != frame.labels || read.test != frame.test) {
        throw Error(ErrorCode::kInvalidInput,
                    FileOf(domain).string() + " has other classes, labels or test pictures than the study's " +
                        domain.name +
                        ": rows must be the pictures in ascending order of their SHA-256, split as the "
                        "study splits them");
      }
      talk(description().name + ": read " + domain.name, domains.size(), pictures_->study().domains.size());
    }
    return domains;
  }

 private:
  [[nodiscard]] Path FileOf(const AeCfeDomainChoice& domain) const {
    return choice_.folder / (domain.name + ".safetensors");
  }

  FileSystem* files_;
  ArmChoice choice_;
  StudyPictures* pictures_;
};

}  // namespace

StudyPictures::StudyPictures(FileSystem& files, const AeCfeFile& study, Path data_folder, Path cache_folder,
                             ArmTalk talk)
    : files_(&files),
      study_(&study),
      data_folder_(std::move(data_folder)),
      cache_folder_(std::move(cache_folder)),
      talk_(std::move(talk)) {
  for (const AeCfeDomainChoice& domain : study.domains) {
    const auto classes = learning::LabelMap::Load(files, domain.labels).classes();
    if (classes_.empty()) classes_ = classes;
    if (classes != classes_)
      throw Error(ErrorCode::kInvalidInput, "the label map of " + domain.name + " has other classes than that of " +
                                                study.domains.front().name + "; all domains need the same ones");
  }
  if (study.map && classes_.size() > report::kMaxScatterKinds) {
    throw Error(ErrorCode::kInvalidInput, "a map shows at most " + std::to_string(report::kMaxScatterKinds) +
                                              " classes that can be told apart, the label maps have " +
                                              std::to_string(classes_.size()) + "; take the table [map] out");
  }
  files.CreateFolders(cache_folder_);
}

const DomainPictures& StudyPictures::Open(std::size_t domain, std::uint32_t side) {
  auto& pictures = open_[{domain, side}];
  if (!pictures) {
    const AeCfeDomainChoice& choice = study_->domains.at(domain);
    const learning::DomainSource source{
        .name = choice.name,
        .folder = data_folder_ / choice.folder,
        .layout = choice.layout == "manifest" ? PictureLayout::kManifest : PictureLayout::kFolders,
        .labels = choice.labels,
        .crop = choice.crop};
    pictures = std::make_unique<DomainPictures>(*files_, source, cache_folder_, classes_, side, AugmentationPlan{},
                                                [&](std::uint64_t done, std::uint64_t total) {
                                                  talk_(choice.name + ": reading pictures", done, total);
                                                  return true;
                                                });
  }
  return *pictures;
}

StudyPictures::Part StudyPictures::PartOf(const DomainPictures& pictures) const {
  const auto train = pictures.Positions(study_->validation ? DomainPart::kFit : DomainPart::kTrain);
  const auto test = pictures.Positions(study_->validation ? DomainPart::kValidation : DomainPart::kTest);
  Part part;
  std::merge(train.begin(), train.end(), test.begin(), test.end(), std::back_inserter(part.positions));
  for (const std::uint32_t position : part.positions)
    part.test.push_back(std::binary_search(test.begin(), test.end(), position) ? 1 : 0);
  return part;
}

DomainFeatures StudyPictures::Frame(std::size_t domain, const DomainPictures& pictures) const {
  Part part = PartOf(pictures);
  DomainFeatures frame;
  frame.domain = study_->domains.at(domain).name;
  frame.classes = classes_;
  for (const std::uint32_t position : part.positions)
    frame.labels.push_back(static_cast<std::uint32_t>(pictures.Label(position)));
  frame.test = std::move(part.test);
  return frame;
}

StudyPictures::Identity StudyPictures::Identities(std::size_t domain) {
  // Any side will do: the index is the same. One that is open already costs nothing.
  const auto opened = std::find_if(open_.begin(), open_.end(), [&](const auto& item) {
    return item.first.first == domain && item.second != nullptr;
  });
  const DomainPictures& pictures = opened != open_.end() ? *opened->second : Open(domain, learning::kMinTileSide);
  Identity identity;
  for (const std::uint32_t position : PartOf(pictures).positions) {
    const learning::PictureEntry& entry = pictures.index().pictures[position];
    identity.files.push_back(entry.file);
    identity.groups.push_back(entry.group);
  }
  return identity;
}

std::string StudyPictures::DigestText(std::uint32_t side) {
  Sha256 hash;
  for (std::size_t d = 0; d < study_->domains.size(); ++d) {
    hash.Update(learning::IndexDigest(Open(d, side).index()).bytes);
    hash.Update(std::to_string(study_->domains[d].crop) + " ");
  }
  return std::string(study_->validation ? "validation" : "test") + " of pictures " + hash.Finish().Hex();
}

std::unique_ptr<FeatureSource> MakePictureArm(FileSystem& files, const ArmChoice& choice, StudyPictures& pictures) {
  switch (choice.kind) {
    case ArmKind::kFlattened: return std::make_unique<FlattenedArm>(choice, pictures);
    case ArmKind::kTrunk: return std::make_unique<TrunkArm>(files, choice, pictures);
    case ArmKind::kFiles: return std::make_unique<FilesArm>(files, choice, pictures);
    case ArmKind::kDetector:
    case ArmKind::kAutoencoder: break;
  }
  throw Error(ErrorCode::kInternal, "an arm of another kind");
}

}  // namespace hemafed::studies
