// SPDX-License-Identifier: Apache-2.0
//
// Three hospitals train the whole autoencoder together, simulated, stopped, replayed and written up. Only the describer
// of cells is a simple one.
#include <gtest/gtest.h>

#include "auditor/audit.h"
#include "learning/features/autoencoder/alignment.h"
#include "learning/features/autoencoder/autoencoder_file.h"
#include "learning/features/autoencoder/cell_batches.h"
#include "studies/federation/federation_outputs.h"
#include "studies/federation/federation_run.h"
#include "tests/expect_error.h"
#include "tests/learning/features/extractor/colour_describer.h"
#include "tests/studies/federation/simulation_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::ColourDescriber;
using testing_support::kHospitals;
using testing_support::Scratch;
using testing_support::World;

constexpr std::uint32_t kSide = 32;
constexpr std::uint32_t kLatent = 5;
constexpr std::uint64_t kWeightSeed = 4;

// First weights, and a file that stands for the detector.
struct Models {
  Scratch scratch;
  std::map<Digest, Path> files;
  Digest weights, detector;

  Models() {
    const Path model = scratch / "weights.safetensors", other = scratch / "detector";
    weights = learning::SaveAutoencoder(RealFileSystem(), model, learning::InitialAutoencoder(kLatent, kWeightSeed));
    files[weights] = model;
    WriteFileAtomically(RealFileSystem(), other, "detector");
    detector = Sha256Of("detector");
    files[detector] = other;
  }

  [[nodiscard]] std::string PlanText(const std::string& alignment) const {
    return R"(format = 2
name = "small"
seed = 7
classes = ["basophil", "eosinophil", "lymphocyte_typical", "monocyte", "neutrophil"]
[model]
architecture = "cell_autoencoder"
detector = ")" +
           detector.Hex() + R"("
latent = 5
input = 32
weights = ")" +
           weights.Hex() + R"("
[training]
steps = 2
batch = 3
learning_rate = 0.001
threads = 1
[strategy]
name = "alignment"
window = 10
)" + alignment +
           R"([rehearsal]
policy = "none"
[aggregation]
rule = "mean"
update = "int32"
norm_bound = 50.0
max_share = 0.5
[privacy]
min_pictures = 2
[[task]]
site = "matek-19"
with = ["int-20", "acevedo-20"]
rounds = 2
)";
  }
};

Models& AllModels() {
  static Models models;
  return models;
}

const std::string kAligned = "beta = 5.0\nsource = \"int-20\"\n";

// Cells are found once for the test program.
PictureShelf& Shelf() {
  static const Scratch scratch;
  static PictureShelf shelf(RealFileSystem(), scratch / "cache", {});
  static const bool added = [] {
    shelf.AddDescriber(ParsePlan(AllModels().PlanText(kAligned), "plan"), std::make_shared<ColourDescriber>(kSide));
    return true;
  }();
  (void)added;
  return shelf;
}

struct Stopped {};

struct Outcome {
  Digest root, model;
  std::map<std::string, MomentsReport> first_moments;
  std::vector<SiteLosses> losses;
};

std::optional<Outcome> RunIn(const Path& folder, std::uint64_t stop_at = UINT64_MAX) {
  const SystemClock clock;
  Outcome outcome;
  std::uint64_t observed = 0;
  try {
    Simulation simulation(RealFileSystem(), clock, Shelf(),
                          {.folder = folder,
                           .plan = AllModels().PlanText(kAligned),
                           .sites = World().sites,
                           .models = AllModels().files,
                           .key_seed = 7,
                           .made_from = Sha256Of("pictures")},
                          [&](const SimulationProgress&) {
                            if (++observed >= stop_at) throw Stopped{};
                          });
    simulation.Run();
    EXPECT_EQ(simulation.state().phase(), Phase::kClosed);
    outcome.root = simulation.log().root();
    outcome.model = simulation.state().model();
    simulation.log().ForEach(0, [&](std::uint64_t, std::string_view text) {
      const Entry entry = ParseEntry(text);
      const auto* said = std::get_if<StatementEntry>(&entry.body);
      if (said == nullptr) return;
      const JsonFields body(said->statement.body, "statement");
      if (said->statement.kind == StatementKind::kMoments && said->statement.round == 0) {
        outcome.first_moments[said->site] = MomentsReport::FromJson(body);
      }
      if (said->statement.kind == StatementKind::kUpdate) {
        const auto report = UpdateReport::FromJson(body);
        outcome.losses.push_back(
            {said->statement.round, said->site, report.loss_millionths, report.distillation_millionths});
      }
    });
  } catch (const Stopped&) {
    return std::nullopt;
  }
  return outcome;
}

// Of an undisturbed run in a folder of its own, once for the test program.
const Path& QuietFolder() {
  static const Scratch scratch;
  static const Path folder = scratch / "run";
  return folder;
}
const Outcome& Quiet() {
  static const Outcome outcome = RunIn(QuietFolder()).value();
  return outcome;
}

