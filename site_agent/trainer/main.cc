// SPDX-License-Identifier: Apache-2.0
//
// hemafed-train: the picture side of a lab. Opens pictures, has no network.
#include <poll.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <thread>

#include "codec/latent_moments.h"
#include "codec/site_settings.h"
#include "common/digest_of_file.h"
#include "common/error.h"
#include "common/program.h"
#include "common/stop_signal.h"
#include "learning/data/synthetic/contact_sheet.h"
#include "learning/data/synthetic/hospital_profile.h"
#include "learning/data/synthetic/hospital_writer.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/cells/classical_segmenter.h"
#include "learning/features/detection/detector_file.h"
#include "learning/features/detection/detector_finder.h"
#include "learning/models/model_file.h"
#include "learning/models/torch_setup.h"
#include "site_agent/trainer/job_runner.h"
#include "site_agent/trainer/segment_command.h"
#include "site_agent/trainer/withdraw.h"

namespace hemafed::trainer {
namespace {

// A new job is noticed within this time; listing an empty folder costs some microseconds.
constexpr int kLookMs = 20;
// After a passing trouble (a model that the agent is just replacing).
constexpr int kRetryMs = 500;

struct Options {
  std::string folder, out, hospital, architecture = "small_cnn", normalisation, labels, plan, pictures,
                                     layout = "manifest";
  std::uint32_t count = 60;
  std::int64_t latent = learning::kPublishedLatentSize;
  std::uint64_t seed = 1;
  std::vector<std::string> withdrawn, domains, moments;
  std::string autoencoder;
  SegmentSettings segment;
  std::string detector;  // File; empty: the classical segmenter.
  bool training_part = false;
};

void Wait(int milliseconds) { (void)::poll(nullptr, 0, milliseconds); }

void Serve(const Options& options) {
  InstallStopSignals();
  const Path root = options.folder;
  SystemClock clock;
  FileSystem& files = RealFileSystem();
  JobRunner runner(files, clock, {root / "jobs"}, {root / "trainer"}, SiteSettings::Load(files, root / "site.toml"),
                   {.stop = StopRequested, .print = [](const std::string& line) { std::cout << line << std::endl; }});
  while (!StopRequested()) {
    try {
      if (!runner.RunNext()) Wait(kLookMs);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInterrupted && StopRequested()) return;
      if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kUnavailable) throw;
      std::cerr << error.what() << "; trying again" << std::endl;
      Wait(kRetryMs);
    }
  }
}

// What counts as found by a detector unless the person says otherwise; as in hemafed-study ae-cfe detect.
constexpr double kDetectorScore = 0.5;

// The trained detector that the person named, or the classical segmenter.
std::unique_ptr<learning::CellFinder> FinderOf(FileSystem& files, const Options& options) {
  if (options.detector.empty()) return std::make_unique<learning::ClassicalSegmenter>();
  learning::ConfigureTorch(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  return std::make_unique<learning::DetectorFinder>(learning::LoadDetector(files, options.detector),
                                                    options.segment.min_score,
                                                    DigestOfFile(files, options.detector).Hex());
}

void WithdrawAll(const Options& options) {
  FileSystem& files = RealFileSystem();
  std::vector<Digest> pictures;
  for (const std::string& name : options.withdrawn) pictures.push_back(PictureNamed(files, name));
  const WithdrawalCount count = WithdrawPictures(files, std::filesystem::absolute(options.folder), pictures);
  const auto is_unknown = [&](const Digest& picture) {
    return std::find(count.unknown.begin(), count.unknown.end(), picture) != count.unknown.end();
  };
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (!is_unknown(pictures[i])) continue;
    std::cout << "not withdrawn: " << options.withdrawn[i] << "; this lab has not imported, kept or sent it\n";
    ++unknown;
  }
  if (unknown < pictures.size()) {
    std::cout << "newly withdrawn: " << count.fresh << " (exemplars: " << count.exemplars
              << "); this lab's trainer uses them no more\n"
              << "files of decoded pictures removed: " << count.tiles
              << "; the next ones are made from the pictures' folder\n"
              << "copies that travelled: " << count.sent
              << "; the agent tells partners to remove them, while it runs\n";
    if (count.noted > 0) std::cout << "copies that an earlier run has noted already: " << count.noted << "\n";
    for (const CopiesElsewhere& copies : count.elsewhere) {
      std::cout << "copies under another plan, " << copies.plan.Hex() << ": " << copies.pictures << " at "
                << copies.recipient
                << "; it is told when the agent runs under that plan again, so tell its people too\n";
    }
    std::cout << "what stays: the files in the pictures' folder, which you may remove now, and what models have "
                 "learned\n";
  }
  if (unknown == 0) return;
  std::cout.flush();
  throw Error(ErrorCode::kNotFound,
              std::to_string(unknown) + " of " + std::to_string(pictures.size()) +
                  " pictures are unknown to this lab and were not withdrawn" +
                  (unknown < pictures.size() ? "; the others were" : "") +
                  ". Name the very file that was imported (one saved anew has other bytes) or its SHA-256; a picture "
                  "that the trainer has not read yet is withdrawn by removing its file");
}

