// site_agent/launcher/restrictions.h
// SPDX-License-Identifier: Apache-2.0
//
// All restrictions of one program in one place, and the order in which they are put on: network namespace, files,
// privileges, system call filter. Every step only takes away; none can be undone by the program, as any user.
//
// Which mechanism holds is decided before the process is forked, by trying on this machine (ChooseMechanisms), so that
// a step which then fails is an error and never a silent gap.
//
//     files     Landlock from ABI 2 on; otherwise a private root; otherwise nothing, which is an error where
//               `files_required` (the agent)
//     network   kNone: namespace and filter; where namespaces are not permitted, the filter alone
//               kLoopbackOnly: the namespace is required
//
// The mechanisms can be forced, for hosts where one is unwanted and for tests of each branch.
//
// Thread-safety: ApplyRestrictions acts on the whole process, which must have one thread.
#pragma once

#include <functional>
#include <string>

#include "site_agent/launcher/access_rules.h"
#include "site_agent/launcher/network_isolation.h"

namespace hemafed {

enum class FileMechanism : std::uint8_t { kAutomatic, kLandlock, kPrivateRoot, kNone };
enum class NetworkMechanism : std::uint8_t {
  kAutomatic,
  kNamespaceOnly,  // The filter leaves TCP sockets, as under kLoopbackOnly.
  kFilterOnly,
};

struct Restrictions {
  AccessRules files;
  bool files_required = true;
  NetworkPolicy network = NetworkPolicy::kOutbound;
  FileMechanism file_mechanism = FileMechanism::kAutomatic;
  NetworkMechanism network_mechanism = NetworkMechanism::kAutomatic;
  int newest_landlock_abi = 1000;  // A smaller number behaves as an older kernel would.
};

// What will be, or is, enforced.
struct Mechanisms {
  FileMechanism files = FileMechanism::kNone;  // Never kAutomatic.
  int landlock_abi = 0;                        // Enforced ABI; 0 without Landlock.
  bool network_namespace = false;
  NetworkPolicy filter = NetworkPolicy::kNone;
  std::string remark;  // Why something weaker than usual was chosen; empty otherwise.

  // "files: Landlock ABI 7; network: own namespace and system call filter"
  [[nodiscard]] std::string Describe() const;
};

// Throws Error(kUnavailable) when this machine cannot enforce what is required or forced, with what to change;
// Error(kNotFound) or Error(kInvalidInput) as CheckAccessRules does.
[[nodiscard]] Mechanisms ChooseMechanisms(const Restrictions& restrictions);

// Restricts the calling process for good and moves it to `working_folder` (a granted path; empty: "/").
// `before_filter` runs after the last change of credentials and before the filter, if given.
// Throws Error(kUnavailable) when a step fails; the process must then end.
void ApplyRestrictions(const Restrictions& restrictions, const Mechanisms& mechanisms, const Path& working_folder,
                       const std::function<void()>& before_filter = {});

}  // namespace hemafed
