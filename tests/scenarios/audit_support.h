// tests/scenarios/audit_support.h
// SPDX-License-Identifier: Apache-2.0
//
// What an auditor needs of a federation in a test: the trust file's content, the stored objects, a replay.
#pragma once

#include "auditor/audit.h"
#include "tests/scenarios/federation_harness.h"

namespace hemafed::testing_support {

// The keys as auditors get them outside the log.
inline auditor::Trust TrustOf(FederationHarness& harness) {
  auditor::Trust trust;
  trust.log_key = harness.service().log().key();
  trust.operator_key = harness.consortium().operator_key;
  for (const auto& [site, lab] : harness.service().state().roster()) trust.labs[site] = lab.statement_key;
  return trust;
}

// Of a folder with log/ and objects/: the coordinator's own, or a copy of it.
inline auditor::AuditResult Replay(FederationHarness& harness, const Path& folder) {
  return auditor::Audit(RealFileSystem(), TrustOf(harness),
                        {.folder = folder, .scratch = harness.root() / "scratch", .replay = true});
}
inline auditor::AuditResult Replay(FederationHarness& harness) {
  return Replay(harness, harness.root() / "consortium");
}

inline Path ObjectOf(const FederationHarness& harness, const Digest& digest) {
  return harness.root() / "consortium" / "objects" / digest.Hex().substr(0, 2) / digest.Hex().substr(2);
}

}  // namespace hemafed::testing_support
