// SPDX-License-Identifier: Apache-2.0
#include "studies/federation/site_list.h"

#include <algorithm>
#include <set>

#include "common/error.h"
#include "common/settings.h"

namespace hemafed::studies {

namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxPatterns = 16;  // More than one kind of made-up picture a folder has not been seen.
constexpr std::size_t kMaxPatternBytes = 64;

const ListedSite* Find(const std::vector<ListedSite>& sites, const std::string& name) {
  const auto found =
      std::find_if(sites.begin(), sites.end(), [&](const ListedSite& site) { return site.settings.site == name; });
  return found == sites.end() ? nullptr : &*found;
}

}  // namespace

SiteList SiteList::Load(FileSystem& files, const Path& path, const Path& data_folder) {
  SiteList list;
  list.text = ReadFile(files, path, kMaxSettingsBytes);
  const Settings settings = Settings::Parse(list.text, path.string());
  (void)settings.Integer("format", kFormat, kFormat);
  const Path here = std::filesystem::absolute(path).parent_path();
  for (const Settings& table : settings.Tables("site", kMaxSites)) {
    ListedSite site;
    site.settings.site = table.Text("name", kMaxNameBytes, {"a plain name: a-z, 0-9, '_' and '-'", IsPlainName});
    if (Find(list.sites, site.settings.site) != nullptr) table.Fail("name", "is listed twice");
    site.settings.pictures = data_folder / table.Text("folder", kMaxPathBytes);
    site.settings.layout = static_cast<PictureLayout>(table.Choice("layout", {"manifest", "folders"}));
    site.settings.labels = (here / table.Text("labels", kMaxPathBytes)).lexically_normal();
    site.scores_all = table.Choice("scored", {"test", "all"}, 0) == 1;
    if (table.Has("without")) site.without = table.TextList("without", 1, kMaxPatterns, kMaxPatternBytes);
    list.sites.push_back(std::move(site));
  }
  settings.RequireAllRead();
  return list;
}

SiteList SiteList::ByName(const std::vector<Plan>& plans, const Path& labels, const Path& data_folder) {
  SiteList list;
  std::set<std::string> names;
  for (const Plan& plan : plans) {
    for (const std::string& site : plan.Sites()) names.insert(site);
  }
  for (const std::string& name : names) {
    list.sites.push_back({.settings = {.site = name,
                                       .pictures = data_folder / name,
                                       .layout = PictureLayout::kManifest,
                                       .labels = labels},
                          .without = {}});
  }
  return list;
}

void SiteList::RequireFor(const Plan& plan, const std::string& where) const {
  for (const std::string& name : plan.Sites()) {
    const ListedSite* site = Find(sites, name);
    if (site == nullptr) {
      throw Error(ErrorCode::kInvalidInput,
                  where + " has the site '" + name + "', which the list of sites does not name");
    }
    if (site->scores_all || !site->without.empty()) {
      throw Error(ErrorCode::kInvalidInput, where + " trains at '" + name +
                                                "', which is scored on its test pictures alone: remove 'scored' and "
                                                "'without' from its entry in the list of sites");
    }
  }
}

const ListedSite& SiteList::At(const std::string& name) const {
  const ListedSite* site = Find(sites, name);
  if (site == nullptr) throw Error(ErrorCode::kInternal, "no site is listed as " + name);
  return *site;
}

std::vector<std::string> SiteList::Unseen(const Plan& plan) const {
  const std::vector<std::string> trained = plan.Sites();
  std::vector<std::string> unseen;
  for (const ListedSite& site : sites) {
    if (std::find(trained.begin(), trained.end(), site.settings.site) == trained.end()) {
      unseen.push_back(site.settings.site);
    }
  }
  return unseen;
}

}  // namespace hemafed::studies
