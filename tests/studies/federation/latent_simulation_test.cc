// SPDX-License-Identifier: Apache-2.0
//
// A whole plan over latents (architecture ae_cfe), simulated and replayed: what trainer, agent, coordinator and auditor
// do with it. The extractor is a simple one, the real one has tests of its own.
#include <gtest/gtest.h>

#include <opencv2/imgproc.hpp>

#include "auditor/audit.h"
#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/studies/federation/simulation_fixture.h"

namespace hemafed::studies {
namespace {

using testing_support::Scratch;
using testing_support::SimulatedPlan;
using testing_support::World;

constexpr std::uint32_t kSide = 32;  // The plan's input.

// Colours of the 4 x 4 parts of the picture, in -1..1, and two zeros: 50 numbers.
class CoarseColours final : public learning::LatentExtractor {
 public:
  [[nodiscard]] const Digest& digest() const override { return digest_; }
  [[nodiscard]] std::uint32_t side() const override { return kSide; }
  [[nodiscard]] std::size_t width() const override { return 50; }
  [[nodiscard]] learning::PictureLatent Latent(const cv::Mat& rgb) const override {
    cv::Mat small;
    cv::resize(rgb, small, cv::Size(4, 4), 0, 0, cv::INTER_AREA);
    learning::PictureLatent latent{.values = std::vector<float>(50)};
    for (int i = 0; i < 48; ++i)
      latent.values[static_cast<std::size_t>(i)] = static_cast<float>(small.data[i]) / 127.5F - 1;
    return latent;
  }

 private:
  Digest digest_ = Sha256Of("coarse colours");
};

// Files that stand for detector and autoencoder, and first weights of the small network over latents.
struct Models {
  Scratch scratch;
  std::map<Digest, Path> files;
  ExtractorPlan extractor;
  Digest weights;

  Models() {
    const auto add = [&](const std::string& content) {
      const Path file = scratch / content;
      WriteFileAtomically(RealFileSystem(), file, content);
      files[Sha256Of(content)] = file;
      return Sha256Of(content);
    };
    extractor = {.detector = add("detector"), .autoencoder = add("autoencoder")};
    const Path file = scratch / "weights.safetensors";
    weights = learning::WriteInitialModel(RealFileSystem(), file, learning::Architecture::kAeCfe, 1);
    files[weights] = file;
  }

  [[nodiscard]] std::string PlanText() const {
    std::string text = testing_support::LatentPlanText(SimulatedPlan(7), extractor);
    const std::string old = World().weights_digest.Hex();
    return text.replace(text.find(old), old.size(), weights.Hex());
  }
};

TEST(LatentSimulation, APlanOverLatentsIsLearnedAndReplays) {
  const Models models;
  const Scratch scratch;
  const SystemClock clock;
  const std::string text = models.PlanText();
  const Plan plan = ParsePlan(text, "plan");
  PictureShelf shelf(RealFileSystem(), scratch / "cache", {});
  EXPECT_FALSE(shelf.HasExtractor(plan));
  shelf.AddExtractor(plan, std::make_shared<CoarseColours>());
  EXPECT_TRUE(shelf.HasExtractor(plan));
  EXPECT_FALSE(shelf.HasExtractor(ParsePlan(SimulatedPlan(7), "plan")));
  const auto run = [&](const Path& folder) {
    Simulation simulation(RealFileSystem(), clock, shelf,
                          {.folder = folder,
                           .plan = text,
                           .sites = World().sites,
                           .models = models.files,
                           .key_seed = 7,
                           .made_from = Sha256Of("pictures")},
                          {});
    simulation.Run();
    EXPECT_EQ(simulation.state().phase(), Phase::kClosed);
    EXPECT_EQ(simulation.state().matrix().rows(), plan.tasks.size());
    const auto trust = auditor::Trust::Load(RealFileSystem(), simulation.TrustFile());
    const auto result = auditor::Audit(RealFileSystem(), trust,
                                       {.folder = folder / "consortium", .scratch = folder / "audit", .replay = true});
    EXPECT_FALSE(result.finding.has_value()) << result.finding->message;
    return simulation.state().model();
  };
  const Digest model = run(scratch / "one");
  EXPECT_EQ(run(scratch / "two"), model) << "the same plan and pictures";
  // What the labs' trainers were given are latents, not pixels.
  const auto pictures = shelf.Open(World().sites.begin()->second, plan);
  const auto batch = pictures->Train(plan.tasks[0].classes)->Get(std::vector<std::uint32_t>{0, 1}, std::nullopt);
  EXPECT_EQ(batch.images.sizes(), (std::vector<std::int64_t>{2, 50, 1, 1}));
  EXPECT_NE(pictures->Report().find("latents: "), std::string::npos);
}

// What the hospitals of a simulated plan say of their latents, in the order of the log.
std::vector<std::string> SaidOfLatents(const RoundLogWriter& log) {
  std::vector<std::string> said;
  log.ForEach(0, [&](std::uint64_t, std::string_view text) {
    const Entry entry = ParseEntry(text);
    const auto* statement = std::get_if<StatementEntry>(&entry.body);
    if (statement == nullptr) return;
    const StatementKind kind = statement->statement.kind;
    if (kind != StatementKind::kDrift && kind != StatementKind::kMoments) return;
    said.push_back(statement->site + " " + std::string(StatementKindName(kind)) + " " +
                   statement->statement.body.dump());
  });
  return said;
}

TEST(LatentSimulation, HospitalsAreComparedBeforeTheyTrainAndTheSameEveryTime) {
  const Models models;
  const Scratch scratch;
  const SystemClock clock;
  const std::string plan_text = models.PlanText() + "[drift]\npermutations = 99\nrows = 100\n";
  const Plan plan = ParsePlan(plan_text, "plan");
  PictureShelf shelf(RealFileSystem(), scratch / "cache", {});
  shelf.AddExtractor(plan, std::make_shared<CoarseColours>());
  const auto run = [&](const Path& folder) {
    Simulation simulation(RealFileSystem(), clock, shelf,
                          {.folder = folder,
                           .plan = plan_text,
                           .sites = World().sites,
                           .models = models.files,
                           .key_seed = 7,
                           .made_from = Sha256Of("pictures")},
                          {});
    simulation.Run();
    EXPECT_EQ(simulation.state().phase(), Phase::kClosed);
    EXPECT_EQ(simulation.state().described().size(), plan.tasks.size());
    const auto trust = auditor::Trust::Load(RealFileSystem(), simulation.TrustFile());
    const auto result = auditor::Audit(RealFileSystem(), trust,
                                       {.folder = folder / "consortium", .scratch = folder / "audit", .replay = true});
    EXPECT_FALSE(result.finding.has_value()) << result.finding->message;
    return SaidOfLatents(simulation.log());
  };
  const std::vector<std::string> said = run(scratch / "one");
  ASSERT_EQ(said.size(), 2 * plan.tasks.size() - 1) << "the first hospital has nobody to be compared with";
  EXPECT_NE(said[1].find(plan.tasks[1].site + " drift "), std::string::npos) << said[1];
  EXPECT_NE(said[1].find("mmd2_unbiased_millionths"), std::string::npos) << said[1];
  EXPECT_EQ(run(scratch / "two"), said);
}

}  // namespace
}  // namespace hemafed::studies