void ScaleLatents(FileSystem& files, const Options& options) {
  if (learning::LoadLatentScale(files, options.autoencoder)) {
    throw Error(ErrorCode::kConflict, options.autoencoder + ": its latents are scaled already");
  }
  const learning::CellAutoencoder model = learning::LoadAutoencoder(files, options.autoencoder);
  const auto width = static_cast<std::uint32_t>(model.latent_size());
  LatentMoments all(width);
  for (const std::string& name : options.moments) all.Add(ReadLatentMoments(*files.OpenForRead(name), width));
  std::cout << learning::SaveAutoencoder(files, options.out, model, {}, learning::ScaleOf(all)).Hex() << "\n";
}

int Main(int argc, char** argv) {
  CLI::App app{
      "The picture side of a lab: imports pictures, trains, scores and keeps exemplars. It has no network and talks "
      "to\n"
      "the agent only through the job folder (docs/job_folder.md). `hemafed-site up` starts it as it should be: "
      "isolated."};
  app.footer(
      "Examples:\n"
      "  hemafed-train serve /srv/hemafed/munich\n"
      "  hemafed-train smears build/smears --hospital matek-19\n"
      "  hemafed-train segment /data/cells /srv/segmented\n"
      "  hemafed-train withdraw /srv/hemafed/munich /data/cells/17.png\n\n" +
      std::string(kExitCodeHelp));
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(kVersion));
  Options options;

  CLI::App* serve = app.add_subcommand("serve", "Run the jobs that appear in a lab's folder until told to stop");
  serve->add_option("folder", options.folder, "The lab's folder, made by `hemafed-site join`")
      ->required()
      ->check(CLI::ExistingDirectory);

  CLI::App* init =
      app.add_subcommand("init-weights", "Make initial weights from a seed; prints their digest for the plan");
  init->add_option("file", options.out, "Safetensors file to write")->required();
  init->add_option("--architecture", options.architecture,
                   "A network that trains from scratch (ae_cfe: on latents), or cell_autoencoder")
      ->capture_default_str();
  init->add_option(
      "--normalisation", options.normalisation,
      "batch, batch_local, group or group_ws; batch_frozen needs imported weights and is refused (default:\n"
      "group_ws for small_cnn and ae_cfe, batch_frozen for the others)");
  init->add_option("--seed", options.seed, "The same seed gives the same bytes everywhere")->capture_default_str();
  init->add_option("--latent", options.latent, "Numbers of the latent; only with --architecture cell_autoencoder")
      ->check(CLI::Range(learning::kMinLatentSize, learning::kMaxLatentSize))
      ->capture_default_str();

  CLI::App* scale = app.add_subcommand(
      "scale-latents",
      "Add to an autoencoder's file how its latents are spread for plans over them (docs/extractor.md); prints the\n"
      "digest for such a plan's `autoencoder`");
  scale->add_option("autoencoder", options.autoencoder, "Autoencoder that hospitals trained together; only read")
      ->required()
      ->check(CLI::ExistingFile);
  scale->add_option("file", options.out, "Safetensors file to write")->required();
  scale
      ->add_option("--moments", options.moments,
                   "Each hospital's latent moments of the last round: objects of the consortium's folder, by the\n"
                   "digests in its log")
      ->required()
      ->check(CLI::ExistingFile);

  CLI::App* smears =
      app.add_subcommand("smears", "Draw a hospital's synthetic smears, with manifest.csv, to try things without data");
  smears->add_option("folder", options.out, "Folder to write")->required();
  smears->add_option("--hospital", options.hospital, "Look of the pictures")->required();
  smears->add_option("--pictures", options.count, "Pictures of each class")
      ->check(CLI::Range(4, 5000))
      ->capture_default_str();
  smears->add_option("--seed", options.seed, "The same seed draws the same cells")->capture_default_str();

  CLI::App* withdraw =
      app.add_subcommand("withdraw", "Use pictures no more, and have partners remove them that got them (sealed)");
  withdraw->add_option("folder", options.folder, "The lab's folder")->required()->check(CLI::ExistingDirectory);
  withdraw->add_option("pictures", options.withdrawn, "Each picture's file, or its SHA-256")->required();

  CLI::App* segment = app.add_subcommand(
      "segment",
      "Find the cell in each picture of a folder: crops, drawings and contact sheets of what was found, and a list of\n"
      "the pictures without a cell or with several. Classical (colour, Otsu, watershed) unless a trained detector is\n"
      "named: needs no training and no annotations. Stop it whenever you like; the same command goes on. Files and "
      "columns: docs/segment.md");
  segment->add_option("pictures", options.segment.pictures, "Folder of pictures; only read")
      ->required()
      ->check(CLI::ExistingDirectory);
  segment->add_option("output", options.segment.output, "Folder for the results, outside the pictures' folder")
      ->required();
  segment
      ->add_option("--min-score", options.segment.min_score,
                   "Cells with a lower score do not count (with --detector 0.5 unless given)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  const auto with_detector = [&](CLI::App* command) {
    command
        ->add_option("--detector", options.detector,
                     "A detector's file (hemafed-study ae-cfe detect) instead of the classical segmenter")
        ->check(CLI::ExistingFile);
  };
  with_detector(segment);
  segment->add_flag("--take-best", options.segment.take_best,
                    "Where several cells are found, go on with the one of the best score (otherwise the picture is\n"
                    "left)");
  segment->add_option("--side", options.segment.crop.side, "Pixels of a crop's side")
      ->check(CLI::Range(16, 1024))
      ->capture_default_str();
  segment->add_option("--margin-before", options.segment.crop.margin_before, "Pixels around the box, left and above")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  segment->add_option("--margin-after", options.segment.crop.margin_after, "The same, right and below")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();

  CLI::App* score = app.add_subcommand(
      "score-finder",
      "Compare what `segment` finds with cells that people marked (masks/ or boxes.csv); prints a table");
  with_detector(score);
  score->add_option("domains", options.domains, "Folders with manifest.csv and masks/ or boxes.csv")
      ->required()
      ->check(CLI::ExistingDirectory);
  score->add_flag("--train", options.training_part, "Training pictures instead of test pictures");

  CLI::App* sheet = app.add_subcommand("contact-sheet", "Draw what `smears` draws, of all hospitals, on one PNG");
  sheet->add_option("file", options.out, "PNG file to write")->required();
  sheet->add_option("--seed", options.seed, "As for smears")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  FileSystem& files = RealFileSystem();
  if (*serve) {
    Serve(options);
  } else if (*init && options.architecture == learning::kAutoencoderName) {
    if (!options.normalisation.empty()) {
      throw Error(ErrorCode::kInvalidInput, "--normalisation: cell_autoencoder has its own; leave it out");
    }
    const auto model = learning::InitialAutoencoder(options.latent, options.seed);
    // As other initial models note it (docs/model_file.md).
    const std::map<std::string, std::string> notes{{"hemafed.initial_seed", std::to_string(options.seed)}};
    std::cout << learning::SaveAutoencoder(files, options.out, model, notes).Hex() << "\n";
  } else if (*init) {
    if (init->count("--latent") > 0) {
      throw Error(ErrorCode::kInvalidInput, "--latent is for cell_autoencoder; " + options.architecture + " has none");
    }
    const auto architecture = learning::ArchitectureFromName(options.architecture);
    const auto normalisation = options.normalisation.empty() ? learning::NormalisationOf(architecture)
                                                             : learning::NormalisationFromName(options.normalisation);
    std::cout << learning::WriteInitialModel(files, options.out, architecture, options.seed, normalisation).Hex()
              << "\n";
  } else if (*scale) {
    ScaleLatents(files, options);
  } else if (*smears) {
    // A quarter is kept for testing, as in the real sample sets.
    const std::uint32_t test = options.count / 4;
    const auto written = learning::synthetic::WriteSyntheticHospital(
        files, options.out, learning::synthetic::HospitalProfileNamed(options.hospital),
        {.seed = options.seed, .train_per_class = options.count - test, .test_per_class = test});
    std::cout << written.pictures << " pictures in " << options.out << (written.was_there ? " (were there)" : "")
              << "\n";
  } else if (*withdraw) {
    WithdrawAll(options);
  } else if (*segment || *score) {
    // A detector says of many places that a cell could be there; the segmenter's score is no probability.
    if (!options.detector.empty() && segment->count("--min-score") == 0) options.segment.min_score = kDetectorScore;
    const std::unique_ptr<learning::CellFinder> finder = FinderOf(files, options);
    if (*segment) {
      RunSegment(files, *finder, options.segment);
    } else {
      RunScoreFinder(files, *finder, options.domains,
                     options.training_part ? learning::Split::kTrain : learning::Split::kTest);
    }
  } else if (*sheet) {
    const Bytes png = learning::synthetic::EncodeContactSheet({.seed = options.seed});
    WriteFileAtomically(files, options.out, AsText(png));
  }
  return 0;
}

}  // namespace
}  // namespace hemafed::trainer

int main(int argc, char** argv) {
  return hemafed::RunProgram("hemafed-train", [&] { return hemafed::trainer::Main(argc, argv); });
}
