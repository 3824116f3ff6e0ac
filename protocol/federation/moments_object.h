// protocol/federation/moments_object.h
// SPDX-License-Identifier: Apache-2.0
//
// The file of latent moments that goes with a statement, as agent, coordinator and auditor alike judge it. What cannot
// hold for any cells is refused when it is read (codec/latent_moments.h).
//
// Thread-safety: free function.
#pragma once

#include <optional>
#include <string>

#include "codec/latent_moments.h"
#include "codec/plan.h"
#include "codec/reports.h"
#include "common/file_system.h"

namespace hemafed {

// Why the file does not hold the moments that the report describes, or holds such as may not leave a lab; nothing if it
// does and they may. `moments`, if given, receives them.
[[nodiscard]] std::optional<std::string> WhyNoMoments(const ReadableFile& file, const MomentsReport& report,
                                                      const Plan& plan,
                                                      std::optional<LatentMoments>* moments = nullptr);

}  // namespace hemafed
