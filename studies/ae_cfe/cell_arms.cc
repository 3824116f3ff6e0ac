// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/cell_arms.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "learning/continual/checkpoint.h"
#include "learning/features/autoencoder/alignment.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/autoencoder_training.h"
#include "learning/features/autoencoder/cell_batches.h"
#include "learning/features/extractor/cell_cache.h"

namespace hemafed::studies {

namespace {

using learning::AutoencoderSettings;
using learning::AutoencoderTraining;
using learning::CellCache;
using learning::CellOutcome;
using learning::DomainFeatures;
using learning::FeatureCache;

// Cells between two checkpoints: about a minute on two cores.
constexpr std::uint32_t kCellsPerCheckpoint = 320;

// The cells of all pictures of the study, in the order of its domains.
struct StudyCells {
  CellCache cache;
  Path file;
  std::vector<std::uint8_t> test;  // of each picture, whether it is on the test side
};

class CellArm : public FeatureSource {
 public:
  CellArm(FileSystem& files, const ArmChoice& choice, StudyPictures& pictures, Path work)
      : files_(&files),
        choice_(choice),
        pictures_(&pictures),
        work_(std::move(work)),
        detector_(DigestOf(files, choice)) {}

  [[nodiscard]] const ArmDescription& description() const override { return choice_.description; }

 protected:
  [[nodiscard]] std::string CellsMadeFrom() {
    return "detector " + detector_.Hex() + ", side " + std::to_string(choice_.side) +
           (choice_.cells.crop_to_box ? ", cell, " : ", picture, ") + pictures_->DigestText(choice_.side);
  }

  [[nodiscard]] StudyCells OpenCells(const ArmTalk& talk) {
    const auto describer = learning::LoadCellDescriber(*files_, choice_.cells.detector, choice_.side);
    std::vector<learning::DomainCells> sources;
    std::vector<std::uint8_t> test;
    for (std::size_t d = 0; d < pictures_->study().domains.size(); ++d) {
      const learning::DomainPictures& opened = pictures_->Open(d, choice_.side);
      StudyPictures::Part part = pictures_->PartOf(opened);
      sources.push_back({&opened, std::move(part.positions), static_cast<std::uint16_t>(d)});
      test.insert(test.end(), part.test.begin(), part.test.end());
    }
    files_->CreateFolders(work_ / "cells");
    Path file = work_ / "cells" / (Sha256Of(CellsMadeFrom()).Hex().substr(0, 16) + ".hfc");
    CellCache cache = learning::OpenCellCache(
        *files_, file, *describer, sources,
        {.storage = learning::FeatureStorage::kFloat16, .take_whole = true, .crop_to_box = choice_.cells.crop_to_box},
        [&](std::uint64_t done, std::uint64_t total) {
          talk(description().name + ": describing cells", done, total);
          return true;
        });
    return {std::move(cache), std::move(file), std::move(test)};
  }

  // Rows of the study's pictures, filled from records: `values(record)` are a record's features. Zeros without one.
  template <class ValuesOfRecord>
  [[nodiscard]] std::vector<DomainFeatures> Fill(const StudyCells& cells, std::size_t columns,
                                                 const ValuesOfRecord& values) {
    const auto records = cells.cache.Records();
    std::vector<DomainFeatures> domains;
    std::size_t picture = 0;
    for (std::size_t d = 0; d < pictures_->study().domains.size(); ++d) {
      DomainFeatures& domain = domains.emplace_back(pictures_->Frame(d, pictures_->Open(d, choice_.side)));
      if (domain.labels.size() * columns > learning::kMaxFeatureValues) {
        throw Error(ErrorCode::kInvalidInput,
                    "arm " + description().name + ": " + std::to_string(domain.labels.size()) + " pictures of " +
                        domain.domain + " with " + std::to_string(columns) + " features each do not fit into memory");
      }
      domain.features = learning::FeatureMatrix(domain.labels.size(), columns);
      for (std::size_t row = 0; row < domain.labels.size(); ++row, ++picture)
        if (records[picture]) values(*records[picture], domain.features.Row(row));
    }
    return domains;
  }

  FileSystem* files_;
  ArmChoice choice_;
  StudyPictures* pictures_;
  Path work_;

