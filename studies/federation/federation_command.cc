// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/federation_command.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/folder_lock.h"
#include "common/program.h"
#include "common/stop_signal.h"
#include "learning/features/extractor/cell_describer.h"
#include "learning/features/extractor/cell_latents.h"
#include "studies/federation/beside.h"
#include "studies/federation/federation_outputs.h"
#include "studies/federation/federation_run.h"
#include "studies/federation/plan_text.h"
#include "studies/setup/parallel_runs.h"

namespace hemafed::studies {

namespace {

// Names of comparisons stay readable in file names.
constexpr std::size_t kMaxComparisonName = 60;

struct Arm {
  std::string name;  // Of the file, without its ending.
  std::string where;
  std::string text;
  Plan plan;
  std::vector<std::uint64_t> seeds;
  std::map<Digest, Path> models;  // Of ModelPlan::Files().
  std::optional<PoisonSettings> poison = {};
};

// Each plan once more for each poison, called after plan and kind.
std::vector<Arm> WithPoisons(std::vector<Arm> arms, const std::vector<std::string>& poisons) {
  const std::size_t clean = arms.size();
  for (const std::string& text : poisons) {
    const PoisonSettings poison = PoisonSettings::FromText(text);
    for (std::size_t a = 0; a < clean; ++a) {
      const std::vector<std::string> sites = arms[a].plan.Sites();
      if (std::find(sites.begin(), sites.end(), poison.site) == sites.end()) {
        throw Error(ErrorCode::kInvalidInput, "poison " + text + ": " + arms[a].where + " has no site of this name");
      }
      Arm arm = arms[a];
      arm.poison = poison;
      arm.name +=
          "-" + poison.site + "-" + std::string(PoisonName(poison.kind)) + "-" + std::to_string(poison.from_task + 1);
      if (!IsPlainName(arm.name)) {
        throw Error(ErrorCode::kInvalidInput, "with poison " + text + " this plan would be called " + arm.name +
                                                  ", which is too long for tables; give " + arm.where +
                                                  " a shorter file name");
      }
      arms.push_back(std::move(arm));
    }
  }
  return arms;
}

std::vector<Arm> LoadArms(FileSystem& files, const FederationOptions& options) {
  std::vector<Arm> arms;
  for (const Path& path : options.plans) {
    Arm arm{.name = path.stem().string(),
            .where = path.string(),
            .text = ReadFile(files, path, kMaxPlanBytes),
            .plan = {},
            .seeds = options.seeds,
            .models = {}};
    arm.plan = ParsePlan(arm.text, arm.where);
    if (arm.seeds.empty()) arm.seeds.push_back(arm.plan.seed);
    // The name becomes a folder, a line of a table and a field of JSON.
    if (!IsPlainName(arm.name)) {
      throw Error(ErrorCode::kInvalidInput,
                  arm.where + ": the file's name is the plan's name in tables: use 1 to 48 of a-z, 0-9, '_' and '-'");
    }
    const auto same = [&](const Arm& other) { return other.name == arm.name; };
    if (std::any_of(arms.begin(), arms.end(), same)) {
      throw Error(ErrorCode::kInvalidInput, "two plans are called " + arm.name + "; rename one of the files");
    }
    arms.push_back(std::move(arm));
  }
  return WithPoisons(std::move(arms), options.poisons);
}

SiteList LoadSites(FileSystem& files, const std::vector<Arm>& arms, const FederationOptions& options) {
  SiteList list;
  if (!options.sites.empty()) {
    list = SiteList::Load(files, options.sites, options.data);
  } else if (!options.labels.empty()) {
    std::vector<Plan> plans;
    for (const Arm& arm : arms) plans.push_back(arm.plan);
    list = SiteList::ByName(plans, options.labels, options.data);
  } else {
    throw Error(ErrorCode::kInvalidInput,
                "say where the sites' pictures are: --sites FILE (configs/federations/sample_sites.toml is one), or "
                "--labels FILE if each site has a folder of its name with manifest.csv");
  }
  for (const Arm& arm : arms) list.RequireFor(arm.plan, arm.where);
  return list;
}

// Weights, detectors and autoencoders by content, among the files that the person named.
void FindWeights(FileSystem& files, const FederationOptions& options, std::vector<Arm>& arms) {
  std::vector<Path> candidates;
  for (const Path& path : options.weights) {
    if (!std::filesystem::is_directory(path)) {
      candidates.push_back(path);
      continue;
    }
    for (const std::string& name : files.List(path)) {
      if (name.ends_with(".safetensors")) candidates.push_back(path / name);
    }
  }
  std::map<Digest, Path> by_digest;
  for (const Path& path : candidates) by_digest.emplace(DigestOfFile(files, path), path);
  for (Arm& arm : arms) {
    for (const Digest& model : arm.plan.model.Files()) {
      const auto found = by_digest.find(model);
      if (found != by_digest.end()) {
        arm.models.insert(*found);
        continue;
      }
      if (model != arm.plan.model.weights) {
        throw Error(ErrorCode::kNotFound, arm.where + " sends pictures through the frozen file " + model.Hex() +
                                              ", which none of the files of --weights are; docs/extractor.md says "
                                              "what they are");
      }
      throw Error(ErrorCode::kNotFound, arm.where + " starts from the weights " + model.Hex() +
                                            ", which none of the files of --weights are; `make setup` fetches "
                                            "ImageNet weights into build/weights, `hemafed-train init-weights` makes "
                                            "random ones");
    }
  }
}

// Frozen files of all plans that have some, for whoever reads pictures.
void OpenTools(FileSystem& files, const std::vector<Arm>& arms, PictureShelf& shelf) {
  for (const Arm& arm : arms) {
    const std::uint32_t side = arm.plan.model.input_px;
    if (const auto& detector = arm.plan.model.detector; detector && !shelf.HasDescriber(arm.plan)) {
      shelf.AddDescriber(arm.plan, learning::LoadCellDescriber(files, arm.models.at(*detector), side));
    }
    const auto& extractor = arm.plan.model.extractor;
    if (!extractor || shelf.HasExtractor(arm.plan)) continue;
    shelf.AddExtractor(arm.plan, learning::LoadCellLatents(files, arm.models.at(extractor->detector),
                                                           arm.models.at(extractor->autoencoder), side));
  }
}

// Reads and decodes every picture once, before the runs share them.
void OpenPictures(const std::vector<Arm>& arms, const SiteList& sites, PictureShelf& shelf) {
  for (const Arm& arm : arms) {
    (void)ColumnsOf(arm.plan, sites, shelf);
    for (const std::string& site : arm.plan.Sites()) (void)shelf.Open(sites.At(site).settings, arm.plan);
  }
}

RunRecord MakeRecord(const std::vector<Arm>& arms, const SiteList& sites, PictureShelf& shelf,
                     const FederationOptions& options) {
  RunRecord record;
  record.study = "federation";
  record.program_version = std::string(kVersion);
  record.torch_version = TORCH_VERSION;
  record.command_line = options.command_line;
  record.settings = {{"plans", nlohmann::json::object()}};
  std::string texts;
  for (const Arm& arm : arms) {
    texts += arm.text;
    record.inputs["plan " + arm.name] = Sha256Of(arm.text);
    record.inputs["initial weights of " + arm.name] = arm.plan.model.weights;
    if (const auto& extractor = arm.plan.model.extractor) {
      record.inputs["detector of " + arm.name] = extractor->detector;
      record.inputs["autoencoder of " + arm.name] = extractor->autoencoder;
    }
    if (const auto& detector = arm.plan.model.detector) record.inputs["detector of " + arm.name] = *detector;
    record.settings["plans"][arm.name] = PlanAsJson(arm.text, arm.where);
    if (arm.poison) record.settings["poison"][arm.name] = arm.poison->ToText();
    for (const std::string& site : arm.plan.Sites()) {
      const auto opened = shelf.Open(sites.At(site).settings, arm.plan);
      record.inputs["pictures of " + site] = IndexDigest(opened->domain().index());
    }
    for (const TestColumnOfSite& column : ColumnsOf(arm.plan, sites, shelf)) {
      record.inputs["pictures of " + column.site] = IndexDigest(column.pictures->domain().index());
    }
    for (const std::uint64_t seed : arm.seeds) {
      if (std::find(record.seeds.begin(), record.seeds.end(), seed) == record.seeds.end()) record.seeds.push_back(seed);
    }
  }
  record.study_file = Sha256Of(texts);
  record.inputs["list of sites"] = Sha256Of(sites.text);
  record.machine = {{"device", "cpu"}, {"instruction_set", at::get_cpu_capability()}};
  return record;
}

// A comparison's name, which is part of file names, and its title: from the tasks in order. Plans that teach other
// classes to the same hospitals get other names.
std::pair<std::string, std::string> NameOf(const Plan& plan) {
  std::string name, title, all;
  for (const std::string& label : plan.classes) all += label + "\n";
  bool every_class = true;
  const std::vector<Column> columns = plan.Columns();
  for (std::size_t t = 0; t < plan.tasks.size(); ++t) {
    name += (t == 0 ? "" : "_") + plan.tasks[t].site;
    title += (t == 0 ? "" : " → ") + columns[t].title;
    all += plan.tasks[t].site;
    for (const std::uint32_t label : plan.tasks[t].classes) all += " " + std::to_string(label);
    all += "\n";
    every_class = every_class && plan.tasks[t].classes.size() == plan.classes.size();
  }
  if (every_class && name.size() <= kMaxComparisonName) return {name, title};
  return {name.substr(0, kMaxComparisonName) + "-" + Sha256Of(all).Hex().substr(0, 8), title};
}

// One comparison for each order of tasks, in the order in which plans name them; autoencoders by themselves.
FederationOutcome Gather(const std::vector<Arm>& arms, std::vector<ArmResults> results, const SiteList& sites,
                         PictureShelf& shelf) {
  FederationOutcome outcome;
  std::vector<FederationComparison>& comparisons = outcome.comparisons;
  for (std::size_t a = 0; a < arms.size(); ++a) {
    if (arms[a].plan.TrainsAutoencoder()) {
      outcome.autoencoders.push_back(std::move(results[a]));
      continue;
    }
    auto named = NameOf(arms[a].plan);
    std::string& name = named.first;
    const auto named_so = [&](const FederationComparison& each) { return each.name == name; };
    const auto same = [&](const FederationComparison& each) {
      return named_so(each) && each.classes == arms[a].plan.classes;
    };
    if (std::any_of(comparisons.begin(), comparisons.end(), named_so) &&
        std::none_of(comparisons.begin(), comparisons.end(), same)) {
      name += "-" + std::to_string(arms[a].plan.classes.size()) + "-classes-" + arms[a].name;
    }
    auto found = std::find_if(comparisons.begin(), comparisons.end(), same);
    if (found == comparisons.end()) {
      FederationComparison& made = comparisons.emplace_back();
      made.name = name;
      made.title = named.second;
      made.classes = arms[a].plan.classes;
      made.tasks = arms[a].plan.tasks.size();
      for (const TestColumnOfSite& column : ColumnsOf(arms[a].plan, sites, shelf)) {
        made.test_sets.push_back(column.Describe());
      }
      found = comparisons.end() - 1;
    }
    MethodResults method{
        .experiment = 0, .method = 0, .budget = {}, .name = arms[a].name, .seeds = results[a].seeds, .results = {}};
    for (const FederationResult& result : results[a].results) method.results.push_back(result.answers);
    found->methods.push_back(std::move(method));
    found->arms.push_back(std::move(results[a]));
  }
  return outcome;
}

void SetBeside(FileSystem& files, const FederationOptions& options, std::vector<FederationComparison>& comparisons) {
  for (const Path& folder : options.beside) {
    bool fits = false;
    std::string why = "--beside " + folder.string() + ": these plans score no models that could be compared";
    for (FederationComparison& comparison : comparisons) {
      try {
        for (MethodResults& method : MethodsBeside(files, folder, comparison)) {
          comparison.methods.push_back(std::move(method));
        }
        fits = true;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kInvalidInput) throw;
        why = error.what();
      }
    }
    if (!fits) throw Error(ErrorCode::kInvalidInput, why);
  }
}

// Arms of which a run stood still cannot be compared; why they did, by name of the run.
std::map<std::string, std::string> TakeOutStandingStill(std::vector<Arm>& arms, std::vector<ArmResults>& results) {
  std::map<std::string, std::string> why;
  for (std::size_t a = arms.size(); a-- > 0;) {
    bool stood_still = false;
    for (std::size_t s = 0; s < results[a].results.size(); ++s) {
      const std::string& reason = results[a].results[s].stood_still;
      if (reason.empty()) continue;
      stood_still = true;
      why[arms[a].name + "/seed-" + std::to_string(arms[a].seeds[s])] = reason;
    }
    if (!stood_still) continue;
    arms.erase(arms.begin() + static_cast<std::ptrdiff_t>(a));
    results.erase(results.begin() + static_cast<std::ptrdiff_t>(a));
  }
  return why;
}

}  // namespace

