// auditor/audited_report.h
// SPDX-License-Identifier: Apache-2.0
//
// The consortium's report (protocol/report/consortium_report.h) by somebody who trusts nobody's summary: the log is
// verified first, and every figure is computed from the sites' signed integers. The files are, byte for byte, those
// that the operator's program writes from the same log.
//
// Errors: as Audit; kConflict where the log has no plan yet. Thread-safety: one thread.
#pragma once

#include <optional>
#include <string>

#include "auditor/audit.h"

namespace hemafed::auditor {

struct AuditedReport {
  AuditResult audit;
  std::string text;  // Empty where the audit has a finding; then nothing was written either.
};

// `folder` has log/ and objects/ and is only read; the report's files go to `out`, if given.
[[nodiscard]] AuditedReport WriteAuditedReport(FileSystem& files, const Trust& trust, const Path& folder,
                                               const std::optional<Path>& out);

}  // namespace hemafed::auditor
