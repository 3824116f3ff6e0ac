// SPDX-License-Identifier: Apache-2.0
//
// hemafed-study: repeats published experiments on local data.
#include <CLI/CLI.hpp>

#include "common/program.h"
#include "studies/uacl/uacl_command.h"

namespace hemafed::studies {
namespace {

int Main(int argc, char** argv) {
  CLI::App app{
      "Repeats published experiments on local pictures and sets the published numbers beside the measured ones. Needs\n"
      "no network; everything stays on this machine."};
  app.footer(
      "Examples:\n"
      "  hemafed-study uacl configs/studies/sample_domains.toml --data ../shared/data --output build/studies/domains\n"
      "  hemafed-study uacl STUDY.toml --data DIR --output OUT --methods uacl,ewc --seeds 1\n\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));

  UaclOptions options;
  options.command_line.assign(argv, argv + argc);
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
  CLI11_PARSE(app, argc, argv);
  return RunUaclStudy(options);
}

}  // namespace
}  // namespace hemafed::studies

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-study", [&] { return hemafed::studies::Main(argc, argv); });
}
