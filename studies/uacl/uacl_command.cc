// SPDX-License-Identifier: Apache-2.0
#include "studies/uacl/uacl_command.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include "common/error.h"
#include "common/program.h"
#include "common/stop_signal.h"
#include "learning/models/device.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "studies/uacl/run_all.h"
#include "studies/uacl/study_outputs.h"

namespace hemafed::studies {

namespace {

constexpr std::uint64_t kMaxWeightsBytes = std::uint64_t{1} << 30;  // 25 M parameters take 100 MB.

// The study without what the command line did not ask for.
void Restrict(StudyFile& study, const UaclOptions& options) {
  if (!options.seeds.empty()) study.seeds = options.seeds;
  for (const std::string& name : options.methods) (void)study.MethodNamed(name);
  for (Experiment& experiment : study.experiments) {
    if (options.methods.empty()) continue;
    std::erase_if(experiment.methods, [&](const std::string& name) {
      return std::find(options.methods.begin(), options.methods.end(), name) == options.methods.end();
    });
  }
}

std::vector<std::size_t> ChosenExperiments(const StudyFile& study, const UaclOptions& options) {
  std::vector<std::size_t> chosen;
  for (const std::string& name : options.experiments) chosen.push_back(study.ExperimentNamed(name));
  for (std::size_t e = 0; options.experiments.empty() && e < study.experiments.size(); ++e) chosen.push_back(e);
  std::erase_if(chosen, [&](std::size_t e) { return study.experiments[e].methods.empty(); });
  if (chosen.empty()) throw Error(ErrorCode::kInvalidInput, "no experiment of the study has the chosen methods");
  return chosen;
}

// First weights by seed (imported ones are the same for all), and what they are made from.
class InitialModels {
 public:
  InitialModels(FileSystem& files, const ModelChoice& choice, c10::Device device)
      : files_(files), choice_(choice), device_(device) {
    if (!choice.weights) return;
    digest_ = Sha256Of(ReadFile(files, *choice.weights, kMaxWeightsBytes));
    learning::Classifier loaded = learning::LoadModel(files, *choice.weights);
    if (loaded.architecture() != choice.architecture) {
      throw Error(ErrorCode::kInvalidInput, choice.weights->string() + " holds a " +
                                                std::string(learning::ArchitectureName(loaded.architecture())) +
                                                ", the study asks for a " +
                                                std::string(learning::ArchitectureName(choice.architecture)));
    }
    imported_ = Prepare(std::move(loaded));
  }

  const learning::Classifier& Of(std::uint64_t seed) {
    if (imported_) return *imported_;
    auto& model = random_[seed];
    if (!model) {
      model = Prepare(learning::InitialModel(choice_.architecture, seed, choice_.normalisation));
    }
    return *model;
  }
  Digest DigestOf(std::uint64_t seed) const {
    if (imported_) return digest_;
    return Sha256Of(std::string(learning::ArchitectureName(choice_.architecture)) + " " +
                    std::string(learning::NormalisationName(choice_.normalisation)) + " " + std::to_string(seed));
  }

 private:
  std::unique_ptr<learning::Classifier> Prepare(learning::Classifier model) const {
    auto prepared = std::make_unique<learning::Classifier>(model.normalisation() == choice_.normalisation
                                                               ? std::move(model)
                                                               : model.WithNormalisation(choice_.normalisation));
    prepared->SetPrecision(choice_.precision);
    if (!device_.is_cpu()) *prepared = prepared->To(device_);
    return prepared;
  }