 private:
  static Digest DigestOf(FileSystem& files, const ArmChoice& choice) {
    if (files.Exists(choice.cells.detector)) return DigestOfFile(files, choice.cells.detector);
    throw Error(ErrorCode::kNotFound, "arm " + choice.description.name + " needs the detector " +
                                          choice.cells.detector.string() +
                                          ", which is not there; 'hemafed-study ae-cfe detect' trains one");
  }

  Digest detector_;
};

class DetectorArm final : public CellArm {
 public:
  using CellArm::CellArm;

  [[nodiscard]] std::string MadeFrom(std::uint64_t) override { return "detector's features 1, " + CellsMadeFrom(); }

  [[nodiscard]] std::vector<DomainFeatures> Extract(std::uint64_t, const ArmTalk& talk) override {
    const StudyCells cells = OpenCells(talk);
    Bytes picture(static_cast<std::size_t>(learning::kCellPictureBytes));  // Not looked at.
    return Fill(cells, static_cast<std::size_t>(learning::kCellFeatureValues),
                [&](std::uint32_t record, std::span<float> row) { cells.cache.cells.Read(record, row, picture); });
  }
};

class AutoencoderArm final : public CellArm {
 public:
  AutoencoderArm(FileSystem& files, const ArmChoice& choice, StudyPictures& pictures, Path work, int threads)
      : CellArm(files, choice, pictures, std::move(work)), threads_(threads) {}

  [[nodiscard]] bool DependsOnSeed() const override { return !choice_.autoencoder.seed; }

  [[nodiscard]] std::string MadeFrom(std::uint64_t seed) override {
    return "autoencoder 1, latent " + std::to_string(*choice_.description.bottleneck) + ", " +
           (choice_.autoencoder.all_cells ? "all cells, " : "training cells, ") +
           learning::ToJson(SettingsOf(seed)).dump() + ", " + CellsMadeFrom();
  }

  [[nodiscard]] std::vector<DomainFeatures> Extract(std::uint64_t seed, const ArmTalk& talk) override {
    const StudyCells cells = OpenCells(talk);
    const learning::CellAutoencoder model = Trained(cells, seed, talk);
    const at::Tensor latents = learning::LatentsOf(model, cells.cache.cells).contiguous();
    const auto columns = static_cast<std::size_t>(latents.size(1));
    const float* values = latents.const_data_ptr<float>();
    return Fill(cells, columns, [&](std::uint32_t record, std::span<float> row) {
      std::copy_n(values + record * columns, columns, row.begin());
    });
  }

 private:
  [[nodiscard]] AutoencoderSettings SettingsOf(std::uint64_t seed) const {
    AutoencoderSettings settings = choice_.autoencoder.settings;
    settings.seed = choice_.autoencoder.seed.value_or(seed);
    settings.threads = threads_;
    return settings;
  }

  [[nodiscard]] Path FolderOf(std::uint64_t seed) {
    Path folder = work_ / "arms" / description().name;
    if (DependsOnSeed()) folder /= "seed-" + std::to_string(seed);
    return folder / Sha256Of(MadeFrom(seed)).Hex().substr(0, 8);
  }

  [[nodiscard]] learning::CellAutoencoder Trained(const StudyCells& cells, std::uint64_t seed, const ArmTalk& talk) {
    const Path folder = FolderOf(seed), file = folder / "autoencoder.safetensors";
    const FeatureCache learned = CellsToLearnFrom(cells);
    if (files_->Exists(file)) {
      learning::CellAutoencoder trained = learning::LoadAutoencoder(*files_, file);
      if (!learning::LoadLatentScale(*files_, file)) SaveWithScale(file, trained, learned);
      return trained;
    }
    files_->CreateFolders(folder);
    const AutoencoderSettings settings = SettingsOf(seed);
    AutoencoderTraining training(learned, learning::InitialAutoencoder(*choice_.description.bottleneck, settings.seed),
                                 settings);
    const Path checkpoint = folder / "checkpoint";
    training.KeepCheckpoints(*files_, checkpoint, std::max(1u, kCellsPerCheckpoint / settings.batch));
    if (learning::HasCheckpoint(*files_, checkpoint)) training.Resume();
    const std::uint64_t total = std::uint64_t{settings.epochs} * learned.size();
    training.Run([&](const learning::AutoencoderProgress& progress) {
      try {
        talk(description().name + ": training", total * progress.step / progress.steps, total);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kInterrupted) throw;
        return false;  // It keeps what it has, then stops.
      }
      return true;
    });
    WriteFileAtomically(*files_, folder / "training.json", Record(cells, learned, settings, training).dump(2) + "\n");
    SaveWithScale(file, training.model(), learned);
    learning::RemoveCheckpoint(*files_, checkpoint);
    return learning::LoadAutoencoder(*files_, file);
  }

