// SPDX-License-Identifier: Apache-2.0
#include "coordinator/consortium_folder.h"

#include "codec/plan.h"
#include "common/error.h"
#include "common/settings.h"

namespace hemafed::coordinator {

namespace {

constexpr std::size_t kMaxSettingsBytes = 16 << 10;
constexpr std::size_t kMaxEndpointBytes = 256;

}  // namespace

ConsortiumSettings ConsortiumSettings::Load(FileSystem& files, const Path& path) {
  auto table = Settings::Parse(ReadFile(files, path, kMaxSettingsBytes), path.string());
  ConsortiumSettings settings;
  settings.name = table.Text("name", kMaxNameBytes);
  settings.work_endpoint = table.Text("work_endpoint", kMaxEndpointBytes);
  settings.enrol_endpoint = table.Text("enrol_endpoint", kMaxEndpointBytes);
  settings.work_bind = table.Text("work_bind", kMaxEndpointBytes);
  settings.enrol_bind = table.Text("enrol_bind", kMaxEndpointBytes);
  settings.operator_key = table.Text("operator_key", 64);
  table.RequireAllRead();
  return settings;
}

std::string ConsortiumSettings::ToToml() const {
  return "# Written by `hemafed-coordinator init`; docs/operator_guide.md explains each line.\n"
         "name = \"" +
         name +
         "\"\n"
         "work_endpoint = \"" +
         work_endpoint +
         "\"    # what sites dial to work\n"
         "enrol_endpoint = \"" +
         enrol_endpoint +
         "\"   # what sites dial to join\n"
         "work_bind = \"" +
         work_bind +
         "\"        # what this machine listens on\n"
         "enrol_bind = \"" +
         enrol_bind +
         "\"\n"
         "operator_key = \"" +
         operator_key + "\"  # public key of the operator, who signs plans and the roster\n";
}

void CreateConsortium(FileSystem& files, const ConsortiumFolder& folder, ConsortiumSettings settings,
                      const Path& operator_key_file) {
  if (!IsPlainName(settings.name)) {
    throw Error(ErrorCode::kInvalidInput,
                "the consortium's name '" + settings.name + "' is not plain: use 1 to 48 of a-z, 0-9, '_' and '-'");
  }
  if (files.Exists(folder.SettingsFile())) {
    throw Error(ErrorCode::kConflict, folder.root.string() + " already holds a consortium; choose another folder");
  }
  for (const Path& each : {folder.Invites(), folder.Pending(), folder.Inbox(), folder.Scratch()}) {
    files.CreateFolders(each);
  }
  files.CreateFolders(folder.LogKey().parent_path(), 0700);
  if (!files.Exists(operator_key_file)) {
    if (operator_key_file.has_parent_path()) files.CreateFolders(operator_key_file.parent_path(), 0700);
    Ed25519KeyPair::Generate().Save(files, operator_key_file);
  }
  settings.operator_key = Ed25519KeyPair::Load(files, operator_key_file).PublicKey().Hex();
  Ed25519KeyPair::Generate().Save(files, folder.LogKey());
  wire::SaveCurveKeyPair(files, folder.ServerKey(), wire::GenerateCurveKeyPair());
  WriteFileAtomically(files, folder.SettingsFile(), settings.ToToml());
}

Consortium LoadConsortium(FileSystem& files, const ConsortiumFolder& folder) {
  if (!files.Exists(folder.SettingsFile())) {
    throw Error(ErrorCode::kNotFound,
                folder.root.string() + " holds no consortium; make one with `hemafed-coordinator init`");
  }
  auto settings = ConsortiumSettings::Load(files, folder.SettingsFile());
  const auto operator_key = Ed25519PublicKey::FromHex(settings.operator_key);
  if (!operator_key) {
    throw Error(ErrorCode::kInvalidInput,
                folder.SettingsFile().string() + ": operator_key is not 64 hexadecimal digits");
  }
  return {.folder = folder,
          .settings = std::move(settings),
          .log_key = Ed25519KeyPair::Load(files, folder.LogKey()),
          .server_key = wire::LoadCurveKeyPair(files, folder.ServerKey()),
          .operator_key = *operator_key};
}

}  // namespace hemafed::coordinator
