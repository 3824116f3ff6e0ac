// coordinator/published_state.h
// SPDX-License-Identifier: Apache-2.0
//
// The federation's state as anybody can read it from the published log, for commands that run beside the coordinator:
// they never open the journal, which belongs to the running process.
//
// Errors: kNotFound before the first run, kCorrupt with the entry's number. Thread-safety: free function.
#pragma once

#include <optional>
#include <string>

#include "coordinator/consortium_folder.h"
#include "protocol/federation/federation_state.h"
#include "protocol/log/note.h"

namespace hemafed::coordinator {

// The key that auditors check the log with.
[[nodiscard]] NoteKey LogKeyOf(const Consortium& consortium);
[[nodiscard]] FederationState ReadPublishedState(FileSystem& files, const Consortium& consortium);
// The consortium's report on it (protocol/report/consortium_report.h): its text, and all its files where a folder is
// given. kConflict where there is no plan yet.
[[nodiscard]] std::string ReportPublished(FileSystem& files, const Consortium& consortium,
                                          const std::optional<Path>& folder);

}  // namespace hemafed::coordinator
