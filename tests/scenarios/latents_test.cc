// SPDX-License-Identifier: Apache-2.0
//
// Plans whose model sees latents: the detector and the autoencoder that make them reach every lab, once, and the
// auditor misses them where they are gone.
#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/scenarios/audit_support.h"
#include "tests/scratch.h"

namespace hemafed {
namespace {

using testing_support::FederationHarness;
using testing_support::Scratch;

TEST(LatentPlans, EveryLabHoldsTheExtractorWhileItWorksAndAfterwards) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.latents = true});
  const ExtractorPlan extractor = harness.AdoptExtractor();
  ASSERT_TRUE(harness.Run());
  for (const std::string site : {"first", "second"}) {
    const agent::SiteFolder folder = harness.federation().FolderOf(site);
    for (const Digest& file : {extractor.detector, extractor.autoencoder}) {
      EXPECT_TRUE(RealFileSystem().Exists(JobFolder{folder.Jobs()}.Object(file))) << site;
    }
    EXPECT_EQ(DigestOfFile(RealFileSystem(), folder.FinalDetector()), extractor.detector) << site;
    EXPECT_EQ(DigestOfFile(RealFileSystem(), folder.FinalAutoencoder()), extractor.autoencoder) << site;
  }
  EXPECT_FALSE(Replay(harness).finding.has_value());
}

TEST(LatentPlans, NoTrainerIsAskedBeforeTheExtractorIsThere) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.latents = true});
  const ExtractorPlan extractor = harness.AdoptExtractor();
  const JobFolder jobs{harness.federation().FolderOf("first").Jobs()};
  bool asked = false;
  while (!harness.Run(1)) {
    const std::vector<std::string> todo = RealFileSystem().List(jobs.Todo());
    if (todo.empty()) continue;
    asked = true;
    for (const Digest& file : {extractor.detector, extractor.autoencoder}) {
      ASSERT_TRUE(RealFileSystem().Exists(jobs.Object(file))) << todo.front();
    }
  }
  EXPECT_TRUE(asked);
}

TEST(LatentPlans, AnAuditorMissesADetectorThatIsGone) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.latents = true});
  ASSERT_TRUE(harness.Run());
  std::filesystem::remove(ObjectOf(harness, harness.AdoptExtractor().detector));
  const auto result = Replay(harness);
  ASSERT_TRUE(result.finding.has_value());
  EXPECT_NE(result.finding->message.find("the plan's detector"), std::string::npos) << result.finding->message;
}

TEST(LatentPlans, NoTaskOpensWithoutTheExtractor) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {.latents = true});
  std::filesystem::remove(ObjectOf(harness, harness.AdoptExtractor().autoencoder));
  EXPECT_ERROR(ErrorCode::kInternal, "stands still: between tasks", (void)harness.Run());
  (void)harness.AdoptExtractor();
  EXPECT_TRUE(harness.Run());
}

TEST(LatentPlans, OtherLabsKeepNoExtractor) {
  const Scratch scratch;
  FederationHarness harness(scratch.path(), {});
  ASSERT_TRUE(harness.Run());
  EXPECT_FALSE(RealFileSystem().Exists(harness.federation().FolderOf("first").FinalDetector()));
}

}  // namespace
}  // namespace hemafed
