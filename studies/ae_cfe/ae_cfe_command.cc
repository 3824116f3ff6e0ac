// SPDX-License-Identifier: Apache-2.0
#include "studies/ae_cfe/ae_cfe_command.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <utility>

#include "common/clock.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/folder_lock.h"
#include "common/program.h"
#include "common/stop_signal.h"
#include "learning/models/torch_setup.h"
#include "studies/ae_cfe/cell_arms.h"
#include "studies/setup/parallel_runs.h"

namespace hemafed::studies {

namespace {

using learning::DomainFeatures;

constexpr const char* kStopped = "stopped; the same command goes on from here";

// Shows an arm's words as phases, one for each text.
class PhaseTalk {
 public:
  explicit PhaseTalk(Progress& progress) : progress_(&progress) {}

  void operator()(const std::string& words, std::uint64_t done, std::uint64_t total) {
    if (words != words_) {
      progress_->Begin(words, total, "pictures");
      words_ = words;
    }
    progress_->Update(done);
    if (done == total) {
      progress_->End();
      words_.clear();
    }
    if (StopRequested()) throw Error(ErrorCode::kInterrupted, kStopped);
  }

 private:
  Progress* progress_;
  std::string words_;
};

// Features of all domains, from their files where these were made from the same things.
std::vector<DomainFeatures> FeaturesOf(const StudyPlace& place, FeatureSource& source, std::uint64_t seed) {
  Path folder = place.folder / "features" / source.description().name;
  if (source.DependsOnSeed()) folder /= "seed-" + std::to_string(seed);
  const std::string made_from = source.MadeFrom(seed);
  std::vector<DomainFeatures> kept;
  for (const AeCfeDomainChoice& domain : place.study->domains) {
    const Path file = folder / (domain.name + ".safetensors");
    if (!place.files->Exists(file)) break;
    DomainFeatures features = learning::LoadFeatures(*place.files, file);
    if (features.made_from != made_from) break;
    kept.push_back(std::move(features));
  }
  if (kept.size() == place.study->domains.size()) return kept;
  PhaseTalk talk(*place.progress);
  std::vector<DomainFeatures> made = source.Extract(seed, std::ref(talk));
  if (made.size() != place.study->domains.size())
    throw Error(ErrorCode::kInternal,
                "arm " + source.description().name + " gave features of another number of domains");
  place.files->CreateFolders(folder);
  for (std::size_t d = 0; d < made.size(); ++d) {
    made[d].domain = place.study->domains[d].name;
    made[d].made_from = made_from;
    learning::SaveFeatures(*place.files, folder / (made[d].domain + ".safetensors"), made[d]);
  }
  return made;
}

learning::CrossDomainSettings SettingsOf(const AeCfeFile& study, std::uint64_t seed) {
  learning::CrossDomainSettings settings = study.matrix;
  settings.forest.seed = seed;
  return settings;
}

Digest MadeFrom(const AeCfeFile& study, const std::string& features, std::uint64_t seed) {
  const learning::CrossDomainSettings settings = SettingsOf(study, seed);
  std::string text = "cross-domain answers 1\n" + features;
  for (const std::uint64_t value :
       {static_cast<std::uint64_t>(settings.split), settings.split_seed, std::uint64_t{settings.test_percent},
        std::uint64_t{settings.shared_classes_only ? 1u : 0u}, static_cast<std::uint64_t>(settings.forest.trees),
        static_cast<std::uint64_t>(settings.forest.depth_max),
        static_cast<std::uint64_t>(settings.forest.split_rows_min),
        static_cast<std::uint64_t>(settings.forest.columns_per_node), settings.forest.seed}) {
    text += "\n" + std::to_string(value);
  }
  for (const AeCfeDomainChoice& domain : study.domains) text += "\n" + domain.name;
  return Sha256Of(text);
}

std::uint64_t RowsOf(const std::vector<DomainFeatures>& domains) {
  std::uint64_t sum = 0;
  for (const DomainFeatures& domain : domains) sum += domain.labels.size();
  return sum;
}

// The matrix of one seed, from its file where that was made from the same things.
learning::CrossDomainMatrix RunSeed(const StudyPlace& place, const std::string& arm,
                                    const std::vector<DomainFeatures>& features, std::uint64_t seed,
                                    const RunTalk& talk) {
  const Path folder = place.folder / "runs" / arm;
  const Path file = folder / ("seed-" + std::to_string(seed) + ".json");
  const Digest made_from = MadeFrom(*place.study, features.front().made_from, seed);
  const learning::CrossDomainSettings settings = SettingsOf(*place.study, seed);
  if (auto answers = LoadAnswers(*place.files, file, made_from))
    return learning::MatrixOfAnswers(features, settings, std::move(*answers));
  std::uint64_t done = 0;
  talk("", 0);
  auto matrix = learning::RunCrossDomain(features, settings, [&](std::size_t rows) {
    done += features[rows - 1].labels.size();
    talk("forest " + std::to_string(rows) + "/" + std::to_string(features.size()), done);
  });
  place.files->CreateFolders(folder);
  SaveAnswers(*place.files, file, matrix, made_from);
  return matrix;
}

std::vector<learning::CrossDomainMatrix> RunSeeds(const StudyPlace& place, const std::string& arm,
                                                  const std::vector<DomainFeatures>& features,
                                                  const std::vector<std::uint64_t>& seeds) {
  std::vector<learning::CrossDomainMatrix> matrices(seeds.size());
  std::vector<ParallelRun> runs;
  for (std::size_t s = 0; s < seeds.size(); ++s) {
    runs.push_back({.name = arm + " seed " + std::to_string(seeds[s]),
                    .pictures = RowsOf(features),
                    .work = [&, s](const RunTalk& talk) {
                      matrices[s] = RunSeed(place, arm, features, seeds[s], talk);
                      return RowsOf(features);
                    }});
  }
  RunInParallel(runs, place.jobs, *place.progress);
  return matrices;
}

std::vector<DomainRows> RowsOfDomains(StudyPictures& pictures, const std::vector<DomainFeatures>& features) {
  std::vector<DomainRows> rows;
  for (std::size_t d = 0; d < features.size(); ++d) {
    DomainRows& domain = rows.emplace_back();
    domain.truth = features[d].labels;
    domain.groups = pictures.Identities(d).groups;
  }
  return rows;
}

void RequireSameRows(const std::vector<DomainRows>& rows, const std::vector<DomainFeatures>& features,
                     const ArmDescription& arm) {
  for (std::size_t d = 0; d < features.size(); ++d) {
    if (features[d].labels != rows[d].truth || rows[d].groups.size() != rows[d].truth.size())
      throw Error(ErrorCode::kInvalidInput, "arm " + arm.name + ": the features of " + features[d].domain +
                                                " are of other pictures than the study's, or in another order");
  }
}

RunRecord MakeRecord(const AeCfeFile& study, const AeCfeOptions& options, const std::map<std::string, Digest>& inputs) {
  RunRecord record;
  record.study = "ae-cfe";
  record.program_version = std::string(kVersion);
  record.torch_version = TORCH_VERSION;
  record.command_line = options.command_line;
  record.study_file = Sha256Of(study.text);
  record.inputs = inputs;
  record.seeds = study.seeds;
  nlohmann::json arms = nlohmann::json::array();
  for (const ArmChoice& arm : study.arms) arms.push_back(arm.description.name);
  nlohmann::json domains = nlohmann::json::array();
  for (const AeCfeDomainChoice& domain : study.domains) domains.push_back(domain.name);
  record.settings = {{"arms", arms},
                     {"domains", domains},
                     {"part", study.validation ? "validation" : "test"},
                     {"split", study.matrix.split == learning::MatrixSplit::kOwn ? "own" : "shuffled"},
                     {"split_seed", study.matrix.split_seed},
                     {"test_percent", study.matrix.test_percent},
                     {"shared_classes_only", study.matrix.shared_classes_only},
                     {"forest_trees", study.matrix.forest.trees},
                     {"forest_depth", study.matrix.forest.depth_max}};
  record.machine = {{"device", "cpu"}, {"threads", options.threads}, {"instruction_set", at::get_cpu_capability()}};
  return record;
}

// The study without what the command line did not ask for.
void Restrict(AeCfeFile& study, const AeCfeOptions& options) {
  if (!options.seeds.empty()) study.seeds = options.seeds;
  const std::set<std::uint64_t> seeds(study.seeds.begin(), study.seeds.end());
  if (seeds.size() != study.seeds.size() || study.seeds.size() > kMaxAeCfeSeeds || *seeds.rbegin() > kMaxAeCfeSeed) {
    throw Error(ErrorCode::kInvalidInput, "--seeds takes 1 to " + std::to_string(kMaxAeCfeSeeds) +
                                              " different seeds up to " + std::to_string(kMaxAeCfeSeed));
  }
  for (const std::string& name : options.arms) {
    if (std::none_of(study.arms.begin(), study.arms.end(),
                     [&](const ArmChoice& arm) { return arm.description.name == name; }))
      throw Error(ErrorCode::kInvalidInput, "the study has no arm '" + name + "'");
  }
  if (options.arms.empty()) return;
  std::erase_if(study.arms, [&](const ArmChoice& arm) {
    return std::find(options.arms.begin(), options.arms.end(), arm.description.name) == options.arms.end();
  });
}

}  // namespace

ArmOutcome RunArm(const StudyPlace& place, FeatureSource& source, std::vector<DomainRows>& rows) {
  const ArmDescription& arm = source.description();
  ArmOutcome outcome;
  outcome.results.arm = arm;
  outcome.results.seeds = place.study->seeds;
  std::vector<DomainFeatures> features;
  if (!source.DependsOnSeed()) {
    features = FeaturesOf(place, source, 0);
    outcome.results.runs = RunSeeds(place, arm.name, features, place.study->seeds);
  }
  for (std::size_t s = 0; source.DependsOnSeed() && s < place.study->seeds.size(); ++s) {
    const std::uint64_t seed = place.study->seeds[s];
    auto of_seed = FeaturesOf(place, source, seed);
    outcome.results.runs.push_back(std::move(RunSeeds(place, arm.name, of_seed, {seed}).front()));
    if (s == 0) features = std::move(of_seed);  // For maps and drift.
  }
  outcome.results.columns = features.front().features.columns;
  if (rows.empty()) rows = RowsOfDomains(*place.pictures, features);
  RequireSameRows(rows, features, arm);
  const learning::CrossDomainMatrix& matrix = outcome.results.runs.front();
  if (place.study->map) {
    place.progress->Begin(arm.name + ": map", place.study->map->steps, "steps");
    outcome.extras.maps = MakeMaps(arm, features, matrix, *place.study->map, [&](std::uint32_t done, std::uint32_t) {
      place.progress->Update(done);
      return !StopRequested();
    });
    place.progress->End();
  }
  if (place.study->drift) {
    place.progress->Begin(arm.name + ": drift check", 0, "domains");
    outcome.extras.drift = MeasureDrift(features, matrix, *place.study->drift);
    place.progress->End();
  }
  return outcome;
}

int RunAeCfeMatrix(const AeCfeOptions& options) {
  InstallStopSignals();
  learning::ConfigureTorch(static_cast<int>(options.threads));
  FileSystem& files = RealFileSystem();
  SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);
  AeCfeFile study = AeCfeFile::Load(files, options.study);
  Restrict(study, options);
  files.CreateFolders(options.output);
  const FolderLock lock(options.output, "study");
  PhaseTalk talk(progress);
  StudyPictures pictures(files, study, options.data, options.cache.empty() ? options.output / "cache" : options.cache,
                         std::ref(talk));
  const StudyPlace place{.files = &files,
                         .study = &study,
                         .pictures = &pictures,
                         .folder = options.output,
                         .jobs = options.jobs > 0 ? options.jobs : UsualJobs(1),
                         .progress = &progress};
  AeCfeOutputs outputs{.study = &study, .results = {}, .extras = {}};
  std::map<std::string, Digest> inputs;
  // All of them before the first one works: a missing file is better known now than in an hour.
  std::vector<std::unique_ptr<FeatureSource>> sources;
  for (const ArmChoice& choice : study.arms) {
    const bool of_cells = choice.kind == ArmKind::kDetector || choice.kind == ArmKind::kAutoencoder;
    sources.push_back(of_cells ? MakeCellArm(files, choice, pictures, options.output, static_cast<int>(options.threads))
                               : MakePictureArm(files, choice, pictures));
    if (of_cells) inputs["detector of " + choice.description.name] = DigestOfFile(files, choice.cells.detector);
  }
  for (const auto& source : sources) {
    inputs["features of " + source->description().name] = Sha256Of(source->MadeFrom(study.seeds.front()));
    ArmOutcome outcome = RunArm(place, *source, outputs.results.rows);
    outputs.results.arms.push_back(std::move(outcome.results));
    outputs.extras.push_back(std::move(outcome.extras));
  }
  WriteAeCfe(files, options.output, outputs, MakeRecord(study, options, inputs));
  for (const Table& table : MainTables(outputs)) std::cout << TextTable(table) << "\n";
  std::cout << "report: " << (options.output / "report.html").string() << "\n";
  return 0;
}

int PrintPublishedAeCfe() {
  for (const Table& table : PublishedAeCfeTables()) std::cout << TextTable(table) << "\n";
  return 0;
}

}  // namespace hemafed::studies