TEST(AutoencoderSimulation, HospitalsTrainTheAutoencoderTogetherAndTheAuditorMergesTheSame) {
  const Outcome& outcome = Quiet();
  EXPECT_NE(outcome.model, AllModels().weights);
  ASSERT_EQ(outcome.losses.size(), 6u) << "three hospitals, two rounds";
  for (const SiteLosses& losses : outcome.losses) {
    EXPECT_GT(losses.loss_millionths, 0u) << losses.site;
    EXPECT_GT(losses.domains_millionths, 0u) << losses.site << " is aligned with nobody";
    EXPECT_GT(losses.loss_millionths, 5 * losses.domains_millionths);
  }
  const Scratch scratch;
  const auto trust = auditor::Trust::Load(RealFileSystem(), QuietFolder() / "trust.json");
  const auto audit = auditor::Audit(RealFileSystem(), trust,
                                    {.folder = QuietFolder() / "consortium", .scratch = scratch / "s", .replay = true});
  EXPECT_FALSE(audit.finding.has_value()) << audit.finding->message;
  EXPECT_EQ(audit.aggregates, 2u);
  EXPECT_EQ(audit.model, outcome.model);
  // A lab can go on with what it has got.
  const agent::SiteFolder lab{QuietFolder() / "sites" / "acevedo-20"};
  EXPECT_EQ(learning::LoadAutoencoder(RealFileSystem(), lab.FinalAutoencoder()).latent_size(), kLatent);
}

TEST(AutoencoderSimulation, TheMomentsAreThoseOfEachHospitalsOwnTrainingCells) {
  const Plan plan = ParsePlan(AllModels().PlanText(kAligned), "plan");
  const auto model = learning::InitialAutoencoder(kLatent, kWeightSeed);
  for (const std::string site : kHospitals) {
    const auto pictures = Shelf().Open(World().sites.at(site), plan);
    const learning::FeatureCache cells = pictures->Cells();
    EXPECT_EQ(cells.size(), 30u) << "six training pictures of each of five classes";
    const MomentsReport& stated = Quiet().first_moments.at(site);
    EXPECT_EQ(stated.cells, cells.size());
    EXPECT_EQ(stated.values, learning::MomentsOf(learning::LatentsOf(model, cells)).Hash()) << site;
    EXPECT_NE(pictures->Report().find("cells of training pictures: 30"), std::string::npos) << pictures->Report();
  }
}

TEST(AutoencoderSimulation, StoppedAnywhereItEndsWithTheSameLogRoot) {
  for (const std::uint64_t stop_at : {9u, 22u, 34u}) {
    const Scratch scratch;
    EXPECT_FALSE(RunIn(scratch / "run", stop_at).has_value()) << "stopped at " << stop_at;
    const auto outcome = RunIn(scratch / "run");
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->root, Quiet().root) << "stopped at " << stop_at;
  }
}

TEST(AutoencoderStudy, ShowsLossesInsteadOfAccuracies) {
  const Scratch scratch;
  const SystemClock clock;
  SiteList sites;
  for (const auto& [name, settings] : World().sites) sites.sites.push_back({.settings = settings, .without = {}});
  const FederationPlace place{.files = &RealFileSystem(),
                              .clock = &clock,
                              .shelf = &Shelf(),
                              .sites = &sites,
                              .folder = scratch / "runs",
                              .keep_updates = false};
  const FederationRun run{
      .arm = "together", .plan = AllModels().PlanText(kAligned), .seed = 7, .models = AllModels().files, .poison = {}};
  const auto quiet = [](const std::string&, std::uint64_t) {};
  const FederationResult result = MakeRun(place, run, quiet);
  EXPECT_EQ(result.audit, "ok");
  EXPECT_EQ(result.model, Quiet().model);
  EXPECT_TRUE(result.columns.empty());
  EXPECT_EQ(result.losses, Quiet().losses);
  EXPECT_EQ(result.trained_sites, (std::vector<std::string>{"matek-19", "int-20", "acevedo-20"}));
  // What is read back is the same.
  const FederationResult again = MakeRun(place, run, quiet);
  EXPECT_EQ(again.losses, result.losses);
  EXPECT_EQ(again.ToText(), result.ToText());

  const FederationOutcome outcome{.comparisons = {},
                                  .autoencoders = {{.name = "together", .seeds = {7, 8}, .results = {result, result}}},
                                  .stood_still = {}};
  RunRecord record;
  record.study = "federation";
  record.program_version = "1";
  record.torch_version = "2";
  record.command_line = {"test"};
  record.settings = nlohmann::json::object();
  record.machine = {{"device", "cpu"}};
  WriteFederationStudy(RealFileSystem(), scratch / "out", outcome, record);
  const std::string text = FederationText(outcome);
  EXPECT_NE(text.find("together: loss and alignment by round and hospital"), std::string::npos) << text;
  EXPECT_NE(text.find("int-20 alignment"), std::string::npos) << text;
  const auto read = [&](const char* name) { return ReadFile(RealFileSystem(), scratch / "out" / name, 1 << 22); };
  const std::string csv = read("losses.csv");
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "plan,seed,round,site,loss,alignment");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 2 * 6);
  const auto summary = nlohmann::json::parse(read("summary.json"));
  EXPECT_EQ(summary.at("autoencoders").at("together").at(1).at("losses").size(), 6u);
  EXPECT_NE(read("report.html").find("loss of each hospital"), std::string::npos);
}

}  // namespace
}  // namespace hemafed::studies