int RunFederationStudy(const FederationOptions& options) {
  InstallStopSignals();
  FileSystem& files = RealFileSystem();
  SystemClock clock;
  DescriptorOutput output;
  Progress progress(clock, output);

  std::vector<Arm> arms = LoadArms(files, options);
  const SiteList sites = LoadSites(files, arms, options);
  FindWeights(files, options, arms);
  files.CreateFolders(options.output);
  const FolderLock lock(options.output, "study");
  std::string reading;
  PictureShelf shelf(files, options.cache.empty() ? options.output / "cache" : options.cache,
                     [&](const std::string& site, const std::string& phase, std::uint64_t done, std::uint64_t total) {
                       if (StopRequested()) throw Error(ErrorCode::kInterrupted, "stopped while " + phase);
                       const std::string now = site + ": " + phase;
                       if (std::exchange(reading, now) != now) progress.Begin(now, 0, "pictures");
                       progress.Update(done, "of " + std::to_string(total));
                     });
  OpenTools(files, arms, shelf);
  OpenPictures(arms, sites, shelf);
  progress.End();
  const RunRecord record = MakeRecord(arms, sites, shelf, options);
  (void)FormatRunRecord(record);  // A study that cannot be described is refused before it costs hours.

  const FederationPlace place{.files = &files,
                              .clock = &clock,
                              .shelf = &shelf,
                              .sites = &sites,
                              .folder = options.output / "runs",
                              .keep_updates = !options.discard_updates};
  // By seed first: what is done when somebody stops can be compared.
  std::size_t most_seeds = 0;
  unsigned threads = 1;
  std::vector<ArmResults> results;
  for (const Arm& arm : arms) {
    most_seeds = std::max(most_seeds, arm.seeds.size());
    threads = std::max(threads, arm.plan.training.threads);
    results.push_back(
        {.name = arm.name, .seeds = arm.seeds, .results = std::vector<FederationResult>(arm.seeds.size())});
  }
  std::vector<ParallelRun> runs;
  for (std::size_t s = 0; s < most_seeds; ++s) {
    for (std::size_t a = 0; a < arms.size(); ++a) {
      if (s >= arms[a].seeds.size()) continue;
      const std::uint64_t seed = arms[a].seeds[s];
      const FederationRun run{.arm = arms[a].name,
                              .plan = PlanWithSeed(arms[a].text, seed, arms[a].where),
                              .seed = seed,
                              .models = arms[a].models,
                              .poison = arms[a].poison};
      runs.push_back({.name = run.Name(),
                      .pictures = PicturesOf(arms[a].plan),
                      .work = [&place, run, &result = results[a].results[s]](const RunTalk& talk) {
                        result = MakeRun(place, run, talk);
                        return result.answers.train_pictures;
                      }});
    }
  }
  RunInParallel(runs, options.jobs > 0 ? options.jobs : UsualJobs(threads), progress);

  std::map<std::string, std::string> stood_still = TakeOutStandingStill(arms, results);
  bool agrees = true;
  for (const ArmResults& arm : results) {
    for (const FederationResult& result : arm.results) agrees = agrees && result.audit == "ok";
  }
  FederationOutcome outcome = Gather(arms, std::move(results), sites, shelf);
  outcome.stood_still = std::move(stood_still);
  SetBeside(files, options, outcome.comparisons);
  WriteFederationStudy(files, options.output, outcome, record);
  std::cout << FederationText(outcome) << "report: " << (options.output / "report.html").string() << "\n";
  if (!agrees) return ExitStatus(ErrorCode::kRefused);
  return outcome.stood_still.empty() ? 0 : ExitStatus(ErrorCode::kConflict);
}

}  // namespace hemafed::studies
