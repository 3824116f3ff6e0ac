// auditor/trust.h
// SPDX-License-Identifier: Apache-2.0
//
// The short file that an auditor starts from, obtained outside the log (`hemafed-coordinator trust`, compared with the
// labs):
//
//     {"log": "<note key>", "operator": "<hex>", "labs": {"munich": "<hex of its statement key>", ...}}
//
// Errors: Error(kInvalidInput) names file and field. Thread-safety: value type.
#pragma once

#include <map>
#include <string>

#include "common/file_system.h"
#include "protocol/federation/entries.h"
#include "protocol/log/note.h"

namespace hemafed::auditor {

struct Trust {
  NoteKey log_key;
  Ed25519PublicKey operator_key;
  std::map<std::string, Ed25519PublicKey> labs;

  [[nodiscard]] static Trust Load(FileSystem& files, const Path& path);

  // Whether an entry speaks only with keys of this file; throws Error(kRefused) naming the key that is not.
  void RequireKnown(const EntryBody& entry) const;
};

}  // namespace hemafed::auditor
