// coordinator/preview.h
// SPDX-License-Identifier: Apache-2.0
//
// What a plan will do, in words and numbers, before anybody signs it. Thread-safety: free function.
#pragma once

#include <string>

#include "codec/plan.h"

namespace hemafed::coordinator {

[[nodiscard]] std::string PreviewPlan(const Plan& plan);

}  // namespace hemafed::coordinator