  // For plans over its latents; forests see them as they are.
  void SaveWithScale(const Path& file, const learning::CellAutoencoder& model, const FeatureCache& learned) const {
    const LatentMoments moments = learning::MomentsOf(learning::LatentsOf(model, learned));
    (void)learning::SaveAutoencoder(*files_, file, model, {}, learning::ScaleOf(moments));
  }

  [[nodiscard]] FeatureCache CellsToLearnFrom(const StudyCells& cells) const {
    const auto records = cells.cache.Records();
    std::vector<std::uint32_t> learned;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (cells.cache.outcomes[i] != CellOutcome::kCell) continue;
      if (choice_.autoencoder.all_cells || cells.test[i] == 0) learned.push_back(*records[i]);
    }
    if (learned.empty()) {
      throw Error(ErrorCode::kInvalidInput, "arm " + description().name + ": " + choice_.cells.detector.string() +
                                                " finds no cell in any training picture; train the detector longer, "
                                                "or lower its score threshold");
    }
    FeatureCache cache = FeatureCache::Open(*files_, cells.file);
    cache.KeepOnly(learned);
    RequireCellsToAlign(cache);
    return cache;
  }

  // In the words of the study: the training would name numbers.
  void RequireCellsToAlign(const FeatureCache& cells) const {
    if (choice_.autoencoder.settings.method != learning::DomainMethod::kAlignment) return;
    std::vector<std::size_t> counts(pictures_->study().domains.size());
    for (std::uint32_t cell = 0; cell < cells.size(); ++cell) ++counts[cells.Label(cell).domain];
    const std::size_t source = choice_.autoencoder.settings.source;
    bool other = false;
    for (std::size_t d = 0; d < counts.size(); ++d) other = other || (d != source && counts[d] >= 2);
    if (counts[source] >= 2 && other) return;
    throw Error(ErrorCode::kInvalidInput, "arm " + description().name + ": there is nothing to align, as " +
                                              (other ? choice_.autoencoder.source : "no other domain") +
                                              " has two training pictures with a cell; choose another source, or "
                                              "domains = \"none\"");
  }

  [[nodiscard]] static nlohmann::json Record(const StudyCells& cells, const FeatureCache& learned,
                                             const AutoencoderSettings& settings, const AutoencoderTraining& training) {
    nlohmann::json epochs = nlohmann::json::array();
    for (const learning::AutoencoderEpoch& epoch : training.Epochs()) {
      epochs.push_back({{"features", epoch.features},
                        {"pictures", epoch.pictures},
                        {"domains", epoch.domains},
                        {"discriminator", epoch.discriminator},
                        {"terms", epoch.terms},
                        {"skipped", epoch.skipped}});
    }
    return {{"settings", learning::ToJson(settings)},
            {"cells", cells.cache.Count(CellOutcome::kCell)},
            {"taken_whole", cells.cache.Count(CellOutcome::kWhole)},
            {"without_features", cells.cache.Count(CellOutcome::kUnusable)},
            {"learned_from", learned.size()},
            {"epochs", std::move(epochs)}};
  }

  int threads_;
};

}  // namespace

std::unique_ptr<FeatureSource> MakeCellArm(FileSystem& files, const ArmChoice& choice, StudyPictures& pictures,
                                           const Path& work, int threads) {
  if (choice.kind == ArmKind::kDetector) return std::make_unique<DetectorArm>(files, choice, pictures, work);
  if (choice.kind == ArmKind::kAutoencoder)
    return std::make_unique<AutoencoderArm>(files, choice, pictures, work, threads);
  throw Error(ErrorCode::kInternal, "an arm of another kind");
}

}  // namespace hemafed::studies
