// site_agent/launcher/site_programs.h
// SPDX-License-Identifier: Apache-2.0
//
// Who may reach what at a lab (design, sections 2 and 7):
//
//                        agent (network)      trainer (pictures)
//     keys               read, write          -
//     jobs               read, write          read, write
//     trainer folders    -                    read, write      vault and its keys, checkpoints, indexes
//     pictures           -                    read
//     system             read                 read             programs, libraries, /etc, /proc; trainer: /sys, GPUs
//     everything else    -                    -
//
// Thread-safety: free functions; TrainerRestrictions and AgentRestrictions may fork (LibraryFolders).
#pragma once

#include <vector>

#include "site_agent/launcher/restrictions.h"

namespace hemafed {

struct SiteFolders {
  Path keys;                           // The lab's network and signing keys.
  Path jobs;                           // codec/job_folder.h.
  std::vector<Path> trainer;           // The vault with its keys, checkpoints, indexes.
  std::vector<Path> pictures;          // May hold other folders of this list; those are granted by name.
  std::vector<Path> agent_settings;    // Files or folders that the agent also reads.
  std::vector<Path> trainer_settings;  // Files or folders that the trainer also reads: label maps, weights.
};

// `program` is the absolute path of the agent's program; it and its libraries become readable.
[[nodiscard]] Restrictions AgentRestrictions(const SiteFolders& folders, const Path& program);

// As above for the trainer. `network`: kNone, or kLoopbackOnly for several devices. Files are restricted where the
// machine can; a trainer without that is still without network.
[[nodiscard]] Restrictions TrainerRestrictions(const SiteFolders& folders, const Path& program,
                                               NetworkPolicy network = NetworkPolicy::kNone);

}  // namespace hemafed
