// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/detector_study.h"

#include <torch/version.h>

#include <deque>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/clock.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/folder_lock.h"
#include "common/program.h"
#include "common/progress.h"
#include "learning/features/cells/annotated_augment.h"
#include "learning/features/cells/classical_segmenter.h"
#include "learning/features/detection/annotated_source.h"
#include "learning/features/detection/detector_file.h"
#include "learning/features/detection/detector_finder.h"
#include "learning/features/detection/detector_trainer.h"
#include "learning/models/device.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "studies/ae_cfe/detector_scores.h"
#include "studies/report/run_record.h"

namespace hemafed::studies {

using learning::AnnotatedDomain;
using learning::AnnotatedPicture;

namespace {

constexpr const char* kDetectorFile = "detector.safetensors";
// What a detector's own threshold keeps for average precision; torchvision's.
constexpr double kLowestScore = 0.05;

learning::PictureChange Augmentation(std::uint64_t seed) {
  const learning::AnnotatedAugmentation settings;
  return {.apply =
              [=](const AnnotatedPicture& picture, std::uint64_t place, std::uint64_t epoch) {
                const learning::AnnotatedVariant variant = learning::DrawAnnotatedVariant(
                    settings, seed, static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(epoch));
                learning::VariantOfPicture changed =
                    learning::ApplyAnnotatedVariant(picture.rgb, picture.cells, variant);
                AnnotatedPicture result = picture;
                result.nuclei.release();  // They are not turned with the picture.
                result.others.clear();
                result.rgb = std::move(changed.rgb);
                result.cells = std::move(changed.cells);
                return result;
              },
          .description = "annotated augmentation 1 with its usual settings, seed " + std::to_string(seed)};
}

learning::DetectorTrainingSettings TrainingOf(const DetectorStudyOptions& options) {
  learning::DetectorTrainingSettings settings = learning::SmallMachineTraining(options.steps);
  settings.seed = options.seed;
  return settings;
}

RunRecord RecordOf(FileSystem& files, const DetectorStudyOptions& options, const std::deque<AnnotatedDomain>& domains,
                   const learning::DetectorSource& source) {
  RunRecord record;
  record.study = "ae-cfe detect";
  record.program_version = std::string(kVersion);
  record.torch_version = TORCH_VERSION;
  record.command_line = options.command_line;
  record.study_file = Sha256Of("");
  record.inputs["initial weights"] = DigestOfFile(files, options.weights);
  for (const AnnotatedDomain& domain : domains) {
    if (!record.inputs.emplace(domain.name() + " pictures and annotations", domain.Content()).second) {
      throw Error(ErrorCode::kInvalidInput, "two of the folders are called " + domain.name() + "; rename one of them");
    }
  }
  record.seeds = {options.seed};
  record.settings = {
      {"training", nlohmann::json::parse(learning::TrainingSettingsText(TrainingOf(options)))},
      {"detector", nlohmann::json::parse(learning::DetectorSettingsText(learning::SmallMachineDetector()))},
      {"pictures", source.Description()},
      {"masked_times", options.masked_times}};  // The score from which on a cell counts may change without training.
  record.machine = {{"device", options.device}, {"threads", options.threads}};
  return record;
}

// A folder holds one run. Its record is compared before anything is overwritten.
void WriteRecord(FileSystem& files, const Path& path, const RunRecord& record) {
  if (files.Exists(path)) {
    const RunRecord before = ParseRunRecord(ReadFile(files, path, kMaxRunRecordBytes), path.string());
    const std::vector<std::string> differences = RunDifferences(before, record);
    if (!differences.empty()) {
      throw Error(ErrorCode::kConflict, path.string() + " is of another run: " + differences.front() +
                                            "; name another output folder, or ask for what it was made with");
    }
  }
  WriteRunRecord(files, path, record);
}

// Trains to the end or takes what an earlier run left, writes the detector's file and returns its digest.
Digest Train(FileSystem& files, const DetectorStudyOptions& options, const learning::DetectorSource& source,
             Progress& progress) {
  learning::Detector detector = learning::InitialDetector(learning::SmallMachineDetector(), options.seed,
                                                          learning::LoadModel(files, options.weights).tensors());
  TrainDetector(
      detector, source, TrainingOf(options),
      {.files = &files, .folder = options.output / "checkpoint", .progress = &progress, .stop = options.stop});
  return learning::SaveDetector(files, options.output / kDetectorFile, detector,
                                {{"made_by", "hemafed-study ae-cfe detect"}});
}

std::vector<DomainScore> ScoreAll(FileSystem& files, const DetectorStudyOptions& options,
                                  const std::deque<AnnotatedDomain>& domains, const Digest& digest,
                                  Progress& progress) {
  learning::Detector detector = learning::LoadDetector(files, options.output / kDetectorFile);
  const c10::Device device = learning::RequireDevice(options.device);
  if (!device.is_cpu()) detector = detector.To(device);
  learning::DetectorFinder trained(std::move(detector), kLowestScore, digest.Hex());
  learning::ClassicalSegmenter classical;
  std::vector<DomainScore> scores;
  const auto score = [&](learning::CellFinder& finder, const std::string& name, double min_score) {
    const auto shown = [&](std::uint64_t done, std::uint64_t total) {
      if (done <= 1) progress.Begin("scoring the " + name + " finder", total, "pictures");
      progress.Update(done);
      return !options.stop();
    };
    for (const AnnotatedDomain& domain : domains) {
      scores.push_back(ScoreDomain(finder, name, domain, min_score, shown));
      progress.End(domain.name());
    }
    for (const std::string& domain : options.others) {
      scores.push_back(CountDetections(finder, name, files, options.data / domain, min_score, shown));
      progress.End(domain);
    }
  };
  score(trained, "mask r-cnn", options.min_score);
  score(classical, "classical", 0.0);
  return scores;
}

}  // namespace

int RunDetectorStudy(const DetectorStudyOptions& options) {
  InstallStopSignals();
  learning::ConfigureTorch(options.threads);
  FileSystem& files = RealFileSystem();
  SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);

