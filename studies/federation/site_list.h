// studies/federation/site_list.h
// SPDX-License-Identifier: Apache-2.0
//
// Where the pictures of a simulation's sites are: a TOML file (docs/federation_study.md), folders below the study's
// data folder.
//
//     format = 1
//     [[site]]
//     name = "raabin"                        # as in the plan
//     folder = "raabin"                      # below --data
//     layout = "manifest"                    # or "folders"
//     labels = "../labels/five_wbc.toml"     # relative to this file
//     scored = "test"                        # or "all": of a site that no plan trains at, all pictures
//     without = ["_aug"]                     # leaves out pictures whose path holds this; such sites only; may be
//     missing
//
// A site of the list that a plan does not name is an unseen hospital: every model is scored there too.
//
// Errors: kInvalidInput with file, line and column. Thread-safety: value type.
#pragma once

#include <string>
#include <vector>

#include "codec/plan.h"
#include "codec/site_settings.h"
#include "common/file_system.h"

namespace hemafed::studies {

struct ListedSite {
  SiteSettings settings;
  bool scores_all = false;           // Training pictures are scored too.
  std::vector<std::string> without;  // Parts of paths.
};

struct SiteList {
  std::string text;
  std::vector<ListedSite> sites;

  [[nodiscard]] static SiteList Load(FileSystem& files, const Path& path, const Path& data_folder);
  // Every site of the plans in the folder of its name, with manifest.csv, by one label map.
  [[nodiscard]] static SiteList ByName(const std::vector<Plan>& plans, const Path& labels, const Path& data_folder);

  // Throws kInvalidInput naming a site of the plan that is not listed, or whose test part the list would change.
  void RequireFor(const Plan& plan, const std::string& where) const;
  [[nodiscard]] const ListedSite& At(const std::string& name) const;
  // Listed sites that the plan does not name.
  [[nodiscard]] std::vector<std::string> Unseen(const Plan& plan) const;
};

}  // namespace hemafed::studies
