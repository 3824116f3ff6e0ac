// studies/ae_cfe/picture_arms.h
// SPDX-License-Identifier: Apache-2.0
//
// The arms that need no training: the pictures' own pixels, the features of a network with imported weights, and
// feature files of another program. And the pictures that they share.
//
// Pixels are RGB 0..255. Flattened: rows of the picture, R G B for each pixel. Trunk: normalised as the weights expect
// (learning/data), mean over places of the last layer.
//
// Errors: those of DomainPictures, LoadModel and LoadFeatures; kInvalidInput for files that do not fit the study.
// Thread-safety: one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/file_system.h"
#include "learning/data/domain_pictures.h"
#include "learning/models/classifier.h"
#include "studies/ae_cfe/ae_cfe_file.h"
#include "studies/ae_cfe/feature_source.h"

namespace hemafed::studies {

// The study's domains as tiles of any side, each side opened when first asked for. `files`, `study` and `talk` are
// borrowed and must outlive the object.
class StudyPictures {
 public:
  StudyPictures(FileSystem& files, const AeCfeFile& study, Path data_folder, Path cache_folder, ArmTalk talk);

  [[nodiscard]] const AeCfeFile& study() const { return *study_; }
  // Of the label maps, which must agree; class index = position.
  [[nodiscard]] const std::vector<std::string>& classes() const { return classes_; }
  [[nodiscard]] const learning::DomainPictures& Open(std::size_t domain, std::uint32_t side);
  // Positions in the domain's index that take part, ascending, and whether each is on the test side. With
  // part = "validation" the validation fifth takes the test pictures' place.
  struct Part {
    std::vector<std::uint32_t> positions;
    std::vector<std::uint8_t> test;
  };
  [[nodiscard]] Part PartOf(const learning::DomainPictures& pictures) const;
  // Domain, classes, labels and split, features left empty.
  [[nodiscard]] learning::DomainFeatures Frame(std::size_t domain, const learning::DomainPictures& pictures) const;
  // Name and group of each picture that takes part, in the order of the features' rows.
  struct Identity {
    std::vector<std::string> files;
    std::vector<std::string> groups;  // empty: stands alone
  };
  [[nodiscard]] Identity Identities(std::size_t domain);
  // Digest over the domains' indexes at this side.
  [[nodiscard]] std::string DigestText(std::uint32_t side);

 private:
  FileSystem* files_;
  const AeCfeFile* study_;
  Path data_folder_, cache_folder_;
  ArmTalk talk_;
  std::vector<std::string> classes_;
  std::map<std::pair<std::size_t, std::uint32_t>, std::unique_ptr<learning::DomainPictures>> open_;
};

// Of the kinds kFlattened, kTrunk and kFiles. `pictures` is borrowed and must outlive the arm.
[[nodiscard]] std::unique_ptr<FeatureSource> MakePictureArm(FileSystem& files, const ArmChoice& choice,
                                                            StudyPictures& pictures);

}  // namespace hemafed::studies
