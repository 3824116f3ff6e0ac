// site_agent/agent/agree.h
// SPDX-License-Identifier: Apache-2.0
//
// The lab's people say yes to pictures travelling under a plan, or take it back: run by a person (`hemafed-site
// agree`), never by agent or trainer. Writes protocol/federation/lab_agreement.h for both sides.
//
// Taking it back ends it for this plan: what has not been sent is not sent, what has not been taken in is not taken in.
// Pictures that a recipient holds stay there.
//
// Errors: kRefused: the plan moves no pictures of this lab, or the named labs are not those that it names; kConflict:
// there is an agreement already, or it was taken back. Thread-safety: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/plan.h"
#include "common/file_system.h"
#include "site_agent/agent/site_folder.h"

namespace hemafed::agent {

// What would travel between this lab and others under the plan, in plain words.
[[nodiscard]] std::string ExplainExchange(const Plan& plan, const std::string& site);

// `partners` must be all labs that the plan gives this one, named by a person who read the plan.
void Agree(FileSystem& files, const SiteFolder& folder, std::string_view plan_text,
           const std::vector<std::string>& partners);

void EndAgreement(FileSystem& files, const SiteFolder& folder);

}  // namespace hemafed::agent
