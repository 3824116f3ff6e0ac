// SPDX-License-Identifier: Apache-2.0
#include "auditor/audited_report.h"

#include "protocol/report/consortium_report.h"

namespace hemafed::auditor {

AuditedReport WriteAuditedReport(FileSystem& files, const Trust& trust, const Path& folder,
                                 const std::optional<Path>& out) {
  AuditedReport result;
  FederationHistory history([&](const Digest& digest) { return files.OpenForRead(AuditedObject(folder, digest)); });
  AuditOptions options{.folder = folder};
  options.on_entry = [&](const FederationState& before, const Entry& entry) { history.Add(before, entry); };
  options.on_agreement = [&](const FederationState& state, const AuditResult& audit) {
    const ConsortiumReport report(state, history, {.entries = audit.entries, .root = audit.root});
    result.text = report.Text();
    if (out) report.WriteTo(files, *out);
  };
  result.audit = Audit(files, trust, options);
  return result;
}

}  // namespace hemafed::auditor
