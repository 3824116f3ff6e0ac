// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/site_list.h"

#include <gtest/gtest.h>

#include "tests/expect_error.h"
#include "tests/protocol/federation/consortium_fixture.h"
#include "tests/scratch.h"

namespace hemafed::studies {
namespace {

using testing_support::Scratch;

// An entry, and what else it says.
std::string Site(const std::string& name, const std::string& more = {}) {
  std::string text = "[[site]]\nfolder = \"pictures\"\nlayout = \"manifest\"\nlabels = \"map.toml\"\nname = \"";
  text.append(name).append("\"\n").append(more);
  return text;
}

class SiteListTest : public testing::Test {
 protected:
  SiteList Load(const std::vector<std::string>& entries) {
    std::string text = "format = 1\n";
    for (const std::string& entry : entries) text += entry;
    WriteFileAtomically(RealFileSystem(), scratch_ / "sites.toml", text);
    return SiteList::Load(RealFileSystem(), scratch_ / "sites.toml", "/data");
  }
  Scratch scratch_;
  Plan plan_ = ParsePlan(testing_support::SmallPlanText(Sha256Of("weights")), "plan");
};

TEST_F(SiteListTest, FoldersLieBelowTheDataAndLabelMapsBesideTheList) {
  const SiteList list = Load({Site("first")});
  EXPECT_EQ(list.At("first").settings.pictures, Path("/data/pictures"));
  EXPECT_EQ(list.At("first").settings.labels, scratch_ / "map.toml");
  EXPECT_FALSE(list.At("first").scores_all);
}

TEST_F(SiteListTest, WhatThePlanDoesNotNameIsUnseen) {
  const SiteList list =
      Load({Site("first"), Site("second"), Site("third", "scored = \"all\"\nwithout = [\"_aug\"]\n")});
  list.RequireFor(plan_, "plan");
  EXPECT_EQ(list.Unseen(plan_), std::vector<std::string>{"third"});
  EXPECT_TRUE(list.At("third").scores_all);
}

TEST_F(SiteListTest, RefusesWhatCannotBeMeant) {
  EXPECT_ERROR(ErrorCode::kInvalidInput, "'second'", Load({Site("first")}).RequireFor(plan_, "plan"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "listed twice", (void)Load({Site("first"), Site("first")}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "plain name", (void)Load({Site("A b")}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "scored", (void)Load({Site("first", "scored = \"most\"\n")}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "folders", (void)Load({Site("first", "folders = \"x\"\n")}));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "test pictures alone",
               Load({Site("first", "scored = \"all\"\n"), Site("second")}).RequireFor(plan_, "plan"));
}

TEST_F(SiteListTest, TheRepositorysOwnListIsRead) {
  const SiteList list =
      SiteList::Load(RealFileSystem(), HEMAFED_SOURCE_DIR "/configs/federations/sample_sites.toml", "/data");
  EXPECT_EQ(list.sites.size(), 4u);
  for (const ListedSite& site : list.sites) EXPECT_TRUE(RealFileSystem().Exists(site.settings.labels));
}

}  // namespace
}  // namespace hemafed::studies