  FileSystem& files_;
  const ModelChoice& choice_;
  c10::Device device_;
  Digest digest_;
  std::unique_ptr<learning::Classifier> imported_;
  std::map<std::uint64_t, std::unique_ptr<learning::Classifier>> random_;
};

RunRecord MakeRecord(const StudyFile& study, const std::vector<std::size_t>& experiments, const StudyData& data,
                     InitialModels& models, const UaclOptions& options, c10::Device device) {
  RunRecord record;
  record.study = "uacl";
  record.program_version = std::string(kVersion);
  record.torch_version = TORCH_VERSION;
  record.command_line = options.command_line;
  record.study_file = Sha256Of(study.text);
  record.inputs = data.Digests();
  record.inputs["initial weights"] = models.DigestOf(study.seeds.front());
  record.seeds = study.seeds;
  nlohmann::json settings = nlohmann::json::object();
  for (const std::size_t e : experiments) {
    for (const std::string& name : study.experiments[e].methods) {
      settings[study.experiments[e].name][name] = learning::ToJson(
          study.SettingsOf({.experiment = e, .method = study.MethodNamed(name), .budget = {}, .seed = 0}));
    }
  }
  record.settings = {{"methods", settings},
                     {"architecture", learning::ArchitectureName(study.model.architecture)},
                     {"normalisation", learning::NormalisationName(study.model.normalisation)},
                     {"precision", learning::PrecisionName(study.model.precision)},
                     {"input_px", study.model.input_px},
                     {"part", study.part == StudyPart::kTest ? "test" : "validation"}};
  record.machine = {{"device", learning::DeviceText(device)}, {"instruction_set", at::get_cpu_capability()}};
  return record;
}

// Results in the order of the study, one entry a method (and budget).
std::vector<ExperimentResults> Gather(const StudyFile& study, const StudyData& data,
                                      const std::vector<std::size_t>& experiments, const std::vector<PreparedRun>& runs,
                                      std::vector<RunResult> results) {
  std::vector<ExperimentResults> gathered;
  for (const std::size_t e : experiments) {
    ExperimentResults experiment(study, data, e);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const RunKey& key = runs[i].key;
      if (key.experiment != e) continue;
      const auto same = [&](const MethodResults& m) { return m.method == key.method && m.budget == key.budget; };
      auto found = std::find_if(experiment.methods.begin(), experiment.methods.end(), same);
      if (found == experiment.methods.end()) {
        std::string name = study.methods[key.method].name;
        if (key.budget) name += " K=" + std::to_string(*key.budget);
        experiment.methods.push_back({e, key.method, key.budget, std::move(name), {}, {}});
        found = experiment.methods.end() - 1;
      }
      found->seeds.push_back(key.seed);
      found->results.push_back(std::move(results[i]));
    }
    gathered.push_back(std::move(experiment));
  }
  return gathered;
}

unsigned JobsOf(const UaclOptions& options, const StudyFile& study, const RunKey& first, c10::Device device) {
  if (options.jobs > 0) return options.jobs;
  if (!device.is_cpu()) return 1;  // One run fills a GPU.
  return UsualJobs(static_cast<unsigned>(study.SettingsOf(first).threads));
}

}  // namespace

int RunUaclStudy(const UaclOptions& options) {
  InstallStopSignals();
  const c10::Device device = learning::RequireDevice(options.device);
  FileSystem& files = RealFileSystem();
  SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);

  StudyFile study = StudyFile::Load(files, options.study);
  Restrict(study, options);
  const std::vector<std::size_t> experiments = ChosenExperiments(study, options);
  const Path cache = options.cache.empty() ? options.output / "cache" : options.cache;
  const StudyData data(files, study, experiments, options.data, cache, progress);
  files.CreateFolders(options.output);
  WriteFileAtomically(files, options.output / "imports.txt", data.Imports());
  InitialModels models(files, study.model, device);

  const RunPlace place{.files = &files,
                       .clock = &clock,
                       .study = &study,
                       .data = &data,
                       .folder = options.output / "runs",
                       .device = device,
                       .loaders = options.loaders};
  std::vector<PreparedRun> runs;
  for (const RunKey& key : study.Runs()) {
    if (std::find(experiments.begin(), experiments.end(), key.experiment) == experiments.end()) continue;
    runs.push_back({key, &models.Of(key.seed), MadeFrom(place, key, models.DigestOf(key.seed))});
  }
  const RunRecord record = MakeRecord(study, experiments, data, models, options, device);
  (void)FormatRunRecord(record);  // A run that cannot be described is refused before it costs hours.
  std::vector<RunResult> results = RunAll(place, runs, JobsOf(options, study, runs.front().key, device), progress);
  const std::vector<ExperimentResults> gathered = Gather(study, data, experiments, runs, std::move(results));
  WriteStudy(files, options.output, gathered, record);
  std::cout << StudyText(gathered) << "report: " << (options.output / "report.html").string() << "\n";
  return 0;
}

}  // namespace hemafed::studies
