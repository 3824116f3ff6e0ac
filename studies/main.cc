// SPDX-License-Identifier: Apache-2.0
//
// hemafed-study: repeats published experiments on local data.
#include <CLI/CLI.hpp>

#include "common/program.h"
#include "studies/ae_cfe/ae_cfe_command.h"
#include "studies/ae_cfe/detector_study.h"
#include "studies/federation/federation_command.h"
#include "studies/uacl/uacl_command.h"

namespace hemafed::studies {
namespace {

CLI::App* AddUacl(CLI::App& app, UaclOptions& options) {
  CLI::App* uacl = app.add_subcommand(
      "uacl",
      "Continual learning, hospital after hospital or class after class: UACL, its published baselines and others.\n"
      "Stop it at any time; the same command goes on from there. Results: report.html, summary.json, tables and CSV\n"
      "files in the output folder. docs/study_file.md describes the study file.");
  uacl->add_option("study", options.study, "Study file, for example from configs/studies/")
      ->required()
      ->check(CLI::ExistingFile);
  uacl->add_option("--data", options.data, "Folder with the domains' pictures")
      ->required()
      ->check(CLI::ExistingDirectory);
  uacl->add_option("--output", options.output, "Folder for runs and results; made if missing")->required();
  uacl->add_option("--cache", options.cache, "Folder for decoded pictures (default: below the output folder)");
  uacl->add_option("--experiments", options.experiments, "Only these experiments of the study")->delimiter(',');
  uacl->add_option("--methods", options.methods, "Only these methods")->delimiter(',');
  uacl->add_option("--seeds", options.seeds, "These seeds instead of the study's")->delimiter(',');
  uacl->add_option("--jobs", options.jobs, "Runs at once (default: cores divided by the threads of a run; 1 on a GPU)")
      ->check(CLI::Range(1, 256));
  uacl->add_option("--device", options.device,
                   "Where the networks compute: cpu, cuda or cuda:N; refused where LibTorch has no such device")
      ->capture_default_str();
  uacl->add_option("--loaders", options.loaders,
                   "Threads of a run that make batches while training uses the last one (0: none); results do not\n"
                   "depend on it")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  return uacl;
}

CLI::App* AddFederation(CLI::App& app, FederationOptions& options) {
  CLI::App* federation = app.add_subcommand(
      "federation",
      "Simulates whole federations, one for each plan and seed: coordinator, agents and trainers in one process,\n"
      "without sockets, under virtual time. The same plan, pictures and seed give the same log root every time, and\n"
      "the models that real processes give. Stop it at any time; the same command goes on from there. Results:\n"
      "report.html, summary.json, tables and CSV files in the output folder, and each run's log.\n"
      "docs/federation_study.md says more.");
  federation->add_option("plans", options.plans, "Plan files; each is one arm, called like its file")
      ->required()
      ->check(CLI::ExistingFile);
  federation->add_option("--data", options.data, "Folder with the sites' pictures")
      ->required()
      ->check(CLI::ExistingDirectory);
  federation->add_option("--output", options.output, "Folder for runs and results; made if missing")->required();
  CLI::Option* sites =
      federation->add_option("--sites", options.sites, "List of sites, for example from configs/federations/")
          ->check(CLI::ExistingFile);
  federation
      ->add_option("--labels", options.labels,
                   "Instead of a list: this label map for every site, in the folder of its name with manifest.csv")
      ->check(CLI::ExistingFile)
      ->excludes(sites);
  federation
      ->add_option("--weights", options.weights,
                   "Files of initial weights, or folders of them, among which the plans' are found")
      ->required()
      ->check(CLI::ExistingPath);
  federation->add_option("--cache", options.cache, "Folder for decoded pictures (default: below the output folder)");
  federation->add_option("--seeds", options.seeds, "Run each plan with these seeds in place of its own")
      ->delimiter(',');
  federation
      ->add_option("--beside", options.beside, "Output folder of `hemafed-study uacl`: its methods as further rows")
      ->check(CLI::ExistingDirectory);
  federation
      ->add_option("--poison", options.poisons,
                   "SITE:KIND:TASK: each plan once more with wrong updates of this site from this task on; kinds: "
                   "sign_flipped, scaled, random, not_a_number, stale_base, other_base")
      ->delimiter(',');
  federation->add_flag("--discard-updates", options.discard_updates,
                       "Remove each run's updates once its audit was done: 20 MB an update of a 5 M network");
  federation->add_option("--jobs", options.jobs, "Runs at once (default: cores divided by the threads of a run)")
      ->check(CLI::Range(1, 256));
  return federation;
}

CLI::App* AddDetect(CLI::App& ae_cfe, DetectorStudyOptions& options) {
  CLI::App* detect = ae_cfe.add_subcommand(
      "detect",
      "Trains Mask R-CNN on EfficientNet-Lite0 on the annotated training pictures and scores it on the test pictures\n"
      "beside the classical segmenter. Stop it at any time; the same command goes on from there. Results:\n"
      "detector.safetensors, detection.txt, detection.md, detection.json and run.json in the output folder.");
  detect->add_option("--data", options.data, "Folder with the domains' pictures")
      ->required()
      ->check(CLI::ExistingDirectory);
  detect->add_option("--output", options.output, "Folder for checkpoint and results; made if missing")->required();
  detect->add_option("--weights", options.weights, "Imported ImageNet weights of EfficientNet-Lite0 (safetensors)")
      ->required()
      ->check(CLI::ExistingFile);
  detect->add_option("--annotated", options.annotated, "Domains with masks or boxes")
      ->delimiter(',')
      ->capture_default_str();
  detect->add_option("--others", options.others, "Domains without annotations, where detections are counted")
      ->delimiter(',')
      ->capture_default_str();
  detect->add_option("--masked-times", options.masked_times, "How often a picture with a mask counts in an epoch")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  detect->add_option("--steps", options.steps, "Training steps of four pictures")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  detect->add_option("--seed", options.seed, "Of first weights, order, samples and augmentation")
      ->capture_default_str();
  detect->add_option("--threads", options.threads, "Of the processor; another number gives other last bits")
      ->capture_default_str();
  detect
      ->add_option("--device", options.device,
                   "Where the trained network looks at pictures: cpu, cuda or cuda:N; it trains on the processor")
      ->capture_default_str();
  detect->add_option("--min-score", options.min_score, "Score from which on a detection counts")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  return detect;
}

CLI::App* AddAeCfeMatrix(CLI::App& ae_cfe, AeCfeOptions& options) {
  CLI::App* matrix = ae_cfe.add_subcommand(
      "matrix",
      "A random forest trained on the features of each domain and scored on every domain, for each arm (way from\n"
      "picture to features) of a study file; maps of the pictures, drift between domains. docs/ae_cfe_study.md.");
  matrix->add_option("study", options.study, "Study file")->check(CLI::ExistingFile)->capture_default_str();
  matrix->add_option("--data", options.data, "Folder with the domains' pictures")
      ->required()
      ->check(CLI::ExistingDirectory);
  matrix->add_option("--output", options.output, "Folder for features, answers and results; made if missing")
      ->capture_default_str();
  matrix->add_option("--cache", options.cache, "Folder for decoded pictures (default: below the output folder)");
  matrix->add_option("--arms", options.arms, "Only these arms")->delimiter(',');
  matrix->add_option("--seeds", options.seeds, "These seeds instead of the study's")->delimiter(',');
  matrix->add_option("--jobs", options.jobs, "Forests at once (default: one a processor core)")
      ->check(CLI::Range(1, 256));
  matrix->add_option("--threads", options.threads, "Threads of LibTorch while features are extracted")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  return matrix;
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Repeats published experiments on local pictures and sets the published numbers beside the measured ones. Needs\n"
      "no network; everything stays on this machine."};
  app.footer(
      "Examples:\n"
      "  hemafed-study uacl configs/studies/sample_domains.toml --data ../shared/data --output build/studies/domains\n"
      "  hemafed-study uacl STUDY.toml --data DIR --output OUT --methods uacl,ewc --seeds 1\n"
      "  hemafed-study federation configs/plans/demo_real.toml configs/plans/demo_real_sequential.toml \\\n"
      "      --sites configs/federations/sample_sites.toml --data ../shared/data --weights build/weights \\\n"
      "      --seeds 1,2,3 --output build/studies/federation\n"
      "  hemafed-study ae-cfe detect --data ../shared/data --weights build/weights/efficientnet_lite0.safetensors \\\n"
      "      --output build/studies/detect\n"
      "  hemafed-study ae-cfe matrix --data ../shared/data --threads 2      (after detect; about an hour)\n\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));

  UaclOptions uacl;
  FederationOptions federation;
  uacl.command_line.assign(argv, argv + argc);
  federation.command_line = uacl.command_line;
  AeCfeOptions features;
  features.command_line = uacl.command_line;
  const CLI::App* run_uacl = AddUacl(app, uacl);
  const CLI::App* run_federation = AddFederation(app, federation);
  DetectorStudyOptions detection;
  detection.command_line = uacl.command_line;
  CLI::App* ae_cfe = app.add_subcommand(
      "ae-cfe", "Features that carry over from one laboratory to another: AE-CFE and what it is compared with.");
  ae_cfe->require_subcommand(1);
  const CLI::App* run_detect = AddDetect(*ae_cfe, detection);
  const CLI::App* run_matrix = AddAeCfeMatrix(*ae_cfe, features);
  const CLI::App* show_published = ae_cfe->add_subcommand("published", "Prints the published tables.");
  CLI11_PARSE(app, argc, argv);
  if (*run_detect) return RunDetectorStudy(detection);
  if (*run_matrix) return RunAeCfeMatrix(features);
  if (*show_published) return PrintPublishedAeCfe();
  if (*run_federation) return RunFederationStudy(federation);
  return *run_uacl ? RunUaclStudy(uacl) : 0;
}

}  // namespace
}  // namespace hemafed::studies

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-study", [&] { return hemafed::studies::Main(argc, argv); });
}
