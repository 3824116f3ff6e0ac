// coordinator/consortium_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// Where a coordinator keeps things, and the keys it cannot run without.
//
//     consortium.toml     name, endpoints
//     keys/log.pem        signs checkpoints               keys/server.key   CURVE key of both endpoints
//     log/                the round log: the only source of truth
//     objects/ tmp/       models, updates and plans by digest; scratch/ for those being computed
//     uploads/            update files on their way in, until they are logged
//     invites/ pending/   open invitations; labs that presented theirs
//     inbox/              signed decisions of the operator that the running coordinator has not yet logged
//
// The operator's key stays outside: every decision is signed by a command and left in inbox/. So a coordinator that is
// broken into can neither admit a lab nor change a plan.
//
// Errors: kConflict if a consortium is already there, kNotFound if none is. Thread-safety: value types.
#pragma once

#include <string>

#include "common/file_system.h"
#include "protocol/identity/ed25519.h"
#include "protocol/wire/curve.h"

namespace hemafed::coordinator {

struct ConsortiumFolder {
  Path root;

  [[nodiscard]] Path SettingsFile() const { return root / "consortium.toml"; }
  [[nodiscard]] Path LogKey() const { return root / "keys" / "log.pem"; }
  [[nodiscard]] Path ServerKey() const { return root / "keys" / "server.key"; }
  [[nodiscard]] Path Log() const { return root / "log"; }
  [[nodiscard]] Path Invites() const { return root / "invites"; }
  [[nodiscard]] Path Pending() const { return root / "pending"; }
  [[nodiscard]] Path Inbox() const { return root / "inbox"; }
  [[nodiscard]] Path Uploads() const { return root / "uploads"; }
  [[nodiscard]] Path Scratch() const { return root / "scratch"; }
  [[nodiscard]] Path StatusFile() const { return root / "status.json"; }
};

struct ConsortiumSettings {
  std::string name;           // Plain name; origin of the log.
  std::string work_endpoint;  // What sites dial, e.g. "tcp://coordinator.example:7301".
  std::string enrol_endpoint;
  std::string work_bind;  // What the coordinator binds, e.g. "tcp://*:7301".
  std::string enrol_bind;
  std::string operator_key;  // Public, hexadecimal.

  [[nodiscard]] static ConsortiumSettings Load(FileSystem& files, const Path& path);
  [[nodiscard]] std::string ToToml() const;
};

// A consortium's own keys and settings, loaded.
struct Consortium {
  ConsortiumFolder folder;
  ConsortiumSettings settings;
  Ed25519KeyPair log_key;
  wire::CurveKeyPair server_key;
  Ed25519PublicKey operator_key;
};

// Makes the folder, its keys and, where `operator_key_file` is missing, the operator's key.
void CreateConsortium(FileSystem& files, const ConsortiumFolder& folder, ConsortiumSettings settings,
                      const Path& operator_key_file);
[[nodiscard]] Consortium LoadConsortium(FileSystem& files, const ConsortiumFolder& folder);

}  // namespace hemafed::coordinator
