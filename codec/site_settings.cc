// SPDX-License-Identifier: Apache-2.0
#include "codec/site_settings.h"

#include "codec/plan.h"
#include "common/error.h"
#include "common/settings.h"

namespace hemafed {

namespace {

constexpr std::size_t kMaxPathBytes = 1024;

// A TOML basic string; paths may hold quotes and backslashes.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      throw Error(ErrorCode::kInvalidInput, "the path '" + text + "' holds a control character; rename the folder");
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::string SiteSettings::ToToml() const {
  return "# This lab's settings. Paths are absolute or relative to this file.\n"
         "site = " +
         Quoted(site) +
         "\n\n"
         "[pictures]\n"
         "folder = " +
         Quoted(pictures.string()) +
         "\n"
         "layout = " +
         Quoted(layout == PictureLayout::kManifest ? "manifest" : "folders") +
         "   # manifest: manifest.csv beside the pictures; folders: one folder per class\n"
         "labels = " +
         Quoted(labels.string()) + "   # from the pictures' labels to the consortium's classes\n";
}

SiteSettings SiteSettings::Load(FileSystem& files, const Path& path) {
  const Settings settings = Settings::Load(files, path);
  SiteSettings site;
  site.site = settings.Text("site", kMaxNameBytes, {"a plain name: a-z, 0-9, '_' and '-'", IsPlainName});
  const Settings pictures = settings.Table("pictures");
  const Path folder = std::filesystem::absolute(path).parent_path();
  // An absolute right-hand side replaces the left one.
  site.pictures = folder / pictures.Text("folder", kMaxPathBytes);
  site.layout = static_cast<PictureLayout>(pictures.Choice("layout", {"manifest", "folders"}));
  site.labels = folder / pictures.Text("labels", kMaxPathBytes);
  settings.RequireAllRead();
  return site;
}

}  // namespace hemafed