  std::deque<AnnotatedDomain> domains;  // The source borrows them: their places must not move.
  learning::AnnotatedSource source(Augmentation(options.seed));
  for (const std::string& name : options.annotated) {
    const AnnotatedDomain& domain = domains.emplace_back(files, options.data / name);
    for (const std::string& note : domain.notes()) progress.Note(note);
    std::vector<std::size_t> masked, boxed;
    for (const std::size_t position : domain.Positions(learning::Split::kTrain)) {
      (domain.entries()[position].mask.empty() ? boxed : masked).push_back(position);
    }
    source.Add(domain, masked, options.masked_times);
    source.Add(domain, boxed);
  }
  // Their cells are counted after hours of training: what is wrong with their folders is said before.
  for (const std::string& domain : options.others) {
    for (const std::string& picture : TestPicturesOf(files, options.data / domain)) {
      if (files.Exists(options.data / domain / picture)) continue;
      throw Error(ErrorCode::kInvalidInput, (options.data / domain / picture).string() +
                                                " is missing, though its folder's manifest names it; mend the folder "
                                                "or leave " +
                                                domain + " out of --others");
    }
  }
  files.CreateFolders(options.output);
  const FolderLock lock(options.output, "study");
  WriteRecord(files, options.output / "run.json", RecordOf(files, options, domains, source));

  const Digest digest = Train(files, options, source, progress);
  const std::vector<DomainScore> scores = ScoreAll(files, options, domains, digest, progress);
  const report::Table table = ScoreTable(scores);
  const nlohmann::json summary = {{"detector_sha256", digest.Hex()}, {"scores", ScoresToJson(scores)}};
  WriteFileAtomically(files, options.output / "detection.txt", report::TextTable(table));
  WriteFileAtomically(files, options.output / "detection.md", report::MarkdownTable(table));
  WriteFileAtomically(files, options.output / "detection.json", summary.dump(2) + "\n");
  std::cout << report::TextTable(table) << "detector: " << (options.output / kDetectorFile).string() << "\n";
  return 0;
}

}  // namespace hemafed::studies
